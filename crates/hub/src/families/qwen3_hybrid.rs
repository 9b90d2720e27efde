//! What Qwen3-Next and Qwen3.5 have in common: Gated DeltaNet in most layers, gated attention in the others.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{ExpertsConfig, GatedMlpConfig, Scores};
use ansatz_arch_delta::GatedDeltaNetConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Result, role};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use serde::Deserialize;

use super::rope::RopeParameters;
use crate::experts::ExpertNames;
use crate::{Folder, LanguageModel, Names, Options, refuse};

/// The options that matter. Sizes must be given; the rest has the defaults of the published classes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hybrid {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    #[serde(default = "head_dim")]
    head_dim: usize,
    #[serde(default = "max_position_embeddings")]
    max_position_embeddings: usize,
    #[serde(default = "hidden_act")]
    hidden_act: String,
    #[serde(default = "rms_norm_eps")]
    rms_norm_eps: f64,
    #[serde(default)]
    rope_parameters: RopeParameters,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    layer_types: Vec<Layer>,
    #[serde(default = "full_attention_interval")]
    full_attention_interval: usize,
    linear_conv_kernel_dim: usize,
    linear_key_head_dim: usize,
    linear_value_head_dim: usize,
    linear_num_key_heads: usize,
    linear_num_value_heads: usize,
    /// Experts, where there are any.
    #[serde(default)]
    num_experts: usize,
    #[serde(default)]
    num_experts_per_tok: usize,
    #[serde(default)]
    moe_intermediate_size: usize,
    #[serde(default)]
    shared_expert_intermediate_size: usize,
    #[serde(default = "norm_topk_prob")]
    norm_topk_prob: bool,
    #[serde(default = "decoder_sparse_step")]
    decoder_sparse_step: usize,
    #[serde(default)]
    mlp_only_layers: Vec<usize>,
}

/// What mixes the tokens of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Layer {
    LinearAttention,
    FullAttention,
}

/// What the published classes take where the parameters of the rotation say nothing.
const ROPE_THETA: f64 = 10000.0;
const ROTARY_FRACTION: f64 = 0.25;

fn head_dim() -> usize {
    256
}

fn max_position_embeddings() -> usize {
    32768
}

fn hidden_act() -> String {
    "silu".to_owned()
}

fn rms_norm_eps() -> f64 {
    1e-6
}

fn full_attention_interval() -> usize {
    4
}

fn norm_topk_prob() -> bool {
    true
}

fn decoder_sparse_step() -> usize {
    1
}

/// How the maps of a layer of Gated DeltaNet are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// Each key head with its values and gates, and its strengths and rates: Qwen3-Next.
    ByHead,
    /// Queries, keys and values, one behind the other: Qwen3.5.
    ByPart,
}

/// The model of `folder`.
pub(super) fn translate(folder: &Folder, without_effect: &[&str], joined: Joined) -> Result<LanguageModel> {
    let options: Hybrid = Options::read(folder, without_effect)?;
    if options.hidden_act != "silu" {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    if joined == Joined::ByPart && options.num_experts > 0 {
        return refuse(folder, "num_experts", options.num_experts, "none in this family");
    }
    let layers = options.layers(folder)?;
    let attention = options.attention(folder)?;
    let pattern = layers.iter().map(|layer| match layer {
        Layer::LinearAttention => Choice::typed(&options.delta()),
        Layer::FullAttention => Choice::typed(&attention),
    });
    let channels = (0..layers.len()).map(|index| options.channel(index));
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: pattern.collect::<std::result::Result<_, _>>()?,
            channels: channels.collect::<Result<_>>()?,
            norm: options.norm(),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: options.names(&layers, &attention, joined),
    })
}

impl Hybrid {
    /// One entry for each layer; every fourth is attention where nothing is said.
    fn layers(&self, folder: &Folder) -> Result<Vec<Layer>> {
        let interval = self.full_attention_interval;
        let full = |index: usize| interval > 0 && (index + 1).is_multiple_of(interval);
        match self.layer_types.len() {
            0 => Ok((0..self.num_hidden_layers)
                .map(|index| if full(index) { Layer::FullAttention } else { Layer::LinearAttention })
                .collect()),
            count if count == self.num_hidden_layers => Ok(self.layer_types.clone()),
            _ => refuse(folder, "layer_types", &self.layer_types, "one type for each layer"),
        }
    }

    /// Norms are stored as their distance from 1, but for those inside Gated DeltaNet.
    fn norm(&self) -> NormConfig {
        NormConfig { unit_offset: true, ..NormConfig::rms(self.rms_norm_eps) }
    }

