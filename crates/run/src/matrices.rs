//! The weights of a module that can be compressed.

use ansatz_ops::{Kind, is_quantized};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::Place;

/// A weight that can be compressed.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Its dotted path in the module.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

impl Weight {
    /// The axis of the inputs.
    pub fn input_axis(&self) -> usize {
        self.kind.input_axis()
    }

    /// How many inputs there are.
    pub fn inputs(&self) -> usize {
        self.shape[self.kind.input_axis()]
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.shape[self.kind.output_axis()]
    }

    /// How many values each output has: its inputs, of a kernel with their windows.
    pub fn columns(&self) -> usize {
        match self.kind {
            Kind::Matrix => self.shape[0],
            Kind::Kernel => self.shape[1..].iter().product(),
        }
    }

    /// Where the value of an output and one of its columns stands.
    pub fn index(&self, output: usize, column: usize) -> usize {
        match self.kind {
            Kind::Matrix => column * self.shape[1] + output,
            Kind::Kernel => output * self.columns() + column,
        }
    }
}

/// The weights of `module` that can be compressed, in the module's order: those of burn's and our linear layers, of their
/// convolutions and of sums of terms, unless they are quantized already.
pub fn weights<M: Module>(module: &M) -> Vec<Weight> {
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.weights
}

#[derive(Default)]
struct Reader {
    place: Place,
    weights: Vec<Weight>,
}

impl ModuleVisitor for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(kind) = self.place.kind().filter(|_| !is_quantized(&param.val())) else { return };
        let data = param.val().into_data().convert::<f32>();
        let Ok(values) = data.try_to_vec() else { return };
        self.weights.push(Weight { name: self.place.name(), kind, shape: param.dims().to_vec(), values });
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}
