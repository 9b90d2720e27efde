//! Convolution, batch normalisation and rectifier as one module.

#[cfg(feature = "flex")]
use crate::byte_rounding::Range;
use crate::convolution::convolution;
use crate::fake_quantization::FakeQuantization;
#[cfg(feature = "flex")]
use crate::flex::integer::{Finish, Link};
use crate::input_range::InputRange;
use crate::normalization::batch_norm;
use crate::observe::{Observed, observe};
use crate::quantized::dense;
#[cfg(feature = "flex")]
use crate::quantized::is_quantized;
#[cfg(feature = "flex")]
use crate::zero_points::ZeroPoints;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, assert_shape};

/// Shape of a [`ConvNorm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvNormConfig {
    /// Channels in and out; at least one each.
    pub channels: [usize; 2],
    /// Height and width of the kernel in pixels; at least one.
    pub kernel: [usize; 2],
    /// Pixels from one output to the next, down and across; at least one.
    pub stride: [usize; 2],
    /// Zeros around the picture: above and below, left and right.
    pub padding: [usize; 2],
    /// Whether negative results become zero.
    pub rectify: bool,
}

impl ConvNormConfig {
    /// A square kernel of odd size whose output is as large as the input divided by `stride`, rectified.
    pub fn same(channels: [usize; 2], kernel: usize, stride: usize) -> Self {
        let padding = [kernel / 2; 2];
        Self { channels, kernel: [kernel; 2], stride: [stride; 2], padding, rectify: true }
    }

    /// The same without the rectifier.
    pub fn linear(self) -> Self {
        Self { rectify: false, ..self }
    }

    /// Height and width of what becomes of a picture.
    pub fn output(&self, size: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            (size[axis] + 2 * self.padding[axis]).saturating_sub(self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    /// A module with weights drawn from a normal distribution of variance 2 / (outputs · kernel area), as
    /// He et al. (2015, equation 14) derive it for rectified networks.
    pub fn init(&self, device: &Device) -> ConvNorm {
        let [height, width] = self.padding;
        let conv = Conv2dConfig::new(self.channels, self.kernel)
            .with_stride(self.stride)
            .with_padding(PaddingConfig2d::Explicit(height, width, height, width))
            .with_bias(false)
            .with_initializer(Initializer::KaimingNormal {
                gain: std::f64::consts::SQRT_2,
                fan_out_only: true,
            })
            .init(device);
        let norm = BatchNormConfig::new(self.channels[1]).init(device);
        ConvNorm { conv, norm, padding: self.padding, rectify: self.rectify }
    }
}

/// A convolution without bias, batch normalisation and, where asked for, a sum and a rectifier:
/// `y = f(norm(w ∗ x) + residual)`.
///
/// While training (see [`BatchNorm`]) a batch is normalised with its own mean and variance, which the
/// running statistics follow. Otherwise the running statistics are folded into the weights or, where these are
/// quantized, into what their sums are scaled with.
///
/// Parameters are named `conv.weight`, `norm.gamma`, `norm.beta`, `norm.running_mean` and
/// `norm.running_var`.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution's weight `[outputs, inputs, height, width]`.
    pub conv: Conv2d,
    /// Scale, shift and running statistics of each output channel.
    pub norm: BatchNorm,
    #[module(skip)]
    padding: [usize; 2],
    #[module(skip)]
    rectify: bool,
}

impl ConvNorm {
    /// `[batch, inputs, height, width]` → `[batch, outputs, height, width]`, see [`ConvNormConfig::output`].
    ///
    /// # Panics
    /// When the channels do not fit.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.apply(x, None)
    }

    /// The same with `residual`, of the output's shape, added before the rectifier.
    ///
    /// # Panics
    /// When a shape does not fit.
    pub fn forward_sum(&self, x: Tensor<4>, residual: Tensor<4>) -> Tensor<4> {
        self.apply(x, Some(residual))
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new(self.conv.stride, self.padding, self.conv.dilation, self.conv.groups)
    }

    /// What each output is multiplied with, and what is added to it then, by the running statistics.
    fn folded(&self, device: &Device) -> [Tensor<1>; 2] {
        let mean = self.norm.running_mean.value().to_device(device);
        let variance = self.norm.running_var.value().to_device(device);
        let scale = self.norm.gamma.val() / (variance + self.norm.epsilon).sqrt();
        let shift = self.norm.beta.val() - mean * scale.clone();
        [scale, shift]
    }

