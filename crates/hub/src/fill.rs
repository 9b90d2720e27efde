//! The parameters of a network by name: reading them, their gradients, and filling them.

use std::collections::BTreeMap;

use ansatz_core::{Error, Result};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use crate::names::Shapes;
use crate::{Names, TensorFile, Values};

/// The path of the module that is being visited.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn name(&self) -> String {
        self.0.join(".")
    }
}

/// The parameters of `module` by dotted path.
pub fn parameters<M: Module>(module: &M) -> BTreeMap<String, Values> {
    #[derive(Default)]
    struct Reader(Path, BTreeMap<String, Values>);
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.insert(self.0.name(), Values::from_data(param.val().into_data()));
        }
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.0.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.0.pop();
        }
    }
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.1
}

/// The gradients of the parameters of `module` by dotted path; a parameter that nothing depended on has none.
pub(crate) fn gradients<M: Module>(module: &M, gradients: &Gradients) -> BTreeMap<String, Values> {
    struct Reader<'a>(Path, BTreeMap<String, Values>, &'a Gradients);
    impl ModuleVisitor for Reader<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.2) {
                self.1.insert(self.0.name(), Values::from_data(gradient.into_data()));
            }
        }
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.0.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.0.pop();
        }
    }
    let mut reader = Reader(Path::default(), BTreeMap::new(), gradients);
    module.visit(&mut reader);
    reader.1
}

/// Fills `module` with the weights of `file`, whose names `names` translates. Every parameter must be filled.
///
/// # Errors
/// When a tensor is missing, misshapen, or belongs to nothing.
pub fn fill<M: Module>(module: M, names: &Names, file: &TensorFile) -> Result<M> {
    struct Filler(Path, BTreeMap<String, Values>, Vec<String>);
    impl ModuleMapper for Filler {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.0.name();
            let Some(values) = self.1.remove(&name) else {
                self.2.push(name);
                return param;
            };
            param.map(|tensor| {
                let filled = Tensor::from_data(values.into_data(), (&tensor.device(), tensor.dtype()));
                if tensor.is_require_grad() { filled.require_grad() } else { filled }
            })
        }
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.0.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.0.pop();
        }
    }
    let shapes: Shapes = parameters(&module).into_iter().map(|(name, values)| (name, values.shape)).collect();
    let mut filler = Filler(Path::default(), names.read(file, &shapes)?, Vec::new());
    let module = module.map(&mut filler);
    match filler.2.first() {
        Some(name) => Err(Error::Failed(format!("the key table has no published name for `{name}`"))),
        None => Ok(module),
    }
}
