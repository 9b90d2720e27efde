//! DeltaNet: Yang et al., Parallelizing Linear Transformers with the Delta Rule over Sequence Length, 2024, as
//! published with the fla library.

use ansatz_arch_delta::{DeltaNetConfig, KeyActivation, KeyNorm};
use ansatz_core::{Choice, Registry, Result};
use burn::tensor::Device;
use serde::Deserialize;

use super::fla_decoder::{WITHOUT_EFFECT, fla_decoder};
use crate::{Family, Folder, LanguageModel, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "delta-net", matches: |folder| folder.model_type() == Some("delta_net"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeltaNet {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_heads: usize,
    expand_k: f64,
    expand_v: f64,
    use_gate: bool,
    use_short_conv: bool,
    conv_size: usize,
    use_beta: bool,
    allow_neg_eigval: bool,
    qk_norm: String,
    qk_activation: String,
    hidden_ratio: Option<f64>,
    intermediate_size: Option<usize>,
    hidden_act: String,
    norm_eps: f64,
    attn: Option<serde_json::Value>,
    attnres_block_size: Option<usize>,
    tie_word_embeddings: bool,
}

impl Default for DeltaNet {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            max_position_embeddings: 2048,
            hidden_size: 2048,
            num_hidden_layers: 24,
            num_heads: 16,
            expand_k: 1.0,
            expand_v: 1.0,
            use_gate: false,
            use_short_conv: true,
            conv_size: 4,
            use_beta: true,
            allow_neg_eigval: false,
            qk_norm: "l2".to_owned(),
            qk_activation: "silu".to_owned(),
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
    let options: DeltaNet = Options::read(folder, WITHOUT_EFFECT)?;
    let key_activation = match options.qk_activation.as_str() {
        "silu" => KeyActivation::Silu,
        "relu" => KeyActivation::Relu,
        "elu" => KeyActivation::Elu,
        "identity" => KeyActivation::Identity,
        other => return refuse(folder, "qk_activation", other, "silu, relu, elu or identity"),
    };
    let key_norm = match options.qk_norm.as_str() {
        "l2" => KeyNorm::L2,
        "sum" => KeyNorm::Sum,
        other => return refuse(folder, "qk_norm", other, "l2 or sum"),
    };
    let mixer = DeltaNetConfig {
        heads: options.num_heads,
        key_expansion: options.expand_k,
        value_expansion: options.expand_v,
        key_activation,
        key_norm,
        strength: options.use_beta,
        negative_eigenvalues: options.allow_neg_eigval,
        gate: options.use_gate,
        convolution: if options.use_short_conv { options.conv_size } else { 0 },
        epsilon: options.norm_eps,
        ..DeltaNetConfig::default()
    };
    fla_decoder!(options).model(folder, Choice::typed(&mixer)?, |names, published, ours| {
        names.delta_projections(published, ours, mixer.convolution > 0);
        if mixer.strength {
            names.linear(&format!("{published}.b_proj"), &format!("{ours}.strength"));
        }
        if mixer.gate {
            names.linear(&format!("{published}.g_proj"), &format!("{ours}.gate.up"));
        }
    })
}
