//! A linear map of blocks that do not see each other.

use ansatz_ops::dense;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

/// `y = x W + b` with a block-diagonal W: the values of a token are split into blocks, each with a map of its own.
///
/// # Shapes
/// `[batch, length, blocks × inputs]` → `[batch, length, blocks × outputs]`.
#[derive(Module, Debug)]
pub struct BlockLinear {
    /// W `[blocks, inputs, outputs]`.
    pub weight: Param<Tensor<3>>,
    /// b `[blocks, outputs]`.
    pub bias: Option<Param<Tensor<2>>>,
}

impl BlockLinear {
    /// Weights are drawn by `initializer`, biases begin as zero.
    pub(crate) fn new(
        [blocks, inputs, outputs]: [usize; 3],
        initializer: &Initializer,
        bias: bool,
        device: &Device,
    ) -> Self {
        Self {
            weight: initializer.init([blocks, inputs, outputs], device),
            bias: bias.then(|| Initializer::Zeros.init([blocks, outputs], device)),
        }
    }

    /// Maps each block for itself.
    ///
    /// # Panics
    /// When the width is not that of all blocks together.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let weight = dense(self.weight.val());
        let ([batch, length, _], [blocks, inputs, outputs]) = (x.dims(), weight.dims());
        let width = blocks * inputs;
        assert_shape!(x, [batch, length, width]);
        let x = x.reshape([batch * length, blocks, inputs]).swap_dims(0, 1);
        let mut y = x.matmul(weight);
        if let Some(bias) = &self.bias {
            y = y + bias.val().unsqueeze_dim(1);
        }
        y.swap_dims(0, 1).reshape([batch, length, blocks * outputs])
    }

    /// Floating-point operations for one token.
    pub(crate) fn flops(&self) -> u64 {
        2 * self.weight.lazy_shape().num_elements() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn it_is_a_matrix_with_blocks_on_its_diagonal() {
        let device = ansatz_device::open("cpu").unwrap();
        let normal = Initializer::Normal { mean: 0.0, std: 1.0 };
        let mut map = BlockLinear::new([3, 2, 4], &normal, true, &device);
        map.bias = Some(normal.init([3, 4], &device));
        let x = Tensor::<3>::random([2, 5, 6], Distribution::Normal(0.0, 1.0), &device);
        let parts = (0..3).map(|block| {
            let weight = map.weight.val().narrow(0, block, 1);
            let bias = map.bias.as_ref().expect("a bias").val().narrow(0, block, 1).reshape([1, 1, 4]);
            x.clone().narrow(2, 2 * block, 2).matmul(weight) + bias
        });
        let expected = Tensor::cat(parts.collect(), 2);
        map.forward(x).into_data().assert_approx_eq::<f32>(&expected.into_data(), Default::default());
    }
}
