//! The weights of a module that can be compressed.

use ansatz_ops::{dense, is_quantized};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// How the values of a weight belong to inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The matrix of a linear layer, `[inputs, outputs]`.
    Matrix,
    /// The kernel of a convolution, `[outputs, inputs, …]`.
    Kernel,
}

impl Kind {
    /// The axis of the outputs.
    pub(crate) fn output_axis(self) -> usize {
        match self {
            Self::Matrix => 1,
            Self::Kernel => 0,
        }
    }
}

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
    pub(crate) fn input_axis(&self) -> usize {
        match self.kind {
            Kind::Matrix => 0,
            Kind::Kernel => 1,
        }
    }

    /// How many inputs there are.
    pub fn inputs(&self) -> usize {
        self.shape[self.input_axis()]
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.shape[1 - self.input_axis()]
    }
}

/// The weights of `module` that can be compressed, in the module's order: those of burn's and our linear layers and of
/// their convolutions, unless they are quantized already.
pub fn weights<M: Module>(module: &M) -> Vec<Weight> {
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.weights
}

/// What a parameter of a field `name` in a struct `container` is.
pub(crate) fn kind(name: &str, container: &str) -> Option<Kind> {
    match (name, container) {
        ("weight", "Struct:Linear") => Some(Kind::Matrix),
        ("weight", "Struct:Conv1d" | "Struct:Conv2d" | "Struct:Conv3d") => Some(Kind::Kernel),
        _ => None,
    }
}

/// The path to a parameter, and the struct that the last part of it is a field of.
#[derive(Debug, Default)]
pub(crate) struct Path(Vec<(String, String)>);

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container.to_owned()));
    }

    pub(crate) fn exit(&mut self) {
        self.0.pop();
    }

    pub(crate) fn name(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    fn kind(&self) -> Option<Kind> {
        self.0.last().and_then(|(name, container)| kind(name, container))
    }
}

#[derive(Default)]
struct Reader {
    path: Path,
    weights: Vec<Weight>,
}

impl ModuleVisitor for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(kind) = self.path.kind().filter(|_| !is_quantized(&param.val())) else { return };
        let data = param.val().into_data().convert::<f32>();
        let Ok(values) = data.try_to_vec() else { return };
        self.weights.push(Weight { name: self.path.name(), kind, shape: param.dims().to_vec(), values });
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}

/// Whether a weight of `module` is quantized.
pub fn is_any_quantized<M: Module>(module: &M) -> bool {
    struct Search(bool);
    impl ModuleVisitor for Search {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 |= is_quantized(&param.val());
        }
    }
    let mut search = Search(false);
    module.visit(&mut search);
    search.0
}

/// How many values of the matrices and kernels of `module`, whatever layer they are of, are zero.
pub fn zeros<M: Module>(module: &M) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D > 1 {
                let zeros = dense(param.val()).equal_elem(0.0).int().sum();
                self.0 += zeros.into_scalar::<i64>() as usize;
            }
        }
    }
    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    /// A module of somebody else with some of everything.
    #[derive(Module, Debug)]
    pub(crate) struct Mixed {
        table: Embedding,
        pub(crate) convolution: Conv2d,
        norm: BatchNorm,
        pub(crate) layers: Vec<Linear>,
    }

    pub(crate) fn mixed(device: &Device) -> Mixed {
        Mixed {
            table: EmbeddingConfig::new(5, 8).init(device),
            convolution: Conv2dConfig::new([8, 4], [3, 3]).init(device),
            norm: BatchNormConfig::new(4).init(device),
            layers: vec![LinearConfig::new(16, 6).init(device), LinearConfig::new(6, 3).init(device)],
        }
    }

    #[test]
    fn matrices_and_kernels_are_found_by_their_paths() {
        let device = ansatz_device::open("cpu").unwrap();
        let module = mixed(&device);
        let found = weights(&module);
        let shapes: Vec<_> =
            found.iter().map(|weight| (weight.name.as_str(), weight.inputs(), weight.outputs())).collect();
        let expected = [("convolution.weight", 8, 4), ("layers.0.weight", 16, 6), ("layers.1.weight", 6, 3)];
        assert_eq!(shapes, expected);
        assert_eq!(found[1].values, module.layers[0].weight.val().into_data().try_to_vec::<f32>().unwrap());
    }

    #[test]
    fn zeros_are_counted_in_all_matrices() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut module = mixed(&device);
        assert_eq!(zeros(&module), 0);
        module.layers[1].weight = module.layers[1].weight.clone().map(|weight| weight.zeros_like());
        assert_eq!(zeros(&module), 18);
    }
}
