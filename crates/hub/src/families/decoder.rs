//! What the decoders in the manner of Llama have in common: root-mean-square norms before each branch, rotary
//! positions, a gated channel mixer, and the names of their weights.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{Activation, GatedMlpConfig};
use ansatz_arch_stack::{Arrangement, PositionKind, StackConfig};
use ansatz_core::{Choice, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;

use crate::language_model::EMBEDDING;
use crate::{Folder, LanguageModel, Names, refuse};

/// A decoder in the manner of Llama. Families that differ in more change the model that comes of it.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) vocabulary: usize,
    /// The longest text of training, in tokens.
    pub(super) length: usize,
    pub(super) width: usize,
    pub(super) norm: NormConfig,
    /// The attention of every layer, as long as there are layers.
    pub(super) attention: Vec<AttentionConfig>,
    pub(super) channel: GatedMlpConfig,
    pub(super) tied: bool,
}

impl Decoder {
    pub(super) fn model(&self) -> Result<LanguageModel> {
        Ok(LanguageModel {
            vocabulary: self.vocabulary,
            length: self.length,
            embedding: EmbeddingConfig::default(),
            stack: StackConfig {
                width: self.width,
                depth: self.attention.len(),
                pattern: self.attention.iter().map(Choice::typed).collect::<Result<_, _>>()?,
                channels: vec![Choice::typed(&self.channel)?],
                norm: self.norm,
                arrangement: Arrangement::Pre,
                positions: PositionKind::None,
                ..StackConfig::default()
            },
            head: LanguageModelConfig { tied: self.tied, ..LanguageModelConfig::default() },
            blocks_per_layer: 1,
            names: self.names(),
        })
    }

    fn names(&self) -> Names {
        let mut names = Names::new();
        names.decoder_ends("model", self.tied);
        for (layer, attention) in self.attention.iter().enumerate() {
            let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
            names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
            names.attention(&format!("{published}.self_attn"), &format!("{ours}.mixer"), attention);
            names.scale(&format!("{published}.post_attention_layernorm"), &format!("{ours}.channel_norm"));
            names.gated_mlp(&format!("{published}.mlp"), &format!("{ours}.channel"), self.channel.bias);
        }
        names
    }
}

impl Names {
    /// What stands before and behind the layers: the embedding, the last norm, and the head unless it is tied.
    pub(super) fn decoder_ends(&mut self, published: &str, tied: bool) {
        self.same(format!("{published}.embed_tokens.weight"), EMBEDDING);
        self.scale(&format!("{published}.norm"), "backbone.norm");
        if !tied {
            self.linear("lm_head", "head.output");
        }
    }

    /// Attention with `q_proj`, `k_proj`, `v_proj` and `o_proj`, and where it has them `q_norm` and `k_norm`.
    pub(super) fn attention(&mut self, published: &str, ours: &str, config: &AttentionConfig) {
        for (map, part) in [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")] {
            self.linear_maybe_bias(&format!("{published}.{map}"), &format!("{ours}.{part}"), config.bias);
        }
        let output_bias = config.output_bias.unwrap_or(config.bias);
        self.linear_maybe_bias(&format!("{published}.o_proj"), &format!("{ours}.output"), output_bias);
        if config.query_key_norm.is_some() {
            self.scale(&format!("{published}.q_norm"), &format!("{ours}.query_norm"));
            self.scale(&format!("{published}.k_norm"), &format!("{ours}.key_norm"));
        }
    }
}

/// The nonlinearity that `option` names.
pub(super) fn activation(folder: &Folder, option: &str, name: &str) -> Result<Activation> {
    Activation::published(name).map_or_else(|| refuse(folder, option, name, Activation::PUBLISHED), Ok)
}

/// The windows of the layers, by `layer_types` where it is given; else `otherwise(layer)` says whether a layer has
/// the window.
pub(super) fn windows(
    folder: &Folder,
    layers: usize,
    types: Option<&[String]>,
    window: Option<usize>,
    otherwise: impl Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>> {
    let Some(types) = types else {
        return Ok((0..layers).map(|layer| window.filter(|_| otherwise(layer))).collect());
    };
    if types.len() != layers {
        return refuse(folder, "layer_types", types, &format!("one for each of {layers} layers"));
    }
    types
        .iter()
        .map(|kind| match (kind.as_str(), window) {
            ("full_attention", _) => Ok(None),
            ("sliding_attention", Some(window)) => Ok(Some(window)),
            ("sliding_attention", None) => refuse(folder, "sliding_window", window, "a number of tokens"),
            _ => refuse(folder, "layer_types", kind, "full_attention or sliding_attention"),
        })
        .collect()
}
