//! MiniMax-Text-01: MiniMax, MiniMax-01: Scaling Foundation Models with Lightning Attention, 2025, arXiv:2501.08313.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{Activation, ExpertsConfig, Scores};
use ansatz_arch_linear::LightningAttentionConfig;
use ansatz_arch_stack::{Arrangement, PositionKind, Scales, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::rope::RopeParameters;
use crate::experts::ExpertNames;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "minimax", matches: |folder| folder.model_type() == Some("minimax"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MiniMax {
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
    rope_parameters: Option<RopeParameters>,
    rope_theta: f64,
    layer_types: Option<Vec<String>>,
    full_attn_alpha_factor: f64,
    full_attn_beta_factor: f64,
    linear_attn_alpha_factor: f64,
    linear_attn_beta_factor: f64,
    mlp_alpha_factor: f64,
    mlp_beta_factor: f64,
}

impl Default for MiniMax {
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
            max_position_embeddings: 4096 * 32,
            rms_norm_eps: 1e-5,
            sliding_window: None,
            num_experts_per_tok: 2,
            num_local_experts: 8,
            tie_word_embeddings: false,
            rope_parameters: None,
            rope_theta: 1e6,
            layer_types: None,
            full_attn_alpha_factor: 1.0,
            full_attn_beta_factor: 1.0,
            linear_attn_alpha_factor: 1.0,
            linear_attn_beta_factor: 1.0,
            mlp_alpha_factor: 1.0,
            mlp_beta_factor: 1.0,
        }
    }
}

/// How long the blocks are in which the numbers are computed.
const WITHOUT_EFFECT: &[&str] = &["block_size"];

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: MiniMax = Options::read(folder, WITHOUT_EFFECT)?;
    if Activation::published(&options.hidden_act) != Some(Activation::Silu) {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    let linear = linear_layers(folder, &options)?;
    let rope = options.rope_parameters.clone().unwrap_or_default();
    let attention = AttentionConfig {
        heads: options.num_attention_heads,
        key_value_heads: options.num_key_value_heads,
        head_width: options.head_dim,
        causal: true,
        window: options.sliding_window,
        bias: false,
        rope: Some(rope.rotary(folder, options.rope_theta, 1.0, options.max_position_embeddings)?),
        ..AttentionConfig::default()
    };
    let lightning = LightningAttentionConfig {
        heads: options.num_attention_heads,
        head_width: options.head_dim,
        ..LightningAttentionConfig::default()
    };
    let experts = ExpertsConfig {
        experts: options.num_local_experts,
        chosen: options.num_experts_per_tok,
        hidden: Some(options.intermediate_size),
        scores: Scores::Softmax,
        renormalize: true,
        // The published class adds this loss on demand alone.
        balance: 0.0,
        ..ExpertsConfig::default()
    };
    let mixer = |linear: &bool| if *linear { Choice::typed(&lightning) } else { Choice::typed(&attention) };
    let scales = |linear: &bool| match linear {
        true => Scales { skip: options.linear_attn_alpha_factor, branch: options.linear_attn_beta_factor },
        false => Scales { skip: options.full_attn_alpha_factor, branch: options.full_attn_beta_factor },
    };
    let stack = StackConfig {
        width: options.hidden_size,
        depth: options.num_hidden_layers,
        pattern: linear.iter().map(mixer).collect::<Result<_, _>>()?,
        channels: vec![Choice::typed(&experts)?],
        norm: NormConfig::rms(options.rms_norm_eps),
        arrangement: Arrangement::Carried,
        mixer_scales: linear.iter().map(scales).collect(),
        channel_scales: vec![Scales { skip: options.mlp_alpha_factor, branch: options.mlp_beta_factor }],
        positions: PositionKind::None,
        ..StackConfig::default()
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig::default(),
        stack,
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options, &linear, &attention, &experts),
    })
}

/// Which layers are linear. Where nothing is said every second one is, from the second on.
fn linear_layers(folder: &Folder, options: &MiniMax) -> Result<Vec<bool>> {
    let Some(types) = &options.layer_types else {
        return Ok((0..options.num_hidden_layers).map(|layer| layer % 2 == 1).collect());
    };
    if types.len() != options.num_hidden_layers {
        return refuse(folder, "layer_types", types, "one for each of `num_hidden_layers` layers");
    }
    types
        .iter()
        .map(|kind| match kind.as_str() {
            "linear_attention" => Ok(true),
            "full_attention" => Ok(false),
            other => refuse(folder, "layer_types", other, "linear_attention or full_attention"),
        })
        .collect()
}

fn names(options: &MiniMax, linear: &[bool], attention: &AttentionConfig, experts: &ExpertsConfig) -> Names {
    let mut names = Names::new();
    names.decoder_ends("model", options.tie_word_embeddings);
    for (layer, linear) in linear.iter().enumerate() {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        let (mixer, our_mixer) = (format!("{published}.self_attn"), format!("{ours}.mixer"));
        names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
        if *linear {
            for (part, ours) in [("qkv_proj", "mixed"), ("output_gate", "gate"), ("out_proj", "output")] {
                names.linear(&format!("{mixer}.{part}"), &format!("{our_mixer}.{ours}"));
            }
            names.scale(&format!("{mixer}.norm"), &format!("{our_mixer}.norm"));
            // Constants that follow from the heads and the depth.
            for buffer in ["slope_rate", "query_decay", "key_decay", "diagonal_decay"] {
                names.ignored(format!("{mixer}.{buffer}"));
            }
        } else {
            names.attention(&mixer, &our_mixer, attention);
        }
        names.scale(&format!("{published}.post_attention_layernorm"), &format!("{ours}.channel_norm"));
        let (moe, channel) = (format!("{published}.block_sparse_moe"), format!("{ours}.channel"));
        names.experts(&moe, &channel, experts, ExpertNames::MIXTRAL);
    }
    names
}
