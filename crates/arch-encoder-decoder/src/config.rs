//! The typed config of an encoder–decoder.

use ansatz_core::{
    BackboneConfig, BoxedBackbone, BoxedChannel, Build, Choice, Component, ConfigError, FeatureSpec,
    Registry, Result, role,
};
use ansatz_ops::NormConfig;
use burn::nn::{DropoutConfig, Initializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attention::Heads;
use crate::{Block, EncoderDecoder, LearnedPositions, MemoryAttention, RelativePositions, Stage};

/// An encoder of a source, and a decoder that looks at what it made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderDecoderConfig {
    /// Values per token of source and target, 1 up to 65536.
    #[schemars(range(min = 1, max = 65536))]
    pub width: usize,
    /// What reads the source, both ways.
    pub encoder: StageConfig,
    /// What makes the target, from the first token to the last.
    pub decoder: StageConfig,
    /// How tokens are told where they stand.
    pub positions: Positions,
    /// Every norm.
    pub norm: NormConfig,
    /// Whether the norms stand before the branches; else behind the additions.
    pub norm_first: bool,
    /// Whether the tokens are brought to one scale before the first block.
    pub first_norm: bool,
    /// Whether the tokens are brought to one scale behind the last block.
    pub last_norm: bool,
    /// Whether scores are divided by the root of the head width.
    pub scaled: bool,
    /// Whether the maps of the attentions add a bias.
    pub bias: bool,
    /// Probability with which each value of a branch is dropped while training, 0 up to but not including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

/// An encoder or a decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StageConfig {
    /// Blocks, 1 up to 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub depth: usize,
    /// Heads of every attention, at least 1. They must divide the width unless `head_width` is given.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Values per head, at least 1. Left out: the width of the tokens divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_width: Option<usize>,
    /// The channel mixer of every block.
    pub channel: Choice<role::Channel>,
}

/// How tokens are told where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Positions {
    /// Not at all: the features tell it already.
    None {},
    /// A learned vector for each position is added, in encoder and decoder apart.
    Learned {
        /// The most tokens of source and target, at least 1.
        #[schemars(range(min = 1))]
        count: usize,
        /// Rows of the table before that of the first token, which nothing reads; 2 in BART.
        #[serde(default)]
        unread: usize,
    },
    /// The scores of every attention among tokens have a learned bias by distance, one for each head and bucket of
    /// distances.
    Relative {
        /// Buckets, at least 4 and even.
        #[schemars(range(min = 4))]
        buckets: usize,
        /// From this distance on tokens share the last bucket; more than half of the buckets.
        distance: usize,
    },
}

impl Default for EncoderDecoderConfig {
    /// As in T5 1.1, in small, with biases and norms of the original Transformer.
    fn default() -> Self {
        Self {
            width: 64,
            encoder: StageConfig::default(),
            decoder: StageConfig::default(),
            positions: Positions::Relative { buckets: 32, distance: 128 },
            norm: NormConfig::default(),
            norm_first: true,
            first_norm: false,
            last_norm: true,
            scaled: true,
            bias: true,
            dropout: 0.0,
        }
    }
}

impl Default for StageConfig {
    fn default() -> Self {
        Self { depth: 2, heads: 4, head_width: None, channel: Choice::of("mlp") }
    }
}

impl Component for EncoderDecoderConfig {
    const KIND: &'static str = "encoder-decoder";
    const ABOUT: &'static str =
        "a Transformer that reads a source both ways and makes a target token by token with an eye on it";
    const CITATION: &'static str = "Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762; relative \
        positions: Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text \
        Transformer, 2020, arXiv:1910.10683";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        self.check()?;
        self.encoder.channel.complete("encoder.channel", registry)?;
        self.decoder.channel.complete("decoder.channel", registry)
    }
}

impl EncoderDecoderConfig {
    /// Checks the ranges of its own values.
    fn check(&self) -> Result<(), ConfigError> {
        let whole = |path: &str, value: usize, least: usize, most: usize| {
            let problem = || ConfigError::value(path, value.to_string(), format!("{least} up to {most}"));
            if (least..=most).contains(&value) { Ok(()) } else { Err(problem()) }
        };
        whole("width", self.width, 1, 65536)?;
        for (name, stage) in [("encoder", &self.encoder), ("decoder", &self.decoder)] {
            whole(&format!("{name}.depth"), stage.depth, 1, 1024)?;
            whole(&format!("{name}.heads"), stage.heads, 1, 65536)?;
            match stage.head_width {
                Some(head_width) => whole(&format!("{name}.head_width"), head_width, 1, 65536)?,
                None if self.width.is_multiple_of(stage.heads) => {}
                None => {
                    let problem = format!("{} heads do not divide a width of {}", stage.heads, self.width);
                    let expected = format!("a divisor of {}, or `head_width`", self.width);
                    return Err(ConfigError::value(format!("{name}.heads"), problem, expected));
                }
            }
        }
        match self.positions {
            Positions::None {} => {}
            Positions::Learned { count, unread } => {
                whole("positions.count", count, 1, 1 << 24)?;
                whole("positions.unread", unread, 0, 1 << 16)?;
            }
            Positions::Relative { buckets, distance } => {
                whole("positions.buckets", buckets, 4, 65536)?;
                if !buckets.is_multiple_of(2) {
                    return Err(ConfigError::value(
                        "positions.buckets",
                        buckets.to_string(),
                        "an even number",
                    ));
                }
                whole("positions.distance", distance, buckets / 2 + 1, 1 << 24)?;
            }
        }
        self.norm.check().map_err(|(key, problem, expected)| {
            ConfigError::value(format!("norm.{key}"), problem, expected)
        })?;
        if (0.0..1.0).contains(&self.dropout) {
            return Ok(());
        }
        let problem = format!("a probability of {}", self.dropout);
        Err(ConfigError::value("dropout", problem, "0 up to but not including 1"))
    }

