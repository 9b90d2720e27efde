//! Feature maps: what queries and keys become before they are multiplied.

use ansatz_ops::Linear;
use burn::module::Module;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::projection::linear;

/// Which feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureMapKind {
    /// `x`.
    Identity,
    /// `elu(x) + 1`, above 0 everywhere: Katharopoulos et al. 2020, arXiv:2006.16236, equation 7.
    Elu,
    /// `max(0, x)`.
    Relu,
    /// `(W₁x + b₁) ⊙ (W₂x + b₂)`, as in the fla library.
    ElementwiseProduct,
    /// `max(0, Wx)`: Kasai et al., T2R, 2021, arXiv:2103.13076, equation 7, without its bias.
    LearnedRelu,
    /// `softmax([2(Wx + b), −2(Wx + b)])`, twice as many features: Zhang et al., Hedgehog, 2024, arXiv:2402.04347.
    Hedgehog,
    /// Products of the positive and negative parts with their neighbours 1 to 4 places before, eight times as many
    /// features: Schlag et al., DPFP, 2021, arXiv:2102.11174, equation 37.
    ParameterFree,
}

/// A feature map with its parameters; see [`FeatureMapKind`].
///
/// # Shapes
/// `[.., values]` → `[.., features]`.
#[derive(Module, Debug)]
pub struct FeatureMap {
    /// W, W₁ `[values, values]`.
    pub first: Option<Linear>,
    /// W₂ `[values, values]`.
    pub second: Option<Linear>,
    #[module(skip)]
    kind: FeatureMapKind,
}

/// Neighbours of the parameter-free map.
const NEIGHBOURS: usize = 4;

impl FeatureMap {
    pub(crate) fn new(kind: FeatureMapKind, values: usize, device: &Device) -> Self {
        use FeatureMapKind::{ElementwiseProduct, Hedgehog, LearnedRelu};
        let map = |wanted: bool| wanted.then(|| linear([values, values], kind != LearnedRelu, device));
        Self {
            first: map(matches!(kind, ElementwiseProduct | LearnedRelu | Hedgehog)),
            second: map(kind == ElementwiseProduct),
            kind,
        }
    }

    /// Applies the map to the last dimension.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let first = |x: Tensor<4>| match &self.first {
            Some(first) => first.forward(x),
            None => x,
        };
        match self.kind {
            FeatureMapKind::Identity => x,
            // In this form neither branch overflows where the other is meant.
            FeatureMapKind::Elu => relu(x.clone()) + x.clamp_max(0.0).exp(),
            FeatureMapKind::Relu => relu(x),
            FeatureMapKind::LearnedRelu => relu(first(x)),
            FeatureMapKind::ElementwiseProduct => match &self.second {
                Some(second) => first(x.clone()) * second.forward(x),
                None => first(x),
            },
            FeatureMapKind::Hedgehog => {
                let x = first(x) * 2.0;
                softmax(Tensor::cat(vec![x.clone(), -x], 3), 3)
            }
            FeatureMapKind::ParameterFree => {
                let parts = Tensor::cat(vec![relu(x.clone()), relu(-x)], 3);
                let shifted = (1..=NEIGHBOURS).map(|by| parts.clone() * rolled(parts.clone(), by));
                Tensor::cat(shifted.collect(), 3)
            }
        }
    }

    /// Features of `values` values.
    pub(crate) fn features(&self, values: usize) -> usize {
        match self.kind {
            FeatureMapKind::Hedgehog => 2 * values,
            FeatureMapKind::ParameterFree => 2 * NEIGHBOURS * values,
            _ => values,
        }
    }

    /// Floating-point operations for one head of one token.
    pub(crate) fn flops(&self) -> u64 {
        [&self.first, &self.second].into_iter().flatten().map(crate::projection::linear_flops).sum()
    }
}

/// The last dimension, each value `by` places further, those at the end at the beginning.
fn rolled(x: Tensor<4>, by: usize) -> Tensor<4> {
    let [_, _, _, width] = x.dims();
    let by = by % width;
    if by == 0 {
        return x;
    }
    Tensor::cat(vec![x.clone().narrow(3, width - by, by), x.narrow(3, 0, width - by)], 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    fn map(kind: FeatureMapKind, x: &[f32]) -> Vec<f32> {
        let device = ansatz_device::open("cpu").unwrap();
        let map = FeatureMap::new(kind, x.len(), &device);
        let features = map.forward(Tensor::<1>::from_data(x, &device).reshape([1, 1, 1, x.len()]));
        assert_eq!(features.dims()[3], map.features(x.len()));
        features.into_data().try_into_vec().expect("floats")
    }

    #[test]
    fn maps_without_parameters_are_their_equations() {
        assert_eq!(map(FeatureMapKind::Identity, &[-1.0, 2.0]), [-1.0, 2.0]);
        assert_eq!(map(FeatureMapKind::Relu, &[-1.0, 2.0]), [0.0, 2.0]);
        let elu = Tensor::<1>::from_data(
            map(FeatureMapKind::Elu, &[-1.0, 0.0, 2.0]).as_slice(),
            &ansatz_device::open("cpu").unwrap(),
        );
        elu.into_data().assert_approx_eq::<f32>(&[(-1.0f32).exp(), 1.0, 3.0].into(), Tolerance::default());
        // [r(x), r(−x)] = [0, 2, 1, 0]; by one place [0, 0, 2, 1], by two [1, 0, 0, 2], by three [2, 1, 0, 0].
        let products = [[0.0, 0.0, 2.0, 0.0], [0.0; 4], [0.0, 2.0, 0.0, 0.0], [0.0, 4.0, 1.0, 0.0]];
        assert_eq!(map(FeatureMapKind::ParameterFree, &[-1.0, 2.0]), products.concat());
    }

    #[test]
    fn hedgehog_features_sum_to_one() {
        let features = map(FeatureMapKind::Hedgehog, &[-1.0, 2.0, 30.0]);
        assert!((features.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
