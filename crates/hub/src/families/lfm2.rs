//! LFM2: Liquid AI, LFM2 Technical Report, 2025, arXiv:2511.23404.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{Activation, GatedMlpConfig};
use ansatz_arch_conv::ShortConvolutionConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::rope::RopeParameters;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "lfm2", matches: |folder| folder.model_type() == Some("lfm2"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Lfm2 {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    /// An older name, which goes before.
    block_ff_dim: Option<usize>,
    block_auto_adjust_ff_dim: bool,
    block_ffn_dim_multiplier: Option<f64>,
    block_multiple_of: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    layer_types: Option<Vec<LayerType>>,
    full_attn_idxs: Option<Vec<usize>>,
    conv_bias: bool,
    #[serde(rename = "conv_L_cache")]
    conv_l_cache: usize,
    norm_eps: f64,
    rope_parameters: Option<RopeParameters>,
    rope_theta: Option<f64>,
    tie_word_embeddings: bool,
    /// An older name, which goes before.
    tie_embedding: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayerType {
    Conv,
    FullAttention,
}

impl Default for Lfm2 {
    fn default() -> Self {
        Self {
            vocab_size: 65536,
            max_position_embeddings: 128_000,
            hidden_size: 2560,
            intermediate_size: 12288,
            block_ff_dim: None,
            block_auto_adjust_ff_dim: true,
            block_ffn_dim_multiplier: Some(1.0),
            block_multiple_of: 256,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 8,
            layer_types: None,
            full_attn_idxs: None,
            conv_bias: false,
            conv_l_cache: 3,
            norm_eps: 1e-5,
            rope_parameters: None,
            rope_theta: None,
            tie_word_embeddings: true,
            tie_embedding: None,
        }
    }
}

/// Options that the published class does not look at.
const WITHOUT_EFFECT: &[&str] = &[
    "block_dim",
    "block_mlp_init_scale",
    "block_norm_eps",
    "block_use_swiglu",
    "block_use_xavier_init",
    "conv_dim",
    "conv_dim_out",
    "conv_use_xavier_init",
    "num_heads",
    "use_pos_enc",
];

impl Lfm2 {
    /// What every layer mixes tokens with; all by attention where nothing is said.
    fn layers(&self) -> Vec<LayerType> {
        self.layer_types.clone().unwrap_or_else(|| {
            let attends = |layer| self.full_attn_idxs.as_ref().is_none_or(|layers| layers.contains(&layer));
            let kind = |layer| if attends(layer) { LayerType::FullAttention } else { LayerType::Conv };
            (0..self.num_hidden_layers).map(kind).collect()
        })
    }

    /// The hidden width of the gated layers: two thirds of what is published, times a factor, rounded up.
    fn hidden(&self) -> usize {
        let hidden = self.block_ff_dim.unwrap_or(self.intermediate_size);
        if !self.block_auto_adjust_ff_dim {
            return hidden;
        }
        let hidden = 2 * hidden / 3;
        match self.block_ffn_dim_multiplier {
            Some(factor) => ((factor * hidden as f64) as usize).next_multiple_of(self.block_multiple_of),
            None => hidden,
        }
    }

    fn tied(&self) -> bool {
        self.tie_embedding.unwrap_or(self.tie_word_embeddings)
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Lfm2 = Options::read(folder, WITHOUT_EFFECT)?;
    let layers = options.layers();
    if layers.len() != options.num_hidden_layers {
        return refuse(folder, "layer_types", layers, "one kind for each of `num_hidden_layers`");
    }
    if options.block_multiple_of == 0 {
        return refuse(folder, "block_multiple_of", 0, "at least 1");
    }
    let theta = options.rope_theta.unwrap_or(1e6);
    let rope = options.rope_parameters.clone().unwrap_or_default();
    let rope = rope.rotary(folder, theta, 1.0, options.max_position_embeddings)?;
    let attention = AttentionConfig {
        heads: options.num_attention_heads,
        key_value_heads: Some(options.num_key_value_heads),
        causal: true,
        bias: false,
        rope: Some(rope),
        query_key_norm: Some(NormConfig::rms(options.norm_eps)),
        ..AttentionConfig::default()
    };
    let convolution = ShortConvolutionConfig { taps: options.conv_l_cache, bias: options.conv_bias };
    let (attention, convolution) = (Choice::typed(&attention)?, Choice::typed(&convolution)?);
    let channel = GatedMlpConfig {
        hidden: Some(options.hidden()),
        activation: Activation::Silu,
        ..GatedMlpConfig::default()
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: layers
                .iter()
                .map(|layer| match layer {
                    LayerType::Conv => convolution.clone(),
                    LayerType::FullAttention => attention.clone(),
                })
                .collect(),
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig::rms(options.norm_eps),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tied(), ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

fn names(options: &Lfm2) -> Names {
    let mut names = Names::new();
    names.same("model.embed_tokens.weight", EMBEDDING);
    for (layer, kind) in options.layers().into_iter().enumerate() {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale(&format!("{published}.operator_norm"), &format!("{ours}.mixer_norm"));
        names.scale(&format!("{published}.ffn_norm"), &format!("{ours}.channel_norm"));
        match kind {
            LayerType::Conv => {
                let bias = options.conv_bias;
                let published = format!("{published}.conv");
                names.linear_maybe_bias(
                    &format!("{published}.in_proj"),
                    &format!("{ours}.mixer.input"),
                    bias,
                );
                names.linear_maybe_bias(
                    &format!("{published}.out_proj"),
                    &format!("{ours}.mixer.output"),
                    bias,
                );
                let convolution = format!("{ours}.mixer.convolution");
                names.unsqueezed(format!("{published}.conv.weight"), format!("{convolution}.weight"), 1);
                if bias {
                    names.same(format!("{published}.conv.bias"), format!("{convolution}.bias"));
                }
            }
            LayerType::FullAttention => {
                let published = format!("{published}.self_attn");
                for (map, part) in
                    [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "output")]
                {
                    names.linear(&format!("{published}.{map}"), &format!("{ours}.mixer.{part}"));
                }
                for (norm, part) in [("q_layernorm", "query_norm"), ("k_layernorm", "key_norm")] {
                    names.scale(&format!("{published}.{norm}"), &format!("{ours}.mixer.{part}"));
                }
            }
        }
        for (map, part) in [("w1", "gate"), ("w3", "expand"), ("w2", "contract")] {
            names.linear(&format!("{published}.feed_forward.{map}"), &format!("{ours}.channel.{part}"));
        }
    }
    names.scale("model.embedding_norm", "backbone.norm");
    if !options.tied() {
        names.linear("lm_head", "head.output");
    }
    names
}
