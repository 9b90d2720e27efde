//! The norms: the values of each token brought to one scale.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::layer_norm;
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A norm and its options.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormConfig {
    /// Which norm.
    pub kind: NormKind,
    /// Added to the variance or mean square, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
    /// Whether a layer norm adds a shift; the root-mean-square norm has none.
    pub bias: bool,
    /// Whether the scale is stored as its distance from 1, as in Gemma, so that weight decay pulls it there.
    pub unit_offset: bool,
}

/// Which norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Mean 0 and variance 1 for each token, then scale and shift.
    Layer,
    /// Mean square 1 for each token, then scale.
    Rms,
}

impl Default for NormConfig {
    fn default() -> Self {
        Self { kind: NormKind::Layer, epsilon: 1e-6, bias: true, unit_offset: false }
    }
}

impl NormConfig {
    /// A root-mean-square norm.
    pub fn rms(epsilon: f64) -> Self {
        Self { kind: NormKind::Rms, epsilon, ..Self::default() }
    }

    /// A layer norm with scale and shift.
    pub fn layer(epsilon: f64) -> Self {
        Self { kind: NormKind::Layer, epsilon, ..Self::default() }
    }

    /// What is wrong with the values, as the key at fault, the problem, and what was expected.
    ///
    /// # Errors
    /// When `epsilon` is out of range.
    pub fn check(&self) -> Result<(), (&'static str, String, &'static str)> {
        if self.epsilon > 0.0 && self.epsilon <= 1.0 {
            Ok(())
        } else {
            Err(("epsilon", self.epsilon.to_string(), "above 0 up to 1"))
        }
    }

    /// A norm of `width` values: its scale begins as 1 and its shift as 0.
    pub fn init(&self, width: usize, device: &Device) -> Norm {
        let shift =
            (self.kind == NormKind::Layer && self.bias).then(|| Initializer::Zeros.init([width], device));
        let scale = if self.unit_offset { Initializer::Zeros } else { Initializer::Ones };
        Norm { scale: scale.init([width], device), shift, config: *self }
    }
}

/// Brings the values of each token to one scale.
///
/// ```text
/// layer: (x − mean x) / √(var x + ε) · γ + β     Ba et al. 2016, arXiv:1607.06450, equation 4
/// rms:   x / √(mean x² + ε) · γ                  Zhang and Sennrich 2019, arXiv:1910.07467, equation 4
/// ```
///
/// With a unit offset, 1 + γ stands in the place of γ. The fast form keeps the input alone and computes the moments
/// again for the gradient.
///
/// # Shapes
/// `[.., width]` → the same.
#[derive(Module, Debug)]
pub struct Norm {
    /// γ `[width]`.
    pub scale: Param<Tensor<1>>,
    /// β `[width]`; the root-mean-square norm has none.
    pub shift: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: NormConfig,
}

