//! HGRN2: Qin et al., HGRN2: Gated Linear RNNs with State Expansion, 2024, arXiv:2404.07904, as published with the fla
//! library.

use ansatz_arch_linear::Hgrn2Config;
use ansatz_core::{Choice, Registry, Result};
use burn::tensor::Device;
use serde::Deserialize;

use super::fla_decoder::{WITHOUT_EFFECT, fla_decoder};
use crate::linear::scaled_norms;
use crate::{Family, Folder, LanguageModel, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "hgrn2", matches: |folder| folder.model_type() == Some("hgrn2"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Hgrn2 {
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
    num_heads: Option<usize>,
    expand_ratio: Option<usize>,
    use_short_conv: bool,
    conv_size: usize,
    use_lower_bound: bool,
}

impl Default for Hgrn2 {
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
            num_heads: None,
            expand_ratio: Some(128),
            use_short_conv: false,
            conv_size: 4,
            use_lower_bound: true,
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Hgrn2 = Options::read(folder, WITHOUT_EFFECT)?;
    scaled_norms(folder, options.elementwise_affine)?;
    // The published layer takes its heads from the expansion, and from `num_heads` only without one.
    let ratio = options.expand_ratio.filter(|ratio| *ratio > 0);
    let heads = ratio.map(|ratio| options.hidden_size / ratio).or(options.num_heads);
    let Some(heads) = heads.filter(|heads| *heads > 0) else {
        return refuse(folder, "expand_ratio", options.expand_ratio, "1 up to `hidden_size`, or `num_heads`");
    };
    let mixer = Hgrn2Config {
        heads,
        head_key_width: Some(ratio.unwrap_or(options.hidden_size / heads)),
        lower_bounds: options.use_lower_bound,
        convolution: if options.use_short_conv { options.conv_size } else { 0 },
        // The published layer leaves its own `norm_eps` out here.
        epsilon: 1e-5,
    };
    let mut model =
        fla_decoder!(options).model(folder, Choice::typed(&mixer)?, |names, published, ours| {
            let maps = [("q", "query"), ("f", "forget.projection"), ("i", "value")];
            names.linear_attention(published, ours, &maps, options.use_short_conv);
            names.scale(&format!("{published}.g_norm"), &format!("{ours}.norm"));
        })?;
    if options.use_lower_bound {
        const PUBLISHED: &str = "model.lower_bounds";
        // The bound of the first layer is 0 whatever stands there, so that an only layer has none to learn.
        if options.num_hidden_layers > 1 {
            model.names.same(PUBLISHED, "backbone.blocks.0.mixer.forget.lower_bounds");
        } else {
            model.names.ignored(PUBLISHED);
        }
    }
    Ok(model)
}
