//! The nonlinearities between linear maps.

use burn::tensor::{Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logistic::sigmoid;
use crate::rectifier::{gelu, gelu_tanh, silu};

/// A function applied to every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x Φ(x)`, by the exact error function (Hendrycks and Gimpel 2016, arXiv:1606.08415).
    Gelu,
    /// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`: the approximation of the same paper, section 2.
    GeluTanh,
    /// `max(0, x)`.
    Relu,
    /// `max(0, x)²` (So et al., Primer, 2021, arXiv:2109.08668).
    SquaredRelu,
    /// `x σ(x)`, also called swish (Ramachandran et al. 2017, arXiv:1710.05941).
    Silu,
    /// `tanh(x)`.
    Tanh,
    /// `σ(x) = 1 / (1 + e^−x)`.
    Sigmoid,
    /// `x` above 0, `x / 100` below (Maas et al. 2013).
    LeakyRelu,
    /// `x` above 0, `e^x − 1` below (Clevert et al. 2015, arXiv:1511.07289).
    Elu,
    /// The same, scaled so that mean and variance keep themselves (Klambauer et al. 2017, arXiv:1706.02515).
    Selu,
}

impl Activation {
    /// The names of published configs that are known.
    pub const PUBLISHED: &'static str = "gelu, gelu_new, gelu_pytorch_tanh, relu, relu2, silu, swish, tanh, sigmoid, \
        leaky_relu, elu or selu";

    /// The function that published configs call `name`.
    pub fn published(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Self::GeluTanh,
            "relu" => Self::Relu,
            "relu2" => Self::SquaredRelu,
            "silu" | "swish" => Self::Silu,
            "tanh" => Self::Tanh,
            "sigmoid" => Self::Sigmoid,
            "leaky_relu" => Self::LeakyRelu,
            "elu" => Self::Elu,
            "selu" => Self::Selu,
            _ => return None,
        })
    }

    /// Applies the function to every value.
    pub fn apply<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => gelu(values),
            Self::GeluTanh => gelu_tanh(values),
            Self::Relu => activation::relu(values),
            Self::SquaredRelu => {
                let positive = activation::relu(values);
                positive.clone() * positive
            }
            Self::Silu => silu(values),
            Self::Tanh => values.tanh(),
            Self::Sigmoid => sigmoid(values),
            Self::LeakyRelu => activation::leaky_relu(values, 0.01),
            Self::Elu => activation::relu(values.clone()) + below_zero(values),
            Self::Selu => {
                let below = below_zero(values.clone()) * 1.673_263_242_354_377_2;
                (activation::relu(values) + below) * 1.050_700_987_355_480_5
            }
        }
    }
}

/// `e^x − 1` where x is below 0, else 0; of large values no power is taken, so that gradients stay finite.
fn below_zero<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    values.clamp_max(0.0).exp() - 1.0
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Tolerance};

    #[test]
    fn values_are_those_of_the_papers() {
        let device = Device::flex();
        let x = || {
            Tensor::<1>::from_data(
                burn::tensor::TensorData::from([-2.0f64, -0.5, 0.0, 1.0]),
                (&device, DType::F64),
            )
        };
        // Φ from tables of the normal distribution: Φ(−2) = 0.0227501319, Φ(−0.5) = 0.3085375387,
        // Φ(1) = 0.8413447461.
        let expected = [
            (Activation::Gelu, [-0.0455002639, -0.1542687694, 0.0, 0.8413447461]),
            // Evaluated with 30 digits from the formula.
            (Activation::GeluTanh, [-0.0454023059, -0.1542859902, 0.0, 0.8411919906]),
            (Activation::Relu, [0.0, 0.0, 0.0, 1.0]),
            (Activation::SquaredRelu, [0.0, 0.0, 0.0, 1.0]),
            (Activation::Silu, [-0.2384058440, -0.1887703344, 0.0, 0.7310585786]),
            (Activation::Tanh, [-0.9640275801, -0.4621171573, 0.0, 0.7615941560]),
            (Activation::Sigmoid, [0.1192029220, 0.3775406688, 0.5, 0.7310585786]),
            (Activation::LeakyRelu, [-0.02, -0.005, 0.0, 1.0]),
            (Activation::Elu, [-0.8646647168, -0.3934693403, 0.0, 1.0]),
            (Activation::Selu, [-1.5201664686, -0.6917581878, 0.0, 1.0507009874]),
        ];
        for (activation, values) in expected {
            let values: [f64; 4] = values;
            let tolerance = Tolerance::<f64>::absolute(1e-9);
            activation.apply(x()).into_data().assert_approx_eq(&values.into(), tolerance);
        }
    }
}
