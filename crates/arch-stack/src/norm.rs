//! The norms: each token brought to one scale.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::NormKind;

/// Brings each token to one scale.
///
/// ```text
/// layer: (x − mean x) / √(var x + ε) · γ + β     Ba et al. 2016, arXiv:1607.06450, equation 4
/// rms:   x / √(mean x² + ε) · γ                  Zhang and Sennrich 2019, arXiv:1910.07467, equation 4
/// ```
///
/// γ begins as ones and β as zeros, as in both papers.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Norm {
    /// γ `[width]`.
    pub scale: Param<Tensor<1>>,
    /// β `[width]`; the root-mean-square norm has none.
    pub shift: Option<Param<Tensor<1>>>,
    #[module(skip)]
    kind: NormKind,
    epsilon: f64,
}

impl Norm {
    pub(crate) fn new(kind: NormKind, width: usize, epsilon: f64, device: &Device) -> Self {
        let shift = (kind == NormKind::Layer).then(|| Initializer::Zeros.init([width], device));
        Self { scale: Initializer::Ones.init([width], device), shift, kind, epsilon }
    }

    /// Brings each token to one scale.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let scale = self.scale.val();
        let [width] = scale.dims();
        assert_shape!(tokens, [.., width]);
        match self.kind {
            NormKind::Layer => layer_norm(tokens, scale, self.shift.as_ref().map(Param::val), self.epsilon),
            NormKind::Rms => {
                let mean_square = (tokens.clone() * tokens.clone()).mean_dim(2);
                tokens * (mean_square + self.epsilon).sqrt().recip() * scale.reshape([1, 1, width])
            }
        }
    }

    /// Floating-point operations for one token.
    pub(crate) fn flops(&self) -> u64 {
        let per_value = match self.kind {
            // Two sums, subtract, square, divide, scale, shift.
            NormKind::Layer => 7,
            // Square, sum, divide, scale.
            NormKind::Rms => 4,
        };
        per_value * self.scale.lazy_shape().num_elements() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn both_norms_are_their_equations() {
        let device = ansatz_device::open("cpu").unwrap();
        let tokens = || Tensor::<3>::from_data([[[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]]], &device);
        let scale = Tensor::<1>::from_data([1.0, 2.0, 3.0], &device);
        for (kind, center, square) in [(NormKind::Layer, 3.0f32, 14.0f32), (NormKind::Rms, 0.0, 41.0)] {
            let mut norm = Norm::new(kind, 3, 1e-3, &device);
            norm.scale = Param::from_tensor(scale.clone());
            let deviation = (square / 3.0 + 1e-3).sqrt();
            let first = [1.0f32, 2.0, 6.0].map(|x| (x - center) / deviation);
            let expected = [[[first[0], 2.0 * first[1], 3.0 * first[2]], [0.0, 0.0, 0.0]]];
            norm.forward(tokens())
                .into_data()
                .assert_approx_eq::<f32>(&expected.into(), Tolerance::default());
        }
    }
}
