//! Gemma 2: Gemma Team, Improving Open Language Models at a Practical Size, 2024, arXiv:2408.00118.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_stack::Arrangement;
use ansatz_core::{Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::{Decoder, activation, windows};
use super::rope::RopeParameters;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "gemma2", matches: |folder| folder.model_type() == Some("gemma2"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Gemma2 {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    hidden_activation: String,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    tie_word_embeddings: bool,
    #[serde(alias = "rope_scaling")]
    rope_parameters: Option<RopeParameters>,
    rope_theta: f64,
    attention_bias: bool,
    query_pre_attn_scalar: f64,
    sliding_window: Option<usize>,
    layer_types: Option<Vec<String>>,
    final_logit_softcapping: Option<f64>,
    attn_logit_softcapping: Option<f64>,
    use_bidirectional_attention: Option<bool>,
}

impl Default for Gemma2 {
    fn default() -> Self {
        Self {
            vocab_size: 256_000,
            hidden_size: 2304,
            intermediate_size: 9216,
            num_hidden_layers: 26,
            num_attention_heads: 8,
            num_key_value_heads: 4,
            head_dim: 256,
            hidden_activation: "gelu_pytorch_tanh".to_owned(),
            max_position_embeddings: 8192,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: true,
            rope_parameters: None,
            rope_theta: 10000.0,
            attention_bias: false,
            query_pre_attn_scalar: 256.0,
            sliding_window: Some(4096),
            layer_types: None,
            final_logit_softcapping: Some(30.0),
            attn_logit_softcapping: Some(50.0),
            use_bidirectional_attention: None,
        }
    }
}

/// What older configs repeat, and how the numbers were computed.
const WITHOUT_EFFECT: &[&str] = &["cache_implementation", "hidden_act"];

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Gemma2 = Options::read(folder, WITHOUT_EFFECT)?;
    if options.use_bidirectional_attention == Some(true) {
        return refuse(folder, "use_bidirectional_attention", true, "null or false");
    }
    let length = options.max_position_embeddings;
    let rope = options.rope_parameters.unwrap_or_default();
    let attention = AttentionConfig {
        heads: options.num_attention_heads,
        key_value_heads: Some(options.num_key_value_heads),
        head_width: Some(options.head_dim),
        causal: true,
        bias: options.attention_bias,
        rope: Some(rope.rotary(folder, options.rope_theta, 1.0, length)?),
        scale: Some(options.query_pre_attn_scalar.powf(-0.5)),
        cap: options.attn_logit_softcapping,
        ..AttentionConfig::default()
    };
    let (layers, types) = (options.num_hidden_layers, options.layer_types.as_deref());
    let windows = windows(folder, layers, types, options.sliding_window, |layer| layer % 2 == 0)?;
    let decoder = Decoder {
        vocabulary: options.vocab_size,
        length,
        width: options.hidden_size,
        norm: NormConfig { unit_offset: true, ..NormConfig::rms(options.rms_norm_eps) },
        attention: windows
            .into_iter()
            .map(|window| AttentionConfig { window, ..attention.clone() })
            .collect(),
        channel: GatedMlpConfig {
            hidden: Some(options.intermediate_size),
            activation: activation(folder, "hidden_activation", &options.hidden_activation)?,
            ..GatedMlpConfig::default()
        },
        tied: options.tie_word_embeddings,
    };
    let mut model = decoder.model()?;
    model.embedding.scale = (options.hidden_size as f64).sqrt();
    model.stack.arrangement = Arrangement::Sandwich;
    model.head.cap = options.final_logit_softcapping;
    model.names = names(&decoder);
    Ok(model)
}

/// Llama's names, with a norm before and behind each branch.
fn names(decoder: &Decoder) -> Names {
    let mut names = Names::new();
    names.decoder_ends("model", decoder.tied);
    for (layer, attention) in decoder.attention.iter().enumerate() {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        for (norm, own) in [
            ("input_layernorm", "mixer_norm"),
            ("post_attention_layernorm", "mixer_second_norm"),
            ("pre_feedforward_layernorm", "channel_norm"),
            ("post_feedforward_layernorm", "channel_second_norm"),
        ] {
            names.scale(&format!("{published}.{norm}"), &format!("{ours}.{own}"));
        }
        names.attention(&format!("{published}.self_attn"), &format!("{ours}.mixer"), attention);
        names.gated(&format!("{published}.mlp"), &format!("{ours}.channel"));
    }
    names
}
