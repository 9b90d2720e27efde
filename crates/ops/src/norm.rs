//! The norms: the values of each token, or each value of all tokens, brought to one scale.

use burn::module::{Module, Param, RunningState};
use burn::nn::Initializer;
use burn::tensor::module::layer_norm;
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::normalization::batch_norm;

/// A norm and its options.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormConfig {
    /// Which norm.
    pub kind: NormKind,
    /// Added to the variance or mean square, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
    /// Whether a shift is added; the root-mean-square norm has none.
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
    /// Mean 0 and variance 1 of each value over all tokens of a batch, then scale and shift. Padding counts.
    /// Where the network is used, running figures stand in the place of the batch's.
    Batch,
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
            (self.kind != NormKind::Rms && self.bias).then(|| Initializer::Zeros.init([width], device));
        let scale = if self.unit_offset { Initializer::Zeros } else { Initializer::Ones };
        let running = (self.kind == NormKind::Batch).then(|| Running::new(width, device));
        Norm { scale: scale.init([width], device), shift, running, config: *self }
    }
}

/// Mean and variance of each value, as training saw them.
#[derive(Module, Debug)]
pub struct Running {
    /// `[width]`.
    pub mean: RunningState<Tensor<1>>,
    /// Biased, `[width]`.
    pub variance: RunningState<Tensor<1>>,
}

impl Running {
    /// How far the figures move towards those of each batch.
    const MOMENTUM: f64 = 0.1;

    fn new(width: usize, device: &Device) -> Self {
        Self {
            mean: RunningState::new(Tensor::zeros([width], device)),
            variance: RunningState::new(Tensor::ones([width], device)),
        }
    }

    /// Moves towards the figures of a batch.
    fn follow(&self, mean: Tensor<1>, variance: Tensor<1>) {
        for (running, batch) in [(&self.mean, mean), (&self.variance, variance)] {
            let kept = running.value_sync().to_device(&batch.device()) * (1.0 - Self::MOMENTUM);
            running.update((kept + batch.detach() * Self::MOMENTUM).detach());
        }
    }
}

/// Brings the values of each token, or each value of all tokens, to one scale.
///
/// ```text
/// layer: (x − mean x) / √(var x + ε) · γ + β     Ba et al. 2016, arXiv:1607.06450, equation 4
/// rms:   x / √(mean x² + ε) · γ                  Zhang and Sennrich 2019, arXiv:1910.07467, equation 4
/// batch: as layer, mean and var over tokens      Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1
/// ```
///
/// With a unit offset, 1 + γ stands in the place of γ. The fast form keeps the input alone and computes the
/// moments again for the gradient.
///
/// # Shapes
/// `[.., width]` → the same.
#[derive(Module, Debug)]
pub struct Norm {
    /// γ `[width]`.
    pub scale: Param<Tensor<1>>,
    /// β `[width]`; the root-mean-square norm has none.
    pub shift: Option<Param<Tensor<1>>>,
    /// What a batch norm knows of the batches it saw.
    pub running: Option<Running>,
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
        if let Some(running) = &self.running {
            return self.over_tokens(x, scale, shift, running);
        }
        #[cfg(feature = "flex")]
        if let Some(y) = crate::flex::token_norm(&x, &scale, shift.as_ref(), self.config) {
            return y;
        }
        composed(x, scale, shift, self.config)
    }

    /// The batch norm: with the figures of the batch while training, see [`Running`], and with running ones
    /// otherwise and where it is frozen.
    fn over_tokens<const D: usize>(
        &self,
        x: Tensor<D>,
        scale: Tensor<1>,
        shift: Option<Tensor<1>>,
        running: &Running,
    ) -> Tensor<D> {
        let shape = x.dims();
        let [width] = scale.dims();
        let shift = shift.unwrap_or_else(|| scale.zeros_like());
        // A frozen norm behaves as it is judged.
        if x.device().is_autodiff() && self.scale.is_require_grad() {
            let tokens = shape.iter().product::<usize>() / width;
            let normal =
                batch_norm(x.reshape([tokens, width, 1, 1]), scale, shift, None, false, self.config.epsilon);
            running.follow(normal.mean, normal.variance);
            return normal.output.reshape(shape);
        }
        let [mean, variance] =
            [&running.mean, &running.variance].map(|running| running.value().to_device(&x.device()));
        let scale = scale / (variance + self.config.epsilon).sqrt();
        let shift = shift - mean * scale.clone();
        x * scale.unsqueeze() + shift.unsqueeze()
    }

    /// Trainable values: running figures are none.
    pub fn num_trainable(&self) -> usize {
        std::iter::once(&self.scale).chain(&self.shift).map(|vector| vector.lazy_shape().num_elements()).sum()
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
            // The figures of a batch norm are those of the example too.
            NormKind::Layer | NormKind::Batch => x.clone() - mean(x),
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
            // Scale and shift, the figures being known.
            NormKind::Batch => 2,
            // Two sums, subtract, square, divide, scale, shift.
            NormKind::Layer => 7,
            // Square, sum, divide, scale.
            NormKind::Rms => 4,
        };
        per_value * self.scale.lazy_shape().num_elements() as u64
    }
}