    /// The same as plain values, without an operation of a tensor library for each sum.
    #[cfg(feature = "flex")]
    fn folded_values(&self) -> Option<[Vec<f32>; 2]> {
        let read = |tensor: Tensor<1>| tensor.into_data().try_into_vec::<f32>().ok();
        let variance = read(self.norm.running_var.value())?;
        let epsilon = self.norm.epsilon as f32;
        let deviation = variance.into_iter().map(|variance| (variance + epsilon).sqrt());
        let scale: Vec<f32> = read(self.norm.gamma.val())?
            .into_iter()
            .zip(deviation)
            .map(|(gamma, deviation)| gamma / deviation)
            .collect();
        let moved =
            read(self.norm.running_mean.value())?.into_iter().zip(&scale).map(|(mean, scale)| mean * scale);
        let shift =
            read(self.norm.beta.val())?.into_iter().zip(moved).map(|(beta, moved)| beta - moved).collect();
        Some([scale, shift])
    }

    /// The layer as part of a chain of whole numbers, of which the maximum of squares of `pool` pixels goes on; none where
    /// its weight is not quantized, or the range of its inputs not given.
    #[cfg(feature = "flex")]
    pub(crate) fn link(&self, pool: usize) -> Option<Link> {
        let Range::Given(bounds) = InputRange::of(&self.conv.weight) else { return None };
        let (weight, kept) = (self.conv.weight.val(), InputRange::kept(&self.conv.weight)?);
        let mut link = Link::new(&weight, kept, &self.options(), bounds, self.folded_values()?)?;
        (link.rectify, link.pool) = (self.rectify, pool);
        Some(link)
    }

    /// The layer where a kernel multiplies codes that have [`ZeroPoints`]; none elsewhere.
    #[cfg(feature = "flex")]
    fn of_codes(
        &self,
        x: &Tensor<4>,
        options: &ConvOptions<2>,
        [scale, shift]: [&Tensor<1>; 2],
        residual: Option<&Tensor<4>>,
    ) -> Option<Tensor<4>> {
        let points = ZeroPoints::of(&self.conv.weight)?;
        let codes = self.conv.weight.base();
        let finish = Finish {
            range: Range::OfEachRow,
            factor: Some(scale),
            shift: Some(shift),
            residual,
            rectify: false,
        };
        let y = crate::flex::integer::convolution(x, &codes, options, &finish)?;
        let [outputs] = scale.dims();
        let of_zeros = points.of_pictures(x.clone(), codes.dims(), options);
        let y = y + of_zeros * scale.clone().reshape([1, outputs, 1, 1]);
        Some(if self.rectify { relu(y) } else { y })
    }

    fn apply(&self, x: Tensor<4>, residual: Option<Tensor<4>>) -> Tensor<4> {
        let [_, inputs, _, _] = self.conv.weight.dims();
        assert_shape!(x, [_, inputs, _, _]);
        let options = self.options();
        observe(self.conv.weight.id, || Observed::Picture {
            picture: x.clone(),
            kernel: self.conv.kernel_size,
            options: options.clone(),
        });
        let x = FakeQuantization::inputs(&self.conv.weight, x, 1);
        let range = InputRange::of(&self.conv.weight);
        if x.device().is_autodiff() && self.norm.training.is_enabled() {
            let y = convolution(range.seen(x, 1), dense(self.conv.weight.val()), None, options);
            let gamma = self.norm.gamma.val();
            let y = batch_norm(y, gamma, self.norm.beta.val(), residual, self.rectify, self.norm.epsilon);
            let follow = |running: Tensor<1>, batch: Tensor<1>| {
                let momentum = self.norm.momentum;
                (running.mul_scalar(1.0 - momentum) + batch.detach().mul_scalar(momentum)).detach()
            };
            let device = y.output.device();
            let mean = self.norm.running_mean.value_sync().to_device(&device);
            let variance = self.norm.running_var.value_sync().to_device(&device);
            self.norm.running_mean.update(follow(mean, y.mean));
            self.norm.running_var.update(follow(variance, y.variance));
            return y.output;
        }
        let [scale, shift] = self.folded(&x.device());
        #[cfg(feature = "flex")]
        if let Some(y) = self.of_codes(&x, &options, [&scale, &shift], residual.as_ref()) {
            return y;
        }
        let weight = self.conv.weight.val();
        #[cfg(feature = "flex")]
        if is_quantized(&weight) {
            let (factor, shift, residual) = (Some(&scale), Some(&shift), residual.as_ref());
            let finish = Finish { range, factor, shift, residual, rectify: self.rectify };
            if let Some(y) = crate::flex::integer::convolution(&x, &weight, &options, &finish) {
                return y;
            }
        }
        let [outputs] = scale.dims();
        let weight = dense(weight) * scale.reshape([outputs, 1, 1, 1]);
        let mut y = convolution(range.seen(x, 1), weight, Some(shift), options);
        if let Some(residual) = residual {
            y = y + residual;
        }
        if self.rectify { relu(y) } else { y }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, random};
    use burn::module::{Param, ParamId};
    use burn::tensor::quantization::{QuantScheme, QuantValue};

