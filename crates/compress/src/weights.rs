//! What is known of the weights of a module.

use ansatz_ops::is_quantized;
use ansatz_run::dequantized;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

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
                let zeros = param.val().equal_elem(0.0).int().sum();
                self.0 += zeros.into_scalar::<i64>() as usize;
            }
        }
    }
    let mut count = Count(0);
    dequantized(module.clone()).visit(&mut count);
    count.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ansatz_run::weights;
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
