//! Qwen3: Yang et al., Qwen3 Technical Report, 2025, arXiv:2505.09388. Llama with a norm of queries and keys.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::GatedMlpConfig;
use ansatz_core::{Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::{Decoder, activation, windows};
use super::rope::RopeParameters;
use crate::{Family, Folder, Options, Subject};

pub(super) const FAMILY: Family =
    Family { name: "qwen3", matches: |folder| folder.model_type() == Some("qwen3"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Qwen3 {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    tie_word_embeddings: bool,
    #[serde(alias = "rope_scaling")]
    rope_parameters: Option<RopeParameters>,
    rope_theta: f64,
    attention_bias: bool,
    use_sliding_window: bool,
    sliding_window: Option<usize>,
    max_window_layers: usize,
    layer_types: Option<Vec<String>>,
}

impl Default for Qwen3 {
    fn default() -> Self {
        Self {
            vocab_size: 151936,
            hidden_size: 4096,
            intermediate_size: 22016,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(32),
            head_dim: 128,
            hidden_act: "silu".to_owned(),
            max_position_embeddings: 32768,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: false,
            rope_parameters: None,
            rope_theta: 10000.0,
            attention_bias: false,
            use_sliding_window: false,
            sliding_window: Some(4096),
            max_window_layers: 28,
            layer_types: None,
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: Qwen3 = Options::read(folder, &[])?;
    let length = options.max_position_embeddings;
    let norm = NormConfig::rms(options.rms_norm_eps);
    let rope = options.rope_parameters.unwrap_or_default();
    let attention = AttentionConfig {
        heads: options.num_attention_heads,
        key_value_heads: options.num_key_value_heads,
        head_width: Some(options.head_dim),
        causal: true,
        bias: options.attention_bias,
        rope: Some(rope.rotary(folder, options.rope_theta, 1.0, length)?),
        query_key_norm: Some(norm),
        ..AttentionConfig::default()
    };
    let window = options.sliding_window.filter(|_| options.use_sliding_window);
    let types = options.layer_types.as_deref();
    let last = |layer| layer >= options.max_window_layers;
    let windows = windows(folder, options.num_hidden_layers, types, window, last)?;
    let decoder = Decoder {
        vocabulary: options.vocab_size,
        length,
        width: options.hidden_size,
        norm,
        attention: windows
            .into_iter()
            .map(|window| AttentionConfig { window, ..attention.clone() })
            .collect(),
        channel: GatedMlpConfig {
            hidden: Some(options.intermediate_size),
            activation: activation(folder, "hidden_act", &options.hidden_act)?,
            ..GatedMlpConfig::default()
        },
        tied: options.tie_word_embeddings,
    };
    Ok(Box::new(decoder.model()?.open(folder, registry, device)?))
}
