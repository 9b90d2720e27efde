//! Each window brought to a scale of its own, which the head undoes.

use ansatz_core::Shared;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is taken off each channel of a window before the network reads it, and given back to the forecast.
///
/// ```text
/// standard: μ = mean x, σ = √(var x + 1e-5)     Kim et al., RevIN, 2022, equation 1, without its affine map
/// absolute: μ = 0, σ = max(mean |x|, 1e-10)     Salinas et al., DeepAR, 2020, section 3.3
/// last:     μ = x_L, σ = 1                      Zeng et al., NLinear, 2023, arXiv:2205.13504, section 4.2
/// reads (x − μ) / σ, foretells y σ + μ
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceNorm {
    /// Nothing.
    #[default]
    None,
    /// Its mean; and it is divided by its deviation.
    Standard,
    /// Nothing, but it is divided by its mean absolute value.
    Absolute,
    /// Its last value.
    Last,
}

impl InstanceNorm {
    /// `[batch, length, channels]` → the same; leaves what was taken off under [`Shared::SERIES_LOCATION`]
    /// and [`Shared::SERIES_SCALE`].
    pub fn apply(self, values: Tensor<3>, shared: &Shared) -> Tensor<3> {
        let [_, length, _] = values.dims();
        let (location, scale) = match self {
            Self::None => return values,
            Self::Standard => {
                let mean = values.clone().mean_dim(1);
                let centred = values.clone() - mean.clone();
                let variance = (centred.clone() * centred).mean_dim(1);
                (mean, (variance + 1e-5).sqrt())
            }
            Self::Absolute => {
                let scale = values.clone().abs().mean_dim(1).clamp_min(1e-10);
                (scale.zeros_like(), scale)
            }
            Self::Last => {
                let last = values.clone().narrow(1, length - 1, 1);
                (last.clone(), last.ones_like())
            }
        };
        shared.leave(Shared::SERIES_LOCATION, location.clone());
        shared.leave(Shared::SERIES_SCALE, scale.clone());
        (values - location) / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn what_was_taken_off_gives_the_values_back() {
        let device = ansatz_device::open("cpu").unwrap();
        let values =
            || Tensor::<3>::from_data([[[1.0, 0.0], [3.0, 0.0]], [[-2.0, 5.0], [2.0, 9.0]]], &device);
        let cases = [
            (InstanceNorm::Standard, [[[-1.0f32, 0.0], [1.0, 0.0]], [[-1.0, -1.0], [1.0, 1.0]]]),
            (InstanceNorm::Absolute, [[[0.5, 0.0], [1.5, 0.0]], [[-1.0, 5.0 / 7.0], [1.0, 9.0 / 7.0]]]),
            (InstanceNorm::Last, [[[-2.0, 0.0], [0.0, 0.0]], [[-4.0, -4.0], [0.0, 0.0]]]),
        ];
        for (norm, expected) in cases {
            let shared = Shared::default();
            let normed = norm.apply(values(), &shared);
            normed.to_data().assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(1e-4));
            let location: Tensor<3> = shared.find(Shared::SERIES_LOCATION).expect("it was left");
            let scale: Tensor<3> = shared.find(Shared::SERIES_SCALE).expect("it was left");
            let back = normed * scale + location;
            back.into_data().assert_approx_eq::<f32>(&values().into_data(), Tolerance::absolute(1e-5));
        }
        let shared = Shared::default();
        InstanceNorm::None.apply(values(), &shared);
        assert!(shared.find::<3>(Shared::SERIES_SCALE).is_none());
    }
}
