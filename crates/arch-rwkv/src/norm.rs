//! The norm of every head's output.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Tensor};

/// Mean 0 and variance 1 for the values of each head, then scale and shift of each value (Wu and He, Group
/// Normalization, 2018, arXiv:1803.08494, equation 1).
///
/// # Shapes
/// `[batch, length, heads × width]` → the same.
#[derive(Module, Debug)]
pub struct HeadNorm {
    /// γ `[heads × width]`.
    pub scale: Param<Tensor<1>>,
    /// β `[heads × width]`.
    pub shift: Param<Tensor<1>>,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    epsilon: f64,
}

impl HeadNorm {
    /// Every scale begins as `scale`.
    pub(crate) fn new(width: usize, heads: usize, epsilon: f64, scale: f64, device: &Device) -> Self {
        Self {
            scale: Initializer::Constant { value: scale }.init([width], device),
            shift: Initializer::Zeros.init([width], device),
            heads,
            epsilon,
        }
    }

    pub(crate) fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let values = width / self.heads;
        let heads = tokens.reshape([batch, length, self.heads, values]);
        let scale = Tensor::ones([values], (&heads.device(), heads.dtype()));
        let normed = layer_norm(heads, scale, None, self.epsilon).reshape([batch, length, width]);
        normed * self.scale.val().unsqueeze() + self.shift.val().unsqueeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_has_its_own_mean_and_variance() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut norm = HeadNorm::new(4, 2, 0.75, 1.0, &device);
        norm.scale = Param::from_tensor(Tensor::from_data([1.0, 2.0, 3.0, 4.0], &device));
        norm.shift = Param::from_tensor(Tensor::from_data([0.0, 0.0, 1.0, 1.0], &device));
        let tokens = Tensor::<3>::from_data([[[1.0, 2.0, 5.0, 5.0]]], &device);
        // Mean 1.5 and variance 0.25; mean 5 and variance 0.
        let expected = [[[-0.5f32, 1.0, 1.0, 1.0]]];
        let found = norm.forward(tokens).into_data();
        found.assert_approx_eq::<f32>(&expected.into(), burn::tensor::Tolerance::default());
    }
}
