//! What becomes of queries, keys and gates before they are used.

use ansatz_ops::{sigmoid, silu};
use burn::tensor::{Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the square of a length before it divides a vector.
const LENGTH_EPSILON: f64 = 1e-6;

/// The function of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyActivation {
    /// `x σ(x)`.
    Silu,
    /// `max(0, x)`.
    Relu,
    /// `elu(x) + 1`: x + 1 above 0, exp(x) below (Katharopoulos et al. 2020, arXiv:2006.16236, equation 7).
    Elu,
    /// x itself.
    Identity,
}

impl KeyActivation {
    pub(crate) fn apply<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => silu(values),
            Self::Relu => activation::relu(values),
            // Held at 0 before the exponential, whose gradient would else be infinite times zero.
            Self::Elu => activation::relu(values.clone()) + values.clamp_max(0.0).exp(),
            Self::Identity => values,
        }
    }
}

/// How queries and keys are brought to one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyNorm {
    /// Their squares sum to 1, so that a correction never overshoots.
    L2,
    /// Their magnitudes sum to 1 (Schlag et al. 2021, arXiv:2102.11174, section 5.2).
    Sum,
}

impl KeyNorm {
    /// Of the last dimension.
    pub(crate) fn apply<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        match self {
            Self::L2 => {
                let squares = (values.clone() * values.clone()).sum_dim(D - 1);
                values * (squares + LENGTH_EPSILON).sqrt().recip()
            }
            Self::Sum => {
                let sum = values.clone().abs().sum_dim(D - 1).clamp_min(LENGTH_EPSILON);
                values / sum
            }
        }
    }
}

/// The function of the output gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateActivation {
    /// `x σ(x)`.
    Silu,
    /// `σ(x)`.
    Sigmoid,
}

impl GateActivation {
    pub(crate) fn apply<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => silu(values),
            Self::Sigmoid => sigmoid(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn functions_and_norms_are_their_equations() {
        let device = ansatz_device::open("cpu").unwrap();
        let x = Tensor::<1>::from_data([-3.0f32, 0.0, 4.0], &device);
        let check = |found: Tensor<1>, expected: [f32; 3]| {
            found.into_data().assert_approx_eq::<f32>(&expected.into(), Tolerance::default());
        };
        check(KeyActivation::Silu.apply(x.clone()), [-0.1422776, 0.0, 3.9280552]);
        check(KeyActivation::Relu.apply(x.clone()), [0.0, 0.0, 4.0]);
        check(KeyActivation::Elu.apply(x.clone()), [0.0497871, 1.0, 5.0]);
        check(KeyActivation::Identity.apply(x.clone()), [-3.0, 0.0, 4.0]);
        check(KeyNorm::L2.apply(x.clone()), [-0.6, 0.0, 0.8]);
        check(KeyNorm::Sum.apply(x.clone()), [-3.0 / 7.0, 0.0, 4.0 / 7.0]);
        check(GateActivation::Sigmoid.apply(x), [0.0474259, 0.5, 0.9820138]);
    }
}
