//! Kimi Delta Attention: Kimi Team, Kimi Linear, 2025, as published with the fla library.

use ansatz_arch_delta::KimiDeltaAttentionConfig;
use ansatz_core::{Choice, Registry, Result};
use burn::tensor::Device;
use serde::Deserialize;

use super::fla_decoder::{WITHOUT_EFFECT, fla_decoder};
use crate::{Family, Folder, LanguageModel, Options, Subject};

pub(super) const FAMILY: Family =
    Family { name: "kimi-delta-attention", matches: |folder| folder.model_type() == Some("kda"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kda {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_heads: usize,
    num_v_heads: Option<usize>,
    head_dim: usize,
    expand_v: f64,
    use_short_conv: bool,
    conv_size: usize,
    allow_neg_eigval: bool,
    lower_bound: Option<f64>,
    hidden_ratio: Option<f64>,
    intermediate_size: Option<usize>,
    hidden_act: String,
    norm_eps: f64,
    attn: Option<serde_json::Value>,
    attnres_block_size: Option<usize>,
    tie_word_embeddings: bool,
}

impl Default for Kda {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            max_position_embeddings: 2048,
            hidden_size: 2048,
            num_hidden_layers: 24,
            num_heads: 16,
            num_v_heads: None,
            head_dim: 128,
            expand_v: 1.0,
            use_short_conv: true,
            conv_size: 4,
            allow_neg_eigval: false,
            lower_bound: None,
            hidden_ratio: Some(4.0),
            intermediate_size: None,
            hidden_act: "swish".to_owned(),
            norm_eps: 1e-6,
            attn: None,
            attnres_block_size: None,
            tie_word_embeddings: false,
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    // A safe gate is a promise about the range of the numbers, which lets a kernel compute them faster.
    let without_effect: Vec<&str> = WITHOUT_EFFECT.iter().copied().chain(["safe_gate"]).collect();
    let options: Kda = Options::read(folder, &without_effect)?;
    let mixer = KimiDeltaAttentionConfig {
        heads: options.num_heads,
        value_heads: options.num_v_heads,
        head_width: Some(options.head_dim),
        value_head_width: Some((options.head_dim as f64 * options.expand_v) as usize),
        gate_bias: true,
        lower_bound: options.lower_bound,
        negative_eigenvalues: options.allow_neg_eigval,
        convolution: if options.use_short_conv { options.conv_size } else { 0 },
        epsilon: options.norm_eps,
        ..KimiDeltaAttentionConfig::default()
    };
    fla_decoder!(options).model(folder, Choice::typed(&mixer)?, |names, published, ours| {
        names.delta_projections(published, ours, mixer.convolution > 0);
        names.linear(&format!("{published}.b_proj"), &format!("{ours}.strength"));
        names.linear(&format!("{published}.f_proj.0"), &format!("{ours}.forgetting.map.down"));
        names.linear(&format!("{published}.f_proj.1"), &format!("{ours}.forgetting.map.up"));
        names.same(format!("{published}.A_log"), format!("{ours}.forgetting.rate"));
        names.same(format!("{published}.dt_bias"), format!("{ours}.forgetting.bias"));
        names.linear(&format!("{published}.g_proj.0"), &format!("{ours}.gate.down"));
        names.linear_with_bias(&format!("{published}.g_proj.1"), &format!("{ours}.gate.up"));
    })
}
