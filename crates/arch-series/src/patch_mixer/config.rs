//! The typed config of PatchTSMixer.

use ansatz_core::{
    BackboneConfig, BoxedBackbone, Build, Choice, Component, ConfigError, FeatureSpec, Grid, Registry,
    Result, role,
};
use ansatz_ops::NormConfig;
use burn::nn::Initializer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MixerBlock, PatchMixer};

/// Blocks of MLPs along patches and along values, and on demand along channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatchMixerConfig {
    /// Values per token, 1 up to 65536.
    #[schemars(range(min = 1, max = 65536))]
    pub width: usize,
    /// Blocks, 1 up to 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub depth: usize,
    /// Hidden width of each MLP as a multiple of what it maps, 1 up to 64.
    #[schemars(range(min = 1, max = 64))]
    pub expansion: usize,
    /// Whether each MLP is gated.
    pub gated: bool,
    /// Whether channels are mixed too.
    pub mix_channels: bool,
    /// A sequence mixer over the patches of each channel, beside the MLP along patches. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixer: Option<Choice<role::Mixer>>,
    /// The norm before each MLP.
    pub norm: NormConfig,
    /// Whether a learned vector is added to each patch of a channel, by its place.
    pub positions: bool,
    /// Probability with which each value inside and behind an MLP is dropped while training, 0 up to but not
    /// including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

impl Default for PatchMixerConfig {
    fn default() -> Self {
        Self {
            width: 64,
            depth: 3,
            expansion: 2,
            gated: true,
            mix_channels: false,
            mixer: None,
            norm: NormConfig::layer(1e-5),
            positions: false,
            dropout: 0.0,
        }
    }
}

impl Component for PatchMixerConfig {
    const KIND: &'static str = "patch-mixer";
    const ABOUT: &'static str =
        "MLPs along the patches of a series, along their values and on demand along its channels";
    const CITATION: &'static str = "Ekambaram et al., TSMixer: Lightweight MLP-Mixer Model for Multivariate Time Series \
        Forecasting, 2023, arXiv:2306.09364";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        for (name, value, largest) in
            [("width", self.width, 65536), ("depth", self.depth, 1024), ("expansion", self.expansion, 64)]
        {
            if !(1..=largest).contains(&value) {
                return Err(ConfigError::value(name, value.to_string(), format!("1 up to {largest}")));
            }
        }
        self.norm.check().map_err(|(key, problem, expected)| {
            ConfigError::value(format!("norm.{key}"), problem, expected)
        })?;
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("a probability of {}", self.dropout);
            return Err(ConfigError::value("dropout", problem, "0 up to but not including 1"));
        }
        if let Some(mixer) = &mut self.mixer {
            mixer.complete("mixer", registry)?;
        }
        Ok(())
    }
}

impl PatchMixerConfig {
    /// Builds the network for a picture whose rows are channels and whose columns are patches.
    ///
    /// # Errors
    /// When a value is out of range, or the features are no such picture.
    pub fn build(&self, input: &FeatureSpec, build: &Build) -> Result<PatchMixer> {
        self.clone().complete(build.registry)?;
        let Some(grid) = input.grid else {
            let problem = format!("it needs a grid of channels and patches, and is given {input}");
            let expected = "data.stem.patches.layout = \"grid\" beside it, or another backbone";
            return Err(ConfigError::value("kind", problem, expected).into());
        };
        if input.width != self.width {
            let problem = format!("{} but the stem makes tokens of {}", self.width, input.width);
            return Err(ConfigError::value("width", problem, input.width.to_string()).into());
        }
        let Grid { height: channels, width: patches } = grid;
        let blocks = (0..self.depth)
            .map(|index| MixerBlock::new(self, [channels, patches], &build.at(index, self.depth)));
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        Ok(PatchMixer {
            positions: self.positions.then(|| normal.init([patches, self.width], build.device)),
            blocks: blocks.collect::<Result<_>>()?,
            channels,
        })
    }
}

impl BackboneConfig for PatchMixerConfig {
    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input, build)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let default = PatchMixerConfig::default();
        for (config, path) in [
            (PatchMixerConfig { width: 0, ..default.clone() }, "width"),
            (PatchMixerConfig { depth: 0, ..default.clone() }, "depth"),
            (PatchMixerConfig { expansion: 65, ..default.clone() }, "expansion"),
            (PatchMixerConfig { norm: NormConfig::layer(0.0), ..default.clone() }, "norm.epsilon"),
            (PatchMixerConfig { mixer: Some(Choice::of("none")), ..default.clone() }, "mixer.kind"),
            (PatchMixerConfig { dropout: -0.1, ..default.clone() }, "dropout"),
        ] {
            let said = config.clone().complete(&Registry::default()).unwrap_err().to_string();
            assert!(said.contains(&format!("`{path}`")), "{said}");
        }
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let build = Build::new(&registry, &device);
        let said = default.build(&FeatureSpec::row(3, 64), &build).unwrap_err().to_string();
        assert!(said.contains("needs a grid"), "{said}");
        let grid = FeatureSpec::picture(Grid { height: 2, width: 3 }, 5);
        assert!(default.build(&grid, &build).unwrap_err().to_string().contains("`width`: 64"));
    }
}