    /// Builds the network for targets of shape `input`.
    ///
    /// # Errors
    /// When a value is out of range, or the features have another width.
    pub fn build(&self, input: &FeatureSpec, build: &Build) -> Result<EncoderDecoder> {
        self.check()?;
        if input.width != self.width {
            let problem = format!("{} but the stem makes tokens of {}", self.width, input.width);
            return Err(ConfigError::value("width", problem, format!("{}", input.width)).into());
        }
        Ok(EncoderDecoder {
            encoder: self.stage("encoder", &self.encoder, false, build)?,
            decoder: self.stage("decoder", &self.decoder, true, build)?,
        })
    }

    fn stage(&self, name: &str, stage: &StageConfig, causal: bool, build: &Build) -> Result<Stage> {
        let device = build.device;
        let norm = |wanted: bool| wanted.then(|| self.norm.init(self.width, device));
        let path = format!("{name}.channel");
        let channel = |index: usize| -> Result<BoxedChannel> {
            let channel = stage.channel.resolve(&path, build.registry)?;
            channel.init(self.width, &build.at(index, stage.depth)).map_err(|error| error.under(&path))
        };
        let heads = Heads {
            count: stage.heads,
            width: stage.head_width.unwrap_or(self.width / stage.heads),
            scaled: self.scaled,
            bias: self.bias,
        };
        let attention = || MemoryAttention::new(self.width, heads, device);
        let block = |index: usize| {
            Ok(Block {
                attention_norm: self.norm.init(self.width, device),
                attention: attention(),
                cross_norm: norm(causal),
                cross: causal.then(attention),
                channel_norm: self.norm.init(self.width, device),
                channel: channel(index)?,
                dropout: DropoutConfig::new(self.dropout).init(),
                norm_first: self.norm_first,
            })
        };
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        Ok(Stage {
            learned: match self.positions {
                Positions::Learned { count, unread } => {
                    let table = normal.init([unread + count, self.width], device);
                    Some(LearnedPositions { table, unread })
                }
                _ => None,
            },
            relative: match self.positions {
                Positions::Relative { buckets, distance } => {
                    let sizes = [buckets, stage.heads];
                    Some(RelativePositions::new(sizes, distance, causal, self.width, device))
                }
                _ => None,
            },
            first_norm: norm(self.first_norm),
            blocks: (0..stage.depth).map(block).collect::<Result<_>>()?,
            norm: norm(self.last_norm),
            causal,
        })
    }
}

impl BackboneConfig for EncoderDecoderConfig {
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
    use ansatz_arch_channel::MlpConfig;

    #[test]
    fn values_out_of_range_are_named() {
        let default = EncoderDecoderConfig::default;
        let stage = StageConfig::default;
        let relative = |buckets, distance| Positions::Relative { buckets, distance };
        let wrong = [
            ("width", EncoderDecoderConfig { width: 0, ..default() }),
            (
                "encoder.depth",
                EncoderDecoderConfig { encoder: StageConfig { depth: 0, ..stage() }, ..default() },
            ),
            (
                "decoder.heads",
                EncoderDecoderConfig { decoder: StageConfig { heads: 5, ..stage() }, ..default() },
            ),
            ("positions.buckets", EncoderDecoderConfig { positions: relative(5, 20), ..default() }),
            ("positions.distance", EncoderDecoderConfig { positions: relative(32, 16), ..default() }),
            (
                "positions.count",
                EncoderDecoderConfig { positions: Positions::Learned { count: 0, unread: 0 }, ..default() },
            ),
            ("dropout", EncoderDecoderConfig { dropout: 1.0, ..default() }),
        ];
        let registry = Registry::default().channel::<MlpConfig>();
        for (key, mut config) in wrong {
            let message = config.complete(&registry).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{key}: {message}");
        }
    }

    #[test]
    fn a_config_file_names_positions_and_channel_mixers() {
        let text = "[positions]\nkind = \"learned\"\ncount = 7\n[encoder]\nchannel = { kind = \"mlp\", expansion = 2.0 }";
        let registry = Registry::default().channel::<MlpConfig>();
        let mut config: EncoderDecoderConfig = ansatz_core::parse(text.parse().unwrap()).unwrap();
        config.complete(&registry).unwrap();
        assert_eq!(config.positions, Positions::Learned { count: 7, unread: 0 });
        let wrong = text.replace("count", "buckets");
        assert!(ansatz_core::parse::<EncoderDecoderConfig>(wrong.parse().unwrap()).is_err());
    }
}
