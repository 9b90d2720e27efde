//! A convolution of each channel by itself: the mixer of ConvNeXt.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Registry, Result};
use ansatz_ops::convolve;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::picture::on_grid;

/// A convolution of each channel by itself over the tokens of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DepthwiseConvolutionConfig {
    /// Side of the square kernel in tokens, odd, 1 up to 255.
    #[schemars(range(min = 1, max = 255))]
    pub kernel: usize,
    /// Whether a bias is added to each channel.
    pub bias: bool,
}

impl Default for DepthwiseConvolutionConfig {
    fn default() -> Self {
        Self { kernel: 7, bias: true }
    }
}

impl Component for DepthwiseConvolutionConfig {
    const KIND: &'static str = "depthwise-convolution";
    const ABOUT: &'static str = "a convolution of each channel by itself over the tokens of a picture";
    const CITATION: &'static str = "Liu et al., A ConvNet for the 2020s, 2022, arXiv:2201.03545";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.kernel <= 255 && !self.kernel.is_multiple_of(2) {
            return Ok(());
        }
        let problem = format!("a side of {} tokens", self.kernel);
        Err(ConfigError::value("kernel", problem, "an odd number, 1 up to 255"))
    }
}

impl MixerConfig for DepthwiseConvolutionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        self.clone().complete(build.registry)?;
        build.grid_for(Self::KIND)?;
        let around = self.kernel / 2;
        let convolution = Conv2dConfig::new([width, width], [self.kernel; 2])
            .with_groups(width)
            .with_padding(PaddingConfig2d::Explicit(around, around, around, around))
            .with_bias(false)
            .with_initializer(Initializer::Normal { mean: 0.0, std: 0.02 })
            .init(build.device);
        let bias = self.bias.then(|| Initializer::Zeros.init([width], build.device));
        Ok(BoxedMixer::new(DepthwiseConvolution { convolution: Conv2d { bias, ..convolution } }))
    }
}

/// A convolution of each channel c by itself (Liu et al. 2022, section 2.4, there with K = 7):
///
/// ```text
/// y(i, j, c) = Σ over p, q < K of w(c, p, q) x(i + p − K/2, j + q − K/2, c) + b(c)
/// ```
///
/// with K / 2 rounded down, and zeros outside the picture. The kernel is drawn with deviation 0.02, as the paper's
/// code draws it; the bias begins as zero.
///
/// # Shapes
/// A picture of tokens `[batch, height × width, width]` → the same.
#[derive(Module, Debug)]
pub struct DepthwiseConvolution {
    /// w `[width, 1, K, K]` and b `[width]`.
    pub convolution: Conv2d,
}

impl Mixer for DepthwiseConvolution {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let Conv2d { kernel_size, groups, .. } = &self.convolution;
        let around = kernel_size.map(|side| side / 2);
        let options = ConvOptions::new([1; 2], around, [1; 2], *groups);
        on_grid(tokens, context, |picture| convolve(picture, &self.convolution, options))
    }

    fn flops(&self, length: usize) -> u64 {
        2 * (length * self.convolution.weight.lazy_shape().num_elements()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{FeatureSpec, Grid};
    use burn::tensor::{Device, Distribution};

    fn build(
        config: &DepthwiseConvolutionConfig,
        input: &FeatureSpec,
        device: &Device,
    ) -> Result<BoxedMixer> {
        let registry = Registry::default();
        config.init(input.width, &Build::new(&registry, device).over(*input))
    }

    #[test]
    fn the_mixer_is_the_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        for (kernel, [height, width]) in [(1usize, [2usize, 3usize]), (3, [4, 3]), (7, [3, 5])] {
            let grid = Grid { height, width };
            let convolution = Conv2dConfig::new([2, 2], [kernel; 2]).with_groups(2).init(&device);
            let values = |x: Tensor<1>| x.into_data().try_to_vec::<f32>().unwrap();
            let [w, b] = [
                values(convolution.weight.val().flatten(0, 3)),
                values(convolution.bias.as_ref().expect("a bias").val()),
            ];
            let tokens = Tensor::<3>::random([1, grid.tokens(), 2], Distribution::Default, &device);
            let x = values(tokens.clone().flatten(0, 2));
            let context = Context { grid: Some(grid), ..Context::default() };
            let found = values(DepthwiseConvolution { convolution }.forward(tokens, &context).flatten(0, 2));
            for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
                for channel in 0..2 {
                    let mut sum = b[channel];
                    for (p, q) in (0..kernel).flat_map(|p| (0..kernel).map(move |q| (p, q))) {
                        let place = |at: usize, tap: usize, side: usize| {
                            (at + tap).checked_sub(kernel / 2).filter(|place| *place < side)
                        };
                        if let (Some(i), Some(j)) = (place(row, p, height), place(column, q, width)) {
                            sum += w[(channel * kernel + p) * kernel + q] * x[(i * width + j) * 2 + channel];
                        }
                    }
                    assert!((found[(row * width + column) * 2 + channel] - sum).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn depthwise_convolutions_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        for (kernel, bias) in [(3, false), (7, true)] {
            let config = DepthwiseConvolutionConfig { kernel, bias };
            let checked = ansatz_conformance::mixer_over(|input, device| build(&config, input, device))
                .inputs(ansatz_conformance::grids(4))
                .check(&device);
            checked.unwrap_or_else(|failure| panic!("{config:?}: {failure}"));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        for kernel in [0, 4, 257] {
            let mut config = DepthwiseConvolutionConfig { kernel, bias: true };
            let message = config.complete(&Registry::default()).unwrap_err().to_string();
            assert!(message.contains("`kernel`"), "{message}");
        }
        let row = FeatureSpec::row(6, 4);
        let message = build(&DepthwiseConvolutionConfig::default(), &row, &device).unwrap_err().to_string();
        assert!(message.contains("depthwise-convolution: its input is a row of 6 tokens of 4"), "{message}");
    }
}
