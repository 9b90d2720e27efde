//! Mistral: Jiang et al., Mistral 7B, 2023, arXiv:2310.06825. Llama with a window.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::GatedMlpConfig;
use ansatz_core::{Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::{Decoder, activation};
use super::rope::RopeParameters;
use crate::{Family, Folder, Options, Subject};

pub(super) const FAMILY: Family =
    Family { name: "mistral", matches: |folder| folder.model_type() == Some("mistral"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mistral {
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
    tie_word_embeddings: bool,
    #[serde(alias = "rope_scaling")]
    rope_parameters: Option<RopeParameters>,
    rope_theta: f64,
    sliding_window: Option<usize>,
}

impl Default for Mistral {
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
            rms_norm_eps: 1e-6,
            tie_word_embeddings: false,
            rope_parameters: None,
            rope_theta: 10000.0,
            sliding_window: Some(4096),
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: Mistral = Options::read(folder, &[])?;
    let length = options.max_position_embeddings;
    let rope = options.rope_parameters.unwrap_or_default();
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
    let decoder = Decoder {
        vocabulary: options.vocab_size,
        length,
        width: options.hidden_size,
        norm: NormConfig::rms(options.rms_norm_eps),
        attention: vec![attention; options.num_hidden_layers],
        channel: GatedMlpConfig {
            hidden: Some(options.intermediate_size),
            activation: activation(folder, "hidden_act", &options.hidden_act)?,
            ..GatedMlpConfig::default()
        },
        tied: options.tie_word_embeddings,
    };
    Ok(Box::new(decoder.model()?.open(folder, registry, device)?))
}
