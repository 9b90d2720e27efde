//! Gated DeltaNet: Yang et al., Gated Delta Networks: Improving Mamba2 with Delta Rule, 2024, as published with the
//! fla library.

use ansatz_arch_delta::{GateActivation, GatedDeltaNetConfig};
use ansatz_core::{Choice, Registry, Result};
use burn::tensor::Device;
use serde::Deserialize;

use super::fla_decoder::{WITHOUT_EFFECT, fla_decoder};
use crate::{Family, Folder, LanguageModel, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "gated-delta-net", matches: |folder| folder.model_type() == Some("gated_deltanet"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GatedDeltaNet {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_heads: usize,
    num_v_heads: Option<usize>,
    head_dim: usize,
    expand_v: f64,
    use_gate: bool,
    output_gate_activation: String,
    use_short_conv: bool,
    conv_size: usize,
    allow_neg_eigval: bool,
    hidden_ratio: Option<f64>,
    intermediate_size: Option<usize>,
    hidden_act: String,
    norm_eps: f64,
    attn: Option<serde_json::Value>,
    attnres_block_size: Option<usize>,
    tie_word_embeddings: bool,
}

impl Default for GatedDeltaNet {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            max_position_embeddings: 2048,
            hidden_size: 2048,
            num_hidden_layers: 21,
            num_heads: 6,
            num_v_heads: None,
            head_dim: 256,
            expand_v: 2.0,
            use_gate: true,
            output_gate_activation: "swish".to_owned(),
            use_short_conv: true,
            conv_size: 4,
            allow_neg_eigval: false,
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
    let options: GatedDeltaNet = Options::read(folder, WITHOUT_EFFECT)?;
    let gate_activation = match options.output_gate_activation.as_str() {
        "swish" | "silu" => GateActivation::Silu,
        "sigmoid" => GateActivation::Sigmoid,
        other => return refuse(folder, "output_gate_activation", other, "swish, silu or sigmoid"),
    };
    let mixer = GatedDeltaNetConfig {
        heads: options.num_heads,
        value_heads: options.num_v_heads,
        head_width: Some(options.head_dim),
        value_head_width: Some((options.head_dim as f64 * options.expand_v) as usize),
        negative_eigenvalues: options.allow_neg_eigval,
        gate: options.use_gate,
        gate_activation,
        convolution: if options.use_short_conv { options.conv_size } else { 0 },
        epsilon: options.norm_eps,
        ..GatedDeltaNetConfig::default()
    };
    fla_decoder!(options).model(folder, Choice::typed(&mixer)?, |names, published, ours| {
        names.delta_projections(published, ours, mixer.convolution > 0);
        names.linear(&format!("{published}.b_proj"), &format!("{ours}.strength"));
        names.linear(&format!("{published}.a_proj"), &format!("{ours}.forgetting.map.up"));
        names.same(format!("{published}.A_log"), format!("{ours}.forgetting.rate"));
        names.same(format!("{published}.dt_bias"), format!("{ours}.forgetting.bias"));
        if mixer.gate {
            names.linear(&format!("{published}.g_proj"), &format!("{ours}.gate.up"));
        }
    })
}