    fn delta(&self) -> GatedDeltaNetConfig {
        GatedDeltaNetConfig {
            heads: self.linear_num_key_heads,
            value_heads: Some(self.linear_num_value_heads),
            head_width: Some(self.linear_key_head_dim),
            value_head_width: Some(self.linear_value_head_dim),
            convolution: self.linear_conv_kernel_dim,
            epsilon: self.rms_norm_eps,
            ..GatedDeltaNetConfig::default()
        }
    }

    fn attention(&self, folder: &Folder) -> Result<AttentionConfig> {
        let length = self.max_position_embeddings;
        let rope = self.rope_parameters.rotary(folder, ROPE_THETA, ROTARY_FRACTION, length)?;
        Ok(AttentionConfig {
            heads: self.num_attention_heads,
            key_value_heads: Some(self.num_key_value_heads),
            head_width: Some(self.head_dim),
            causal: true,
            bias: self.attention_bias,
            rope: Some(rope),
            query_key_norm: Some(self.norm()),
            gated: true,
            ..AttentionConfig::default()
        })
    }

    /// The experts of a layer, where it has any.
    fn experts(&self, index: usize) -> Option<ExpertsConfig> {
        let sparse = self.num_experts > 0
            && !self.mlp_only_layers.contains(&index)
            && (index + 1).is_multiple_of(self.decoder_sparse_step);
        sparse.then(|| ExpertsConfig {
            experts: self.num_experts,
            chosen: self.num_experts_per_tok,
            hidden: Some(self.moe_intermediate_size),
            scores: Scores::Softmax,
            renormalize: self.norm_topk_prob,
            shared_hidden: self.shared_expert_intermediate_size,
            shared_gate: true,
            balance: 0.0,
            ..ExpertsConfig::default()
        })
    }

    fn channel(&self, index: usize) -> Result<Choice<role::Channel>> {
        Ok(match self.experts(index) {
            Some(experts) => Choice::typed(&experts)?,
            None => {
                let hidden = Some(self.intermediate_size);
                Choice::typed(&GatedMlpConfig { hidden, ..GatedMlpConfig::default() })?
            }
        })
    }

    fn names(&self, layers: &[Layer], attention: &AttentionConfig, joined: Joined) -> Names {
        let mut names = Names::new();
        names.decoder_ends("model", self.tie_word_embeddings);
        for (index, layer) in layers.iter().enumerate() {
            let (published, ours) = (format!("model.layers.{index}"), format!("backbone.blocks.{index}"));
            let mixer = format!("{ours}.mixer");
            names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
            match layer {
                Layer::LinearAttention => {
                    self.delta_names(&mut names, &format!("{published}.linear_attn"), &mixer, joined);
                }
                Layer::FullAttention => {
                    names.attention(&format!("{published}.self_attn"), &mixer, attention);
                }
            }
            names.scale(&format!("{published}.post_attention_layernorm"), &format!("{ours}.channel_norm"));
            let (mlp, channel) = (format!("{published}.mlp"), format!("{ours}.channel"));
            match self.experts(index) {
                Some(experts) => names.experts(&mlp, &channel, &experts, ExpertNames::QWEN),
                None => names.gated(&mlp, &channel),
            }
        }
        names
    }

    fn delta_names(&self, names: &mut Names, published: &str, ours: &str, joined: Joined) {
        let weight = |part: &str| format!("{ours}.{part}.weight");
        let projections = ["query", "key", "value"].map(|part| weight(&format!("{part}.linear")));
        let (gate, strength, rate) = (weight("gate.up"), weight("strength"), weight("forgetting.map.up"));
        match joined {
            Joined::ByHead => {
                let heads = self.linear_num_key_heads;
                let [query, key, value] = projections;
                let parts = [query, key, value, gate];
                names.interleaved_linear(format!("{published}.in_proj_qkvz.weight"), &parts, heads);
                names.interleaved_linear(format!("{published}.in_proj_ba.weight"), &[strength, rate], heads);
            }
            Joined::ByPart => {
                names.joined_linear(format!("{published}.in_proj_qkv.weight"), &projections);
                for (letter, part) in [("z", gate), ("b", strength), ("a", rate)] {
                    names.transposed(format!("{published}.in_proj_{letter}.weight"), part);
                }
            }
        }
        let convolutions = ["query", "key", "value"].map(|part| weight(&format!("{part}.convolution")));
        names.joined_convolution(format!("{published}.conv1d.weight"), &convolutions);
        names.same(format!("{published}.A_log"), format!("{ours}.forgetting.rate"));
        names.same(format!("{published}.dt_bias"), format!("{ours}.forgetting.bias"));
        names.scale(&format!("{published}.norm"), &format!("{ours}.norm"));
        names.linear(&format!("{published}.out_proj"), &format!("{ours}.output"));
    }
}
