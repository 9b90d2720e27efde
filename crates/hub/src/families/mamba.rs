//! Mamba: Gu and Dao 2023, arXiv:2312.00752; and Falcon-Mamba: Zuo et al. 2024, arXiv:2410.05355.

use ansatz_arch_ssm::{MambaConfig, SelectionNorm};
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result, role};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::counted_behind::CountedBehind;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "mamba", matches: |folder| folder.model_type() == Some("mamba"), open };

pub(super) const FALCON: Family = Family {
    name: "falcon-mamba",
    matches: |folder| folder.model_type() == Some("falcon_mamba"),
    open: open_falcon,
};

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mamba {
    vocab_size: usize,
    hidden_size: usize,
    state_size: usize,
    num_hidden_layers: usize,
    layer_norm_epsilon: f64,
    expand: usize,
    intermediate_size: Option<usize>,
    conv_kernel: usize,
    use_bias: bool,
    use_conv_bias: bool,
    hidden_act: String,
    time_step_rank: Rank,
    mixer_rms_eps: Option<f64>,
    tie_word_embeddings: bool,
}

impl Default for Mamba {
    fn default() -> Self {
        Self {
            vocab_size: 50280,
            hidden_size: 768,
            state_size: 16,
            num_hidden_layers: 32,
            layer_norm_epsilon: 1e-5,
            expand: 2,
            intermediate_size: None,
            conv_kernel: 4,
            use_bias: false,
            use_conv_bias: true,
            hidden_act: "silu".to_owned(),
            time_step_rank: Rank::automatic(),
            mixer_rms_eps: None,
            tie_word_embeddings: true,
        }
    }
}

/// The width of the time step's bottleneck: a number, or a sixteenth of the width.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum Rank {
    Number(usize),
    Word(Automatic),
}

impl Rank {
    /// A sixteenth of the width.
    pub(super) fn automatic() -> Self {
        Self::Word(Automatic::Auto)
    }

    /// The number, where it is one.
    pub(super) fn given(self) -> Option<usize> {
        match self {
            Self::Number(rank) => Some(rank),
            Self::Word(Automatic::Auto) => None,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Automatic {
    Auto,
}

/// How the parameters are drawn, and by which of several equal forms the numbers are computed.
const WITHOUT_EFFECT: &[&str] = &[
    "rescale_prenorm_residual",
    "residual_in_fp32",
    "time_step_floor",
    "time_step_init_scheme",
    "time_step_max",
    "time_step_min",
    "time_step_scale",
    "use_associative_scan",
    "use_falcon_mambapy",
    "use_mambapy",
];

/// The context with which the publishers trained; the network has no limit.
const LENGTH: usize = 2048;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: Mamba = Options::read(folder, WITHOUT_EFFECT)?;
    if let Some(epsilon) = options.mixer_rms_eps {
        return refuse(folder, "mixer_rms_eps", epsilon, "only in Falcon-Mamba");
    }
    let model = translate(folder, &options, SelectionNorm::None)?;
    Ok(Box::new(CountedBehind(model.open(folder, registry, device)?)))
}

fn open_falcon(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: Mamba = Options::read(folder, WITHOUT_EFFECT)?;
    let model = translate(folder, &options, SelectionNorm::Plain)?;
    Ok(Box::new(CountedBehind(model.open(folder, registry, device)?)))
}

fn translate(folder: &Folder, options: &Mamba, norm: SelectionNorm) -> Result<LanguageModel> {
    if options.hidden_act != "silu" {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    let mixer = MambaConfig {
        channels: Some(options.intermediate_size.unwrap_or(options.expand * options.hidden_size)),
        state: options.state_size,
        window: options.conv_kernel,
        rank: options.time_step_rank.given(),
        bias: options.use_bias,
        convolution_bias: options.use_conv_bias,
        selection_norm: norm,
        epsilon: options.mixer_rms_eps.unwrap_or(1e-6),
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

/// What Mamba and Mamba-2 publish alike: mixers behind norms, and no channel mixers.
pub(super) struct Frame {
    pub(super) vocabulary: usize,
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) epsilon: f64,
    pub(super) tied: bool,
}

impl Frame {
    /// The model with the mixer `mixer`, whose key table `mixer_names(table, published, ours)` writes for each layer.
    pub(super) fn model(
        self,
        mixer: Choice<role::Mixer>,
        mixer_names: impl Fn(&mut Names, &str, &str),
    ) -> LanguageModel {
        let mut names = Names::new();
        names.same("backbone.embeddings.weight", EMBEDDING);
        for layer in 0..self.layers {
            let (published, ours) = (format!("backbone.layers.{layer}"), format!("backbone.blocks.{layer}"));
            names.scale(&format!("{published}.norm"), &format!("{ours}.mixer_norm"));
            mixer_names(&mut names, &format!("{published}.mixer"), &format!("{ours}.mixer"));
        }
        names.scale("backbone.norm_f", "backbone.norm");
        if !self.tied {
            names.linear("lm_head", "head.output");
        }
        LanguageModel {
            vocabulary: self.vocabulary,
            length: LENGTH,
            embedding: EmbeddingConfig::default(),
            stack: StackConfig {
                width: self.width,
                depth: self.layers,
                pattern: vec![mixer],
                channels: Vec::new(),
                norm: NormConfig::rms(self.epsilon),
                positions: PositionKind::None,
                ..StackConfig::default()
            },
            head: LanguageModelConfig { tied: self.tied, ..LanguageModelConfig::default() },
            blocks_per_layer: 1,
            names,
        }
    }
}

/// The parameters of one mixer, here and in hybrids.
pub(super) fn mixer_names(names: &mut Names, published: &str, ours: &str, config: &MambaConfig) {
    names.linear_maybe_bias(&format!("{published}.in_proj"), &format!("{ours}.input"), config.bias);
    convolution_names(names, published, ours, config.convolution_bias);
    names.linear(&format!("{published}.x_proj"), &format!("{ours}.selection"));
    if config.selection_norm == SelectionNorm::Scaled {
        for (theirs, norm) in [("dt", "step"), ("b", "input"), ("c", "output")] {
            names.scale(&format!("{published}.{theirs}_layernorm"), &format!("{ours}.{norm}_norm"));
        }
    }
    names.linear_with_bias(&format!("{published}.dt_proj"), &format!("{ours}.step"));
    names.same(format!("{published}.A_log"), format!("{ours}.rate"));
    names.same(format!("{published}.D"), format!("{ours}.skip"));
    names.linear_maybe_bias(&format!("{published}.out_proj"), &format!("{ours}.output"), config.bias);
}

/// The convolution of a state-space mixer.
pub(super) fn convolution_names(names: &mut Names, published: &str, ours: &str, bias: bool) {
    names.unsqueezed(format!("{published}.conv1d.weight"), format!("{ours}.convolution.weight"), 1);
    if bias {
        names.same(format!("{published}.conv1d.bias"), format!("{ours}.convolution.bias"));
    }
}