impl Norm {
    /// Brings the last dimension of `x` to one scale.
    ///
    /// # Panics
    /// When the last dimension is not `width`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let scale = self.scale.val();
        let [width] = scale.dims();
        assert_shape!(x, [.., width]);
        let scale = if self.config.unit_offset { scale + 1.0 } else { scale };
        let shift = self.shift.as_ref().map(Param::val);
        #[cfg(feature = "flex")]
        if let Some(y) = crate::flex::token_norm(&x, &scale, shift.as_ref(), self.config) {
            return y;
        }
        composed(x, scale, shift, self.config)
    }

    /// Brings all real tokens of each example to one scale together: the moments are taken over tokens and values
    /// `[batch, length, width]`, as a group norm with a single group takes them (Wu and He 2018, arXiv:1803.08494,
    /// equation 7). `mask` `[batch, length]` is true where a token is real; without one all are.
    ///
    /// # Panics
    /// When the last dimension is not `width`, or the mask has another shape than the tokens.
    pub fn over_example(&self, x: Tensor<3>, mask: Option<&Tensor<2, Bool>>) -> Tensor<3> {
        let [batch, length, width] = x.dims();
        let scale = self.scale.val();
        assert_shape!(scale, [width]);
        let real = mask.map(|mask| {
            assert_shape!(mask, [batch, length]);
            mask.clone().float().cast(x.dtype()).reshape([batch, length, 1])
        });
        let mean = |values: Tensor<3>| match &real {
            Some(real) => {
                let sum = (values * real.clone()).sum_dim(2).sum_dim(1);
                sum / (real.clone().sum_dim(1) * width as f64).clamp_min(1.0)
            }
            None => values.reshape([batch, 1, length * width]).mean_dim(2),
        };
        let centred = match self.config.kind {
            NormKind::Layer => x.clone() - mean(x),
            NormKind::Rms => x,
        };
        let square = mean(centred.clone() * centred.clone());
        let scale = if self.config.unit_offset { scale + 1.0 } else { scale };
        let normal = centred * (square + self.config.epsilon).sqrt().recip() * scale.unsqueeze();
        match &self.shift {
            Some(shift) => normal + shift.val().unsqueeze(),
            None => normal,
        }
    }

    /// Floating-point operations for one token.
    pub fn flops(&self) -> u64 {
        let per_value = match self.config.kind {
            // Two sums, subtract, square, divide, scale, shift.
            NormKind::Layer => 7,
            // Square, sum, divide, scale.
            NormKind::Rms => 4,
        };
        per_value * self.scale.lazy_shape().num_elements() as u64
    }
}

/// The same of burn's operations; 1 has been added to γ where it is stored without.
fn composed<const D: usize>(
    x: Tensor<D>,
    scale: Tensor<1>,
    shift: Option<Tensor<1>>,
    config: NormConfig,
) -> Tensor<D> {
    match config.kind {
        NormKind::Layer => layer_norm(x, scale, shift, config.epsilon),
        NormKind::Rms => root_mean_square(x, config.epsilon) * scale.unsqueeze(),
    }
}

