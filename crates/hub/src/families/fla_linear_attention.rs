//! Linear attention: Katharopoulos et al., Transformers are RNNs, 2020, arXiv:2006.16236, as published with the fla
//! library.

use ansatz_arch_linear::{FeatureMapKind, LinearAttentionConfig};
use ansatz_core::{Choice, Registry, Result};
use burn::tensor::Device;
use serde::Deserialize;

use super::fla_decoder::{WITHOUT_EFFECT, fla_decoder};
use crate::linear::{head_widths, scaled_norms};
use crate::{Family, Folder, LanguageModel, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "linear-attention", matches: |folder| folder.model_type() == Some("linear_attn"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LinearAttention {
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
    feature_map: String,
    tie_feature_map_qk: bool,
    norm_q: bool,
    norm_k: bool,
    norm_feature_map: bool,
}

impl Default for LinearAttention {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            max_position_embeddings: 2048,
            hidden_size: 2048,
            num_hidden_layers: 24,
            hidden_ratio: Some(4.0),
            intermediate_size: None,
            hidden_act: "swish".to_owned(),
            elementwise_affine: Some(true),
            norm_eps: 1e-6,
            attn: None,
            attnres_block_size: None,
            tie_word_embeddings: false,
            expand_k: 1.0,
            expand_v: 1.0,
            num_heads: 4,
            num_kv_heads: None,
            feature_map: "elementwise_product".to_owned(),
            tie_feature_map_qk: false,
            norm_q: false,
            norm_k: false,
            norm_feature_map: false,
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: LinearAttention = Options::read(folder, WITHOUT_EFFECT)?;
    scaled_norms(folder, options.elementwise_affine)?;
    let feature_map = feature_map(folder, &options.feature_map)?;
    let learned = learned(feature_map);
    if options.tie_feature_map_qk && !learned.is_empty() {
        return refuse(
            folder,
            "tie_feature_map_qk",
            true,
            "false, feature maps of their own for queries and keys",
        );
    }
    let expansions = [options.expand_k, options.expand_v];
    let [head_key_width, head_value_width] =
        head_widths(folder, expansions, options.hidden_size, options.num_heads)?;
    let mixer = LinearAttentionConfig {
        heads: options.num_heads,
        key_value_heads: options.num_kv_heads,
        head_key_width,
        head_value_width,
        feature_map,
        unit_queries: options.norm_q,
        unit_keys: options.norm_k,
        average: options.norm_feature_map.then_some(AVERAGE_EPSILON),
        epsilon: options.norm_eps,
        ..LinearAttentionConfig::default()
    };
    fla_decoder!(options).model(folder, Choice::typed(&mixer)?, |names, published, ours| {
        names.linear_attention(published, ours, &[("q", "query"), ("k", "key"), ("v", "value")], false);
        names.scale(&format!("{published}.norm"), &format!("{ours}.norm"));
        for (letter, map) in [("q", "query_map"), ("k", "key_map")] {
            for (layer, part, bias) in learned {
                let published = format!("{published}.feature_map_{letter}.{layer}");
                names.linear_maybe_bias(&published, &format!("{ours}.{map}.{part}"), *bias);
            }
        }
    })
}

/// What the published layer adds to the sum by which it divides.
const AVERAGE_EPSILON: f64 = 1e-10;

/// The feature map that is published as `name`.
fn feature_map(folder: &Folder, name: &str) -> Result<FeatureMapKind> {
    Ok(match name {
        "identity" => FeatureMapKind::Identity,
        "elu" => FeatureMapKind::Elu,
        "relu" => FeatureMapKind::Relu,
        "elementwise_product" => FeatureMapKind::ElementwiseProduct,
        "t2r" => FeatureMapKind::LearnedRelu,
        "hedgehog" => FeatureMapKind::Hedgehog,
        "dpfp" => FeatureMapKind::ParameterFree,
        other => {
            let known = "identity, elu, relu, elementwise_product, t2r, hedgehog or dpfp";
            return refuse(folder, "feature_map", other, known);
        }
    })
}

/// The linear maps of a feature map: as published, as ours, and whether they add a bias.
fn learned(map: FeatureMapKind) -> &'static [(&'static str, &'static str, bool)] {
    match map {
        FeatureMapKind::ElementwiseProduct => &[("layer1", "first", true), ("layer2", "second", true)],
        FeatureMapKind::LearnedRelu => &[("layer", "first", false)],
        FeatureMapKind::Hedgehog => &[("layer", "first", true)],
        _ => &[],
    }
}
