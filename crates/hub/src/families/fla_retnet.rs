//! RetNet: Sun et al., Retentive Network, 2023, arXiv:2307.08621, as published with the fla library.

use ansatz_arch_linear::RetentionConfig;
use ansatz_core::{Choice, Registry, Result};
use burn::tensor::Device;
use serde::Deserialize;

use super::fla_decoder::{WITHOUT_EFFECT, fla_decoder};
use crate::linear::{gated_norm, head_widths, scaled_norms};
use crate::{Family, Folder, LanguageModel, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "retnet", matches: |folder| folder.model_type() == Some("retnet"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RetNet {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    hidden_ratio: Option<f64>,
    intermediate_size: Option<usize>,
    hidden_act: String,
    elementwise_affine: Option<bool>,
    norm_eps: f64,
    attn: Option<serde_json::Value>,
    attnres_block_size: Option<usize>,
    tie_word_embeddings: bool,
    expand_k: f64,
    expand_v: f64,
    num_heads: usize,
    num_kv_heads: Option<usize>,
    feature_map: Option<String>,
    use_output_gate: bool,
}

impl Default for RetNet {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            max_position_embeddings: 2048,
            hidden_size: 2048,
            num_hidden_layers: 24,
            hidden_ratio: Some(2.0),
            intermediate_size: None,
            hidden_act: "swish".to_owned(),
            elementwise_affine: Some(true),
            norm_eps: 1e-6,
            attn: None,
            attnres_block_size: None,
            tie_word_embeddings: false,
            expand_k: 1.0,
            expand_v: 2.0,
            num_heads: 8,
            num_kv_heads: None,
            feature_map: None,
            use_output_gate: true,
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    // The published model does not hand the options of short convolutions to its layers.
    let without_effect: Vec<&str> =
        WITHOUT_EFFECT.iter().copied().chain(["use_short_conv", "conv_size"]).collect();
    let options: RetNet = Options::read(folder, &without_effect)?;
    scaled_norms(folder, options.elementwise_affine)?;
    if let Some(map) = &options.feature_map {
        return refuse(folder, "feature_map", map, "null, queries and keys as they are");
    }
    let expansions = [options.expand_k, options.expand_v];
    let [head_key_width, head_value_width] =
        head_widths(folder, expansions, options.hidden_size, options.num_heads)?;
    let mixer = RetentionConfig {
        heads: options.num_heads,
        key_value_heads: options.num_kv_heads,
        head_key_width,
        head_value_width,
        convolution: 0,
        gate: options.use_output_gate,
        epsilon: options.norm_eps,
    };
    let norm = gated_norm(folder, options.use_output_gate);
    fla_decoder!(options).model(folder, Choice::typed(&mixer)?, |names, published, ours| {
        let maps = [("q", "query"), ("k", "key"), ("v", "value")];
        names.linear_attention(published, ours, &maps, false);
        names.scale(&format!("{published}.{norm}"), &format!("{ours}.norm"));
        if options.use_output_gate {
            names.linear(&format!("{published}.g_proj"), &format!("{ours}.gate"));
        }
    })
}