    #[test]
    fn training_and_inference_are_those_of_separate_modules() {
        let device = Device::flex().autodiff();
        let config = ConvNormConfig::same([3, 8], 3, 2);
        let fused = config.init(&device);
        let (conv, norm) = (fused.conv.clone(), BatchNormConfig::new(8).init(&device));
        let separate = |conv: &Conv2d, norm: &BatchNorm, x: Tensor<4>, residual: Tensor<4>| {
            relu(norm.forward(conv.forward(x)) + residual)
        };
        for _ in 0..3 {
            let x = random([4, 3, 9, 7], &device) + 0.5;
            let [height, width] = config.output([9, 7]);
            let residual = random([4, 8, height, width], &device);
            let upstream = random([4, 8, height, width], &device);
            let [fast, slow] = [
                fused.forward_sum(x.clone(), residual.clone()),
                separate(&conv, &norm, x.clone(), residual.clone()),
            ];
            assert_close(&fast, &slow, "training");
            let (fast, slow) = (gradient(fast, &upstream), gradient(slow, &upstream));
            let fast = fused.conv.weight.val().grad(&fast).expect("tracked");
            assert_close(&fast, &conv.weight.val().grad(&slow).expect("tracked"), "gradient");
            let (fused, conv, norm) = (fused.valid(), conv.valid(), norm.valid());
            let (x, residual) = (x.inner(), residual.inner());
            let fast = fused.forward_sum(x.clone(), residual.clone());
            assert_close(&fast, &separate(&conv, &norm, x, residual), "inference");
        }
    }

    #[test]
    fn the_output_is_as_large_as_the_config_says() {
        let device = Device::flex();
        for (kernel, stride, size) in [(3, 1, [5, 8]), (3, 2, [5, 8]), (1, 2, [7, 4]), (5, 3, [6, 9])] {
            let config = ConvNormConfig::same([2, 4], kernel, stride).linear();
            let [height, width] = config.output(size);
            let y = config.init(&device).forward(random([1, 2, size[0], size[1]], &device));
            assert_eq!(y.dims(), [1, 4, height, width]);
        }
    }

    #[test]
    fn a_frozen_module_keeps_its_running_statistics() {
        let device = Device::flex().autodiff();
        let module = ConvNormConfig::same([2, 4], 3, 1).init(&device).freeze();
        let before = module.norm.running_mean.value_sync();
        module.forward(random([2, 2, 5, 5], &device));
        assert_close(&module.norm.running_mean.value_sync(), &before, "running mean");
    }

    #[test]
    fn quantized_weights_give_nearly_what_floats_give() {
        let device = Device::flex();
        let config = ConvNormConfig::same([8, 12], 3, 2);
        let mut module = config.init(&device);
        module.norm.running_mean.update(random([1, 12], &device).reshape([12]) * 0.1);
        module.norm.gamma = Param::from_tensor(random([1, 12], &device).reshape([12]));
        let scheme = QuantScheme::default().with_value(QuantValue::Q8S);
        let quantized = module.conv.weight.val().quantize_dynamic(&scheme);
        let mut whole = module.clone();
        module.conv.weight = Param::from_tensor(quantized.clone().dequantize());
        whole.conv.weight = Param::initialized(ParamId::new(), quantized);
        let x = random([3, 8, 9, 10], &device);
        let [height, width] = config.output([9, 10]);
        let residual = random([3, 12, height, width], &device);
        let pairs = [
            (module.forward(x.clone()), whole.forward(x.clone())),
            (module.forward_sum(x.clone(), residual.clone()), whole.forward_sum(x, residual)),
        ];
        for (floats, found) in pairs {
            let size = floats.clone().abs().max().into_scalar::<f32>();
            let error = (floats - found.clone()).abs().max().into_scalar::<f32>();
            // The pictures are rounded to bytes: no more than a few steps of 255 add up.
            assert!(error < 0.02 * size, "{error} of {size}");
            assert!(found.min().into_scalar::<f32>() >= 0.0);
        }
    }
}
