//! What the networks of Time-Series-Library (thuml) have in common: one list of options for all, of which
//! each reads some.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{Activation, MlpConfig};
use ansatz_arch_stack::{Arrangement, PositionKind, StackConfig};
use ansatz_core::{Choice, Result, Target};
use ansatz_ops::NormConfig;
use serde::Deserialize;

use crate::{Folder, Names, Options, refuse};

/// The inputs that the networks here do not read.
pub(super) const IGNORED: &[&str] = &["x_mark", "decoder_x", "decoder_mark"];

/// Whether a checkpoint is of the library's network `name`, by its module.
pub(super) fn is(folder: &Folder, name: &str) -> bool {
    let class = folder.class().and_then(|class| class.strip_suffix(".Model"));
    class.is_some_and(|module| module.strip_prefix("models.").unwrap_or(module) == name)
}

/// The published options that change numbers of the networks here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TslibOptions {
    task_name: String,
    pub(super) seq_len: usize,
    pub(super) pred_len: usize,
    pub(super) enc_in: usize,
    #[serde(default)]
    pub(super) d_model: usize,
    #[serde(default)]
    n_heads: usize,
    #[serde(default)]
    d_ff: Option<usize>,
    #[serde(default)]
    pub(super) e_layers: usize,
    #[serde(default)]
    activation: String,
    #[serde(default)]
    pub(super) moving_avg: usize,
    #[serde(default = "published_embed")]
    pub(super) embed: String,
    #[serde(default = "published_freq")]
    pub(super) freq: String,
    /// DLinear: an argument of the class.
    #[serde(default)]
    pub(super) individual: bool,
    /// PatchTST: arguments of the class.
    #[serde(default = "published_patch")]
    pub(super) patch_len: usize,
    #[serde(default = "published_stride")]
    pub(super) stride: usize,
}

fn published_embed() -> String {
    "timeF".to_owned()
}

fn published_freq() -> String {
    "h".to_owned()
}

fn published_patch() -> usize {
    16
}

fn published_stride() -> usize {
    8
}

impl TslibOptions {
    /// The options of `folder`, whose network forecasts.
    pub(super) fn read(folder: &Folder) -> Result<Self> {
        // Of decoders, of sampled attention, of periods and of training: the networks here have none of them.
        let without_effect = &[
            "label_len",
            "dec_in",
            "c_out",
            "d_layers",
            "factor",
            "distil",
            "top_k",
            "num_kernels",
            "output_attention",
        ];
        let options: Self = Options::read(folder, without_effect)?;
        match options.task_name.as_str() {
            "long_term_forecast" | "short_term_forecast" => Ok(options),
            other => refuse(folder, "task_name", other, "long_term_forecast or short_term_forecast"),
        }
    }

    /// What is foretold; `apart`: whether channels pass the network one by one.
    pub(super) fn target(&self, apart: bool) -> Target {
        let channels = (0..self.enc_in).map(|channel| channel.to_string()).collect();
        Target::Series { channels, horizon: self.pred_len, apart, naive: Vec::new() }
    }

    /// The encoder, whose last norm is `closing`.
    pub(super) fn stack(&self, positions: PositionKind, closing: NormConfig) -> Result<StackConfig> {
        let attention = AttentionConfig {
            heads: self.n_heads,
            // The published heads are as wide as divides, and may leave some of the width out.
            head_width: (self.n_heads > 0).then(|| self.d_model / self.n_heads),
            ..AttentionConfig::default()
        };
        let hidden = self.d_ff.filter(|hidden| *hidden > 0).unwrap_or(4 * self.d_model);
        // Every name but one means the other function.
        let activation = if self.activation == "relu" { Activation::Relu } else { Activation::Gelu };
        let channel = MlpConfig { hidden: Some(hidden), activation, ..MlpConfig::default() };
        Ok(StackConfig {
            width: self.d_model,
            depth: self.e_layers,
            pattern: vec![Choice::typed(&attention)?],
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig::layer(1e-5),
            closing_norm: Some(closing),
            arrangement: Arrangement::Post,
            positions,
            ..StackConfig::default()
        })
    }

    /// The names of the encoder's layers.
    pub(super) fn layer_names(&self) -> Names {
        let mut names = Names::new();
        for layer in 0..self.e_layers {
            let (published, ours) =
                (format!("encoder.attn_layers.{layer}"), format!("backbone.blocks.{layer}"));
            for (map, part) in [("query", "query"), ("key", "key"), ("value", "value"), ("out", "output")] {
                names.linear_with_bias(
                    &format!("{published}.attention.{map}_projection"),
                    &format!("{ours}.mixer.{part}"),
                );
            }
            for (map, part) in [("conv1", "expand"), ("conv2", "contract")] {
                names.pointwise(format!("{published}.{map}.weight"), format!("{ours}.channel.{part}.weight"));
                names.same(format!("{published}.{map}.bias"), format!("{ours}.channel.{part}.bias"));
            }
            names.scale_and_shift(&format!("{published}.norm1"), &format!("{ours}.mixer_norm"));
            names.scale_and_shift(&format!("{published}.norm2"), &format!("{ours}.channel_norm"));
        }
        names
    }
}
