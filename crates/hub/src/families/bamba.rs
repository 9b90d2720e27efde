//! Bamba: IBM, Princeton, CMU and UIUC 2024, huggingface.co/blog/bamba. Mamba-2 with some layers of attention.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_ssm::Mamba2Config;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::mamba2::{StepLimits, mixer_names};
use super::rope::RopeParameters;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "bamba", matches: |folder| folder.model_type() == Some("bamba"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Bamba {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    hidden_act: String,
    rms_norm_eps: f64,
    max_position_embeddings: usize,
    attn_layer_indices: Option<Vec<usize>>,
    attention_bias: bool,
    mlp_bias: bool,
    mamba_n_heads: usize,
    mamba_n_groups: usize,
    mamba_d_state: usize,
    mamba_d_conv: usize,
    mamba_expand: usize,
    mamba_conv_bias: bool,
    mamba_proj_bias: bool,
    time_step_limit: StepLimits,
    #[serde(alias = "rope_scaling")]
    rope_parameters: Option<RopeParameters>,
    rope_theta: f64,
    tie_word_embeddings: bool,
}

impl Default for Bamba {
    fn default() -> Self {
        Self {
            vocab_size: 128_000,
            hidden_size: 4096,
            intermediate_size: 14336,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(8),
            hidden_act: "silu".to_owned(),
            rms_norm_eps: 1e-5,
            max_position_embeddings: 262_144,
            attn_layer_indices: None,
            attention_bias: false,
            mlp_bias: false,
            mamba_n_heads: 128,
            mamba_n_groups: 1,
            mamba_d_state: 256,
            mamba_d_conv: 4,
            mamba_expand: 2,
            mamba_conv_bias: true,
            mamba_proj_bias: false,
            time_step_limit: StepLimits::default(),
            rope_parameters: None,
            rope_theta: 10000.0,
            tie_word_embeddings: false,
        }
    }
}

/// Sizes that follow from others, chunks of the computation, and losses of training.
const WITHOUT_EFFECT: &[&str] =
    &["mamba_chunk_size", "mamba_d_head", "num_logits_to_keep", "z_loss_coefficient"];

/// The share of each head that is turned by its position.
const TURNED: f64 = 0.5;

impl Bamba {
    fn attends(&self, layer: usize) -> bool {
        self.attn_layer_indices.as_ref().is_some_and(|layers| layers.contains(&layer))
    }

    fn mixer(&self, folder: &Folder) -> Result<Mamba2Config> {
        let (shortest_step, longest_step) = self.time_step_limit.bounds(folder)?;
        Ok(Mamba2Config {
            channels: Some(self.mamba_expand * self.hidden_size),
            heads: self.mamba_n_heads,
            groups: self.mamba_n_groups,
            state: self.mamba_d_state,
            window: self.mamba_d_conv,
            bias: self.mamba_proj_bias,
            convolution_bias: self.mamba_conv_bias,
            shortest_step,
            longest_step,
            epsilon: self.rms_norm_eps,
            ..Mamba2Config::default()
        })
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Bamba = Options::read(folder, WITHOUT_EFFECT)?;
    if options.hidden_act != "silu" {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    let mixer = options.mixer(folder)?;
    let rope = options.rope_parameters.clone().unwrap_or_default();
    let attention = AttentionConfig {
        heads: options.num_attention_heads,
        key_value_heads: options.num_key_value_heads,
        causal: true,
        bias: options.attention_bias,
        rope: Some(rope.rotary(folder, options.rope_theta, TURNED, options.max_position_embeddings)?),
        ..AttentionConfig::default()
    };
    let channel = GatedMlpConfig {
        hidden: Some(options.intermediate_size),
        bias: options.mlp_bias,
        ..GatedMlpConfig::default()
    };
    let names = names(&options, &mixer, &attention);
    let (mamba, attention) = (Choice::typed(&mixer)?, Choice::typed(&attention)?);
    let choose = |layer: usize| if options.attends(layer) { attention.clone() } else { mamba.clone() };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: (0..options.num_hidden_layers).map(choose).collect(),
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig::rms(options.rms_norm_eps),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names,
    })
}

fn names(options: &Bamba, mixer: &Mamba2Config, attention: &AttentionConfig) -> Names {
    let mut names = Names::new();
    names.same("model.embed_tokens.weight", EMBEDDING);
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
        if options.attends(layer) {
            names.attention(&format!("{published}.self_attn"), &format!("{ours}.mixer"), attention);
        } else {
            mixer_names(&mut names, &format!("{published}.mamba"), &format!("{ours}.mixer"), mixer);
        }
        names.scale(&format!("{published}.pre_ff_layernorm"), &format!("{ours}.channel_norm"));
        names.gated_mlp(&format!("{published}.feed_forward"), &format!("{ours}.channel"), options.mlp_bias);
    }
    names.scale("model.final_layernorm", "backbone.norm");
    if !options.tie_word_embeddings {
        names.linear("lm_head", "head.output");
    }
    names
}
