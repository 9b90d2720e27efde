//! Each window brought to a scale of its own, which the head undoes.

use ansatz_core::Shared;
use burn::tensor::{Int, Tensor};
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
    /// and [`Shared::SERIES_SCALE`]. Where `visible`, of the same shape, is 0, a value is hidden: it says nothing of the
    /// scale, and becomes 0.
    pub fn apply(self, values: Tensor<3>, visible: Option<Tensor<3>>, shared: &Shared) -> Tensor<3> {
        let mean = |values: Tensor<3>| match &visible {
            Some(visible) => {
                let count = visible.clone().sum_dim(1).clamp_min(1.0);
                (values * visible.clone()).sum_dim(1) / count
            }
            None => values.mean_dim(1),
        };
        let (location, scale) = match self {
            Self::None => return hide(values, visible),
            Self::Standard => {
                let middle = mean(values.clone());
                let centred = values.clone() - middle.clone();
                let variance = mean(centred.clone() * centred);
                (middle, (variance + 1e-5).sqrt())
            }
            Self::Absolute => {
                let scale = mean(values.clone().abs()).clamp_min(1e-10);
                (scale.zeros_like(), scale)
            }
            Self::Last => {
                let last = last(&values, visible.as_ref());
                (last.clone(), last.ones_like())
            }
        };
        shared.leave(Shared::SERIES_LOCATION, location.clone());
        shared.leave(Shared::SERIES_SCALE, scale.clone());
        hide((values - location) / scale, visible)
    }
}

/// `values`, 0 where they are hidden.
fn hide(values: Tensor<3>, visible: Option<Tensor<3>>) -> Tensor<3> {
    match visible {
        Some(visible) => values * visible,
        None => values,
    }
}

/// The last value of each channel that can be seen, `[batch, 1, channels]`; the first where all are hidden.
fn last(values: &Tensor<3>, visible: Option<&Tensor<3>>) -> Tensor<3> {
    let [_, length, _] = values.dims();
    let Some(visible) = visible else { return values.clone().narrow(1, length - 1, 1) };
    let steps = Tensor::<1, Int>::arange(0..length as i64, &values.device()).float().reshape([1, length, 1]);
    values.clone().gather(1, (visible.clone() * steps).argmax(1))
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
            let normed = norm.apply(values(), None, &shared);
            normed.to_data().assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(1e-4));
            let location: Tensor<3> = shared.find(Shared::SERIES_LOCATION).expect("it was left");
            let scale: Tensor<3> = shared.find(Shared::SERIES_SCALE).expect("it was left");
            let back = normed * scale + location;
            back.into_data().assert_approx_eq::<f32>(&values().into_data(), Tolerance::absolute(1e-5));
        }
        let shared = Shared::default();
        InstanceNorm::None.apply(values(), None, &shared);
        assert!(shared.find::<3>(Shared::SERIES_SCALE).is_none());
    }

    #[test]
    fn hidden_values_say_nothing_of_the_scale() {
        let device = ansatz_device::open("cpu").unwrap();
        let seen = Tensor::<3>::from_data([[[1.0, 5.0], [3.0, 5.0]]], &device);
        // The same values with one hidden behind each.
        let values = Tensor::<3>::from_data([[[1.0, 99.0], [99.0, 5.0], [3.0, 5.0]]], &device);
        let visible = Tensor::<3>::from_data([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], &device);
        for norm in [InstanceNorm::None, InstanceNorm::Standard, InstanceNorm::Absolute, InstanceNorm::Last] {
            let (shared, other) = (Shared::default(), Shared::default());
            let expected = norm.apply(seen.clone(), None, &other).into_data().try_to_vec::<f32>().unwrap();
            let normed = norm.apply(values.clone(), Some(visible.clone()), &shared).into_data();
            let normed = normed.try_to_vec::<f32>().unwrap();
            assert_eq!([normed[0], 0.0, 0.0, normed[3], normed[4], normed[5]], normed[..], "{norm:?}");
            assert_eq!([normed[0], normed[3], normed[4], normed[5]], expected[..], "{norm:?}");
            for name in [Shared::SERIES_LOCATION, Shared::SERIES_SCALE] {
                let [one, two] =
                    [&shared, &other].map(|shared| shared.find::<3>(name).map(Tensor::into_data));
                assert_eq!(one, two, "{norm:?}");
            }
        }
    }
}
