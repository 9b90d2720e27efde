//! Mamba-2: Dao and Gu 2024, arXiv:2405.21060.

use ansatz_arch_ssm::{Gating, Mamba2Config};
use ansatz_core::{Choice, Registry, Result};
use burn::tensor::Device;
use serde::Deserialize;

use super::mamba::{Frame, convolution_names};
use crate::counted_behind::CountedBehind;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "mamba-2", matches: |folder| folder.model_type() == Some("mamba2"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mamba2 {
    vocab_size: usize,
    hidden_size: usize,
    num_heads: usize,
    head_dim: usize,
    state_size: usize,
    num_hidden_layers: usize,
    layer_norm_epsilon: f64,
    expand: f64,
    conv_kernel: usize,
    n_groups: usize,
    use_bias: bool,
    use_conv_bias: bool,
    hidden_act: String,
    time_step_limit: StepLimits,
    tie_word_embeddings: bool,
}

impl Default for Mamba2 {
    fn default() -> Self {
        Self {
            vocab_size: 32768,
            hidden_size: 4096,
            num_heads: 128,
            head_dim: 64,
            state_size: 128,
            num_hidden_layers: 64,
            layer_norm_epsilon: 1e-5,
            expand: 2.0,
            conv_kernel: 4,
            n_groups: 8,
            use_bias: false,
            use_conv_bias: true,
            hidden_act: "silu".to_owned(),
            time_step_limit: StepLimits::default(),
            tie_word_embeddings: false,
        }
    }
}

/// The shortest and the longest time step, each a number or, as JSON has no infinity, that word.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StepLimits([Limit; 2]);

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Limit {
    Number(f64),
    Word {
        #[serde(rename = "__float__")]
        word: String,
    },
}

impl Default for StepLimits {
    fn default() -> Self {
        Self([Limit::Number(0.0), Limit::Word { word: "Infinity".to_owned() }])
    }
}

impl StepLimits {
    /// The shortest and the longest time step, the latter if there is one.
    pub(super) fn bounds(&self, folder: &Folder) -> Result<(f64, Option<f64>)> {
        match &self.0 {
            [Limit::Number(shortest), Limit::Number(longest)] => Ok((*shortest, Some(*longest))),
            [Limit::Number(shortest), Limit::Word { word }] if word == "Infinity" => Ok((*shortest, None)),
            given => refuse(folder, "time_step_limit", given, "a number, and a larger one or Infinity"),
        }
    }
}

/// How the parameters are drawn, and how long the chunks are that the numbers are computed in.
const WITHOUT_EFFECT: &[&str] = &[
    "chunk_size",
    "rescale_prenorm_residual",
    "residual_in_fp32",
    "time_step_floor",
    "time_step_max",
    "time_step_min",
    "time_step_rank",
];

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(CountedBehind(translate(folder)?.open(folder, registry, device)?)))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Mamba2 = Options::read(folder, WITHOUT_EFFECT)?;
    if options.hidden_act != "silu" {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    let channels = options.num_heads * options.head_dim;
    if channels as f64 != options.expand * options.hidden_size as f64 {
        return refuse(folder, "expand", options.expand, "num_heads × head_dim / hidden_size");
    }
    let (shortest_step, longest_step) = options.time_step_limit.bounds(folder)?;
    let mixer = Mamba2Config {
        channels: Some(channels),
        heads: options.num_heads,
        groups: options.n_groups,
        state: options.state_size,
        window: options.conv_kernel,
        bias: options.use_bias,
        convolution_bias: options.use_conv_bias,
        shortest_step,
        longest_step,
        epsilon: options.layer_norm_epsilon,
        ..Mamba2Config::default()
    };
    let frame = Frame {
        vocabulary: options.vocab_size,
        width: options.hidden_size,
        layers: options.num_hidden_layers,
        epsilon: options.layer_norm_epsilon,
        tied: options.tie_word_embeddings,
    };
    Ok(frame
        .model(Choice::typed(&mixer)?, |names, published, ours| mixer_names(names, published, ours, &mixer)))
}

/// The parameters of one mixer, here and in hybrids.
pub(super) fn mixer_names(names: &mut Names, published: &str, ours: &str, config: &Mamba2Config) {
    names.linear_maybe_bias(&format!("{published}.in_proj"), &format!("{ours}.input"), config.bias);
    convolution_names(names, published, ours, config.convolution_bias);
    for (theirs, part) in [("dt_bias", "step_bias"), ("A_log", "rate"), ("D", "skip")] {
        names.same(format!("{published}.{theirs}"), format!("{ours}.{part}"));
    }
    if config.gating != Gating::Plain {
        names.scale(&format!("{published}.norm"), &format!("{ours}.gate"));
    }
    names.linear_maybe_bias(&format!("{published}.out_proj"), &format!("{ours}.output"), config.bias);
}
