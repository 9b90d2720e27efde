//! Mixtral: Jiang et al., Mixtral of Experts, 2024, arXiv:2401.04088.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{ExpertsConfig, Scores};
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::activation;
use super::rope::RopeParameters;
use crate::experts::ExpertNames;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject};

pub(super) const FAMILY: Family =
    Family { name: "mixtral", matches: |folder| folder.model_type() == Some("mixtral"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mixtral {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: String,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    sliding_window: Option<usize>,
    num_experts_per_tok: usize,
    num_local_experts: usize,
    tie_word_embeddings: bool,
    #[serde(alias = "rope_scaling")]
    rope_parameters: Option<RopeParameters>,
    rope_theta: f64,
}

impl Default for Mixtral {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            hidden_size: 4096,
            intermediate_size: 14336,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(8),
            head_dim: None,
            hidden_act: "silu".to_owned(),
            max_position_embeddings: 131_072,
            rms_norm_eps: 1e-5,
            sliding_window: None,
            num_experts_per_tok: 2,
            num_local_experts: 8,
            tie_word_embeddings: false,
            rope_parameters: None,
            rope_theta: 1e6,
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Mixtral = Options::read(folder, &[])?;
    let rope = options.rope_parameters.clone().unwrap_or_default();
    let length = options.max_position_embeddings;
    let attention = AttentionConfig {
        heads: options.num_attention_heads,
        key_value_heads: options.num_key_value_heads,
        head_width: options.head_dim,
        causal: true,
        window: options.sliding_window,
        bias: false,
        rope: Some(rope.rotary(folder, options.rope_theta, 1.0, length)?),
        ..AttentionConfig::default()
    };
    let experts = ExpertsConfig {
        experts: options.num_local_experts,
        chosen: options.num_experts_per_tok,
        hidden: Some(options.intermediate_size),
        activation: activation(folder, "hidden_act", &options.hidden_act)?,
        scores: Scores::Softmax,
        renormalize: true,
        // The published class adds this loss on demand alone.
        balance: 0.0,
        ..ExpertsConfig::default()
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: vec![Choice::typed(&attention)?],
            channels: vec![Choice::typed(&experts)?],
            norm: NormConfig::rms(options.rms_norm_eps),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options, &attention, &experts),
    })
}

fn names(options: &Mixtral, attention: &AttentionConfig, experts: &ExpertsConfig) -> Names {
    let mut names = Names::new();
    names.decoder_ends("model", options.tie_word_embeddings);
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
        names.attention(&format!("{published}.self_attn"), &format!("{ours}.mixer"), attention);
        names.scale(&format!("{published}.post_attention_layernorm"), &format!("{ours}.channel_norm"));
        let (published, ours) = (format!("{published}.block_sparse_moe"), format!("{ours}.channel"));
        names.experts(&published, &ours, experts, ExpertNames::MIXTRAL);
    }
    names
}
