//! The average of a token's neighbours: PoolFormer's mixer, which has no parameters.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Registry, Result};
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::picture::on_grid;

/// The average of each token's neighbours, less the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AveragePoolConfig {
    /// Side of the square of tokens that is averaged, odd, 1 up to 255.
    #[schemars(range(min = 1, max = 255))]
    pub size: usize,
}

impl Default for AveragePoolConfig {
    fn default() -> Self {
        Self { size: 3 }
    }
}

impl Component for AveragePoolConfig {
    const KIND: &'static str = "average-pool";
    const ABOUT: &'static str =
        "the average of each token's neighbours in a picture, less the token: a mixer without parameters";
    const CITATION: &'static str =
        "Yu et al., MetaFormer Is Actually What You Need for Vision, 2022, arXiv:2111.11418";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.size <= 255 && !self.size.is_multiple_of(2) {
            return Ok(());
        }
        Err(ConfigError::value(
            "size",
            format!("a side of {} tokens", self.size),
            "an odd number, 1 up to 255",
        ))
    }
}

impl MixerConfig for AveragePoolConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        self.clone().complete(build.registry)?;
        build.grid_for(Self::KIND)?;
        Ok(BoxedMixer::new(AveragePool { size: self.size, width }))
    }
}

/// The average of a token's neighbours, less the token (Yu et al. 2022, equation 4):
///
/// ```text
/// y(i, j) = mean over p, q < K of x(i + p − K/2, j + q − K/2) − x(i, j)
/// ```
///
/// with K / 2 rounded down; only tokens inside the picture are counted.
///
/// # Shapes
/// A picture of tokens `[batch, height × width, width]` → the same.
#[derive(Module, Debug)]
pub struct AveragePool {
    size: usize,
    width: usize,
}

impl Mixer for AveragePool {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let around = self.size / 2;
        let averages = on_grid(tokens.clone(), context, |picture| {
            let windows = AvgPoolOptions {
                kernel_size: [self.size; 2],
                stride: [1; 2],
                padding: [(around, around); 2],
                count_include_pad: false,
                ceil_mode: false,
            };
            avg_pool2d(picture, windows)
        });
        averages - tokens
    }

    fn flops(&self, length: usize) -> u64 {
        (length * self.width * (self.size * self.size + 1)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{FeatureSpec, Grid};
    use burn::tensor::{Device, Distribution};

    fn build(config: &AveragePoolConfig, input: &FeatureSpec, device: &Device) -> Result<BoxedMixer> {
        let registry = Registry::default();
        config.init(input.width, &Build::new(&registry, device).over(*input))
    }

    #[test]
    fn every_token_is_the_mean_of_those_around_it() {
        let device = ansatz_device::open("cpu").unwrap();
        for (size, [height, width]) in [(1, [2, 3]), (3, [4, 3]), (3, [1, 1]), (5, [3, 6])] {
            let grid = Grid { height, width };
            let input = FeatureSpec::picture(grid, 2);
            let mixer = build(&AveragePoolConfig { size }, &input, &device).unwrap();
            let tokens = Tensor::<3>::random([2, input.length, 2], Distribution::Default, &device);
            let context = Context { grid: Some(grid), ..Context::default() };
            let values = |x: Tensor<3>| x.into_data().try_to_vec::<f32>().unwrap();
            let found = values(mixer.forward(tokens.clone(), &context));
            let x = values(tokens);
            let at = |example: usize, y: usize, x: usize, channel: usize| {
                ((example * height + y) * width + x) * 2 + channel
            };
            let near = |centre: usize, side: usize| {
                centre.saturating_sub(size / 2)..(centre + size / 2 + 1).min(side)
            };
            for example in 0..2 {
                for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
                    for channel in 0..2 {
                        let inside = near(row, height).flat_map(|y| near(column, width).map(move |x| (y, x)));
                        let around: Vec<f32> =
                            inside.map(|(row, column)| x[at(example, row, column, channel)]).collect();
                        let own = at(example, row, column, channel);
                        let expected = around.iter().sum::<f32>() / around.len() as f32 - x[own];
                        assert!((found[own] - expected).abs() < 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn pooling_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for size in [1, 3, 5] {
            let config = AveragePoolConfig { size };
            let checked = ansatz_conformance::mixer_over(|input, device| build(&config, input, device))
                .inputs(ansatz_conformance::grids(4))
                .check(&device);
            checked.unwrap_or_else(|failure| panic!("{config:?}: {failure}"));
        }
    }

    #[test]
    fn what_cannot_be_pooled_is_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        for size in [0, 2, 257] {
            let message = AveragePoolConfig { size }.complete(&Registry::default()).unwrap_err().to_string();
            assert!(message.contains("`size`"), "{message}");
        }
        let row = FeatureSpec::row(6, 4);
        let message = build(&AveragePoolConfig::default(), &row, &device).unwrap_err().to_string();
        assert!(message.contains("average-pool: its input is a row of 6 tokens of 4"), "{message}");
    }
}