/// The norms of each token of burn's operations; 1 has been added to γ where it is stored without.
fn composed<const D: usize>(
    x: Tensor<D>,
    scale: Tensor<1>,
    shift: Option<Tensor<1>>,
    config: NormConfig,
) -> Tensor<D> {
    if config.kind == NormKind::Rms {
        return root_mean_square(x, config.epsilon) * scale.unsqueeze();
    }
    layer_norm(x, scale, shift, config.epsilon)
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
                    // A single value over its own root mean square hardly moves: its gradient is a difference
                    // of nearly equal numbers, unless ε is of their size.
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
    fn a_batch_norm_learns_the_figures_it_uses() {
        let device = Device::flex().autodiff();
        let config = NormConfig { kind: NormKind::Batch, ..NormConfig::layer(1e-5) };
        let mut norm = config.init(3, &device);
        norm.scale = Param::from_tensor(Tensor::<1>::from_data([1.0, 2.0, 0.5], &device));
        norm.shift = Some(Param::from_tensor(Tensor::<1>::from_data([0.0, 1.0, -1.0], &device)));
        assert_eq!((norm.num_trainable(), norm.num_params()), (6, 12));
        let x = random([1, 4, 5, 3], &device).reshape([4, 5, 3]) * 3.0 + 2.0;
        let trained: Tensor<3> = norm.forward(x.clone());
        let values = |tensor: Tensor<3>| tensor.into_data().try_to_vec::<f32>().unwrap();
        let (x_values, trained) = (values(x.clone()), values(trained));
        let (scale, shift) = ([1.0f64, 2.0, 0.5], [0.0f64, 1.0, -1.0]);
        let mut figures = Vec::new();
        for channel in 0..3 {
            let of = || x_values.iter().skip(channel).step_by(3).map(|value| f64::from(*value));
            let mean = of().sum::<f64>() / 20.0;
            let variance = of().map(|value| (value - mean).powi(2)).sum::<f64>() / 20.0;
            figures.push((0.1 * mean, 0.9 + 0.1 * variance));
            for (value, found) in of().zip(trained.iter().skip(channel).step_by(3)) {
                let expected = (value - mean) / (variance + 1e-5).sqrt() * scale[channel] + shift[channel];
                assert!((f64::from(*found) - expected).abs() < 1e-4);
            }
        }
        // A second batch makes the first one's figures known; they alone are looked at here.
        let running = norm.running.as_ref().expect("a batch norm").mean.value_sync();
        let running = running.into_data().try_to_vec::<f32>().unwrap();
        for (found, (mean, _)) in running.iter().zip(&figures) {
            assert!((f64::from(*found) - mean).abs() < 1e-5);
        }
        let used = values(norm.valid().forward(x.inner()));
        for (at, (value, found)) in x_values.iter().zip(&used).enumerate() {
            let (mean, variance) = figures[at % 3];
            let expected =
                (f64::from(*value) - mean) / (variance + 1e-5).sqrt() * scale[at % 3] + shift[at % 3];
            assert!((f64::from(*found) - expected).abs() < 1e-4);
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