/// `x / √(mean x² + ε)` over the last dimension: the root-mean-square norm without a scale.
pub fn root_mean_square<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let mean_square = (x.clone() * x.clone()).mean_dim(D - 1);
    x * (mean_square + epsilon).sqrt().recip()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, random};
    use burn::tensor::{DType, Tolerance};

    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 2, 49, 64], [1, 1, 3, 1000], [700, 1, 1, 33]] {
            for kind in [NormKind::Layer, NormKind::Rms] {
                for bias in [true, false] {
                    let case = format!("{shape:?} {kind:?} bias {bias}");
                    let width = shape[3];
                    // A single value over its own root mean square hardly moves: its gradient is a difference of
                    // nearly equal numbers, unless ε is of their size.
                    let epsilon = if width == 1 { 1.0 } else { 1e-3 };
                    let config = NormConfig { kind, bias, epsilon, unit_offset: false };
                    let vector = || random([1, 1, 1, width], &device).reshape([width]).detach();
                    let mut norm = config.init(width, &device);
                    norm.scale = Param::from_tensor(vector());
                    norm.shift = norm.shift.map(|_| Param::from_tensor(vector()));
                    let x = (random(shape, &device) * 3.0 + 2.0).detach().require_grad();
                    let shift = norm.shift.as_ref().map(Param::val);
                    let fast = norm.forward(x.clone());
                    let slow = composed(x.clone(), norm.scale.val(), shift, config);
                    assert_close(&fast, &slow, &case);
                    let upstream = random(shape, &device);
                    let grads = [fast, slow].map(|y| gradient(y, &upstream));
                    let [fast, slow] = grads.each_ref().map(|grads| x.grad(grads).expect("tracked"));
                    assert_close(&fast, &slow, &format!("{case} gradient"));
                    for vector in std::iter::once(&norm.scale).chain(&norm.shift) {
                        let [fast, slow] = grads.each_ref().map(|grads| vector.grad(grads).expect("tracked"));
                        assert_close(&fast, &slow, &format!("{case} gradient of a vector"));
                    }
                }
            }
        }
    }

    #[test]
    fn values_far_from_zero_keep_their_variance() {
        let device = Device::flex();
        let norm = NormConfig::layer(1e-6).init(64, &device);
        // Quarters this far out are exact in float32.
        let x = (random([1, 1, 5, 64], &device) * 16.0).round() * 0.25 + 10_000.0;
        let [scale, shift] = [Tensor::ones([64], &device), Tensor::zeros([64], &device)]
            .map(|vector: Tensor<1>| vector.cast(DType::F64));
        let exact = composed(x.clone().cast(DType::F64), scale, Some(shift), norm.config);
        let difference = (norm.forward(x) - exact.cast(DType::F32)).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-3, "off by {difference}");
    }

    #[test]
    fn both_norms_are_their_equations() {
        let device = Device::flex();
        let tokens = || Tensor::<3>::from_data([[[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]]], &device);
        let scale = Tensor::<1>::from_data([1.0, 2.0, 3.0], &device);
        for (kind, center, square) in [(NormKind::Layer, 3.0f32, 14.0f32), (NormKind::Rms, 0.0, 41.0)] {
            for unit_offset in [false, true] {
                let config = NormConfig { kind, epsilon: 1e-3, unit_offset, bias: true };
                let mut norm = config.init(3, &device);
                norm.scale = Param::from_tensor(scale.clone() - f64::from(u8::from(unit_offset)));
                let deviation = (square / 3.0 + 1e-3).sqrt();
                let first = [1.0f32, 2.0, 6.0].map(|x| (x - center) / deviation);
                let expected = [[[first[0], 2.0 * first[1], 3.0 * first[2]], [0.0, 0.0, 0.0]]];
                norm.forward(tokens())
                    .into_data()
                    .assert_approx_eq::<f32>(&expected.into(), Tolerance::default());
            }
        }
    }

    #[test]
    fn a_fresh_norm_scales_by_one() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[3.0, -3.0]], &device);
        for config in [NormConfig::rms(1e-12), NormConfig { unit_offset: true, ..NormConfig::layer(1e-12) }] {
            let expected = [[1.0f32, -1.0]].into();
            let values = config.init(2, &device).forward(x.clone()).into_data();
            values.assert_approx_eq::<f32>(&expected, Tolerance::default());
        }
    }

    #[test]
    fn an_example_is_one_long_token_without_its_padding() {
        let device = Device::flex();
        for kind in [NormKind::Layer, NormKind::Rms] {
            let config = NormConfig { kind, epsilon: 1e-3, bias: true, unit_offset: false };
            let mut norm = config.init(3, &device);
            norm.scale = Param::from_tensor(Tensor::from_data([1.0, 2.0, 3.0], &device));
            norm.shift = norm.shift.map(|_| Param::from_tensor(Tensor::from_data([0.0, 0.5, 1.0], &device)));
            let x = random([1, 2, 4, 3], &device).reshape([2, 4, 3]) * 3.0 + 1.0;
            let long = config.init(12, &device).forward(x.clone().reshape([2, 12])).reshape([2, 4, 3]);
            let long = long * norm.scale.val().unsqueeze();
            let long = match &norm.shift {
                Some(shift) => long + shift.val().unsqueeze(),
                None => long,
            };
            let found = norm.over_example(x.clone(), None);
            found.clone().into_data().assert_approx_eq::<f32>(&long.into_data(), Tolerance::default());
            // Padding between the tokens, large and without effect.
            let padded = Tensor::cat(
                vec![x.clone().narrow(1, 0, 1), x.ones_like().narrow(1, 0, 2) * 1e3, x.narrow(1, 1, 3)],
                1,
            );
            let mask = Tensor::from_data([[true, false, false, true, true, true]; 2], &device);
            let masked = norm.over_example(padded, Some(&mask));
            let real = Tensor::cat(vec![masked.clone().narrow(1, 0, 1), masked.narrow(1, 3, 3)], 1);
            real.into_data().assert_approx_eq::<f32>(&found.into_data(), Tolerance::default());
        }
    }
}
