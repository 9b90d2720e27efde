//! RWKV-6: Peng et al., Eagle and Finch: RWKV with Matrix-Valued States and Dynamic Recurrence, 2024,
//! arXiv:2404.05892, as published with the fla library.

use ansatz_arch_rwkv::{Rwkv6ChannelConfig, Rwkv6Config};
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "rwkv6", matches: |folder| folder.model_type() == Some("rwkv6"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rwkv6 {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_heads: usize,
    expand_k: f64,
    expand_v: f64,
    hidden_ratio: Option<f64>,
    intermediate_size: Option<usize>,
    proj_low_rank_dim: usize,
    gate_low_rank_dim: usize,
    hidden_act: String,
    norm_first: bool,
    norm_bias: bool,
    norm_eps: f64,
    attn: Option<serde_json::Value>,
    tie_word_embeddings: bool,
}

impl Default for Rwkv6 {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            max_position_embeddings: 2048,
            hidden_size: 2048,
            num_hidden_layers: 24,
            num_heads: 4,
            expand_k: 0.5,
            expand_v: 1.0,
            hidden_ratio: Some(3.5),
            intermediate_size: None,
            proj_low_rank_dim: 32,
            gate_low_rank_dim: 64,
            hidden_act: SQUARED_RELU.to_owned(),
            norm_first: true,
            norm_bias: true,
            norm_eps: 1e-5,
            attn: None,
            tie_word_embeddings: false,
        }
    }
}

/// The only activation of channel mixing.
pub(super) const SQUARED_RELU: &str = "sqrelu";

/// Options of how the numbers are computed.
pub(super) const WITHOUT_EFFECT: &[&str] = &["attn_mode"];

/// The width between the two maps of channel mixing: given, or a multiple of 32.
pub(super) fn hidden(given: Option<usize>, ratio: f64, width: usize) -> usize {
    given.unwrap_or_else(|| ((ratio * width as f64) as usize).next_multiple_of(32))
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Rwkv6 = Options::read(folder, WITHOUT_EFFECT)?;
    if options.hidden_act != SQUARED_RELU {
        return refuse(folder, "hidden_act", &options.hidden_act, SQUARED_RELU);
    }
    if let Some(attention) = &options.attn {
        return refuse(folder, "attn", attention, "null, no layer of attention");
    }
    let of_head = |option: &str, ratio: f64| {
        let values = ratio * options.hidden_size as f64 / options.num_heads as f64;
        if values >= 1.0 && values.fract().abs() < 1e-9 {
            return Ok(Some(values as usize));
        }
        refuse(folder, option, ratio, "a whole number of values for each of `num_heads`")
    };
    let mixer = Rwkv6Config {
        heads: options.num_heads,
        head_key_width: of_head("expand_k", options.expand_k)?,
        head_value_width: of_head("expand_v", options.expand_v)?,
        mix_rank: options.proj_low_rank_dim,
        decay_rank: options.gate_low_rank_dim,
        epsilon: options.norm_eps,
    };
    let ratio = options.hidden_ratio.unwrap_or(3.5);
    let hidden = hidden(options.intermediate_size, ratio, options.hidden_size);
    let channel = Rwkv6ChannelConfig { hidden: Some(hidden) };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: vec![Choice::typed(&mixer)?],
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig { bias: options.norm_bias, ..NormConfig::layer(options.norm_eps) },
            first_norm: options.norm_first,
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

/// The norms of a stack as fla publishes them, where the first layer may have one in front.
pub(super) fn norms(names: &mut Names, layers: usize, first: bool, bias: bool) {
    let mut norm = |published: &str, ours: &str| {
        if bias { names.scale_and_shift(published, ours) } else { names.scale(published, ours) }
    };
    if first {
        norm("model.layers.0.pre_norm", "backbone.first_norm");
    }
    for layer in 0..layers {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        norm(&format!("{published}.attn_norm"), &format!("{ours}.mixer_norm"));
        norm(&format!("{published}.ffn_norm"), &format!("{ours}.channel_norm"));
    }
    norm("model.norm", "backbone.norm");
}

fn names(options: &Rwkv6) -> Names {
    let mut names = Names::new();
    names.same("model.embeddings.weight", EMBEDDING);
    norms(&mut names, options.num_hidden_layers, options.norm_first, options.norm_bias);
    for layer in 0..options.num_hidden_layers {
        let published = format!("model.layers.{layer}.attn");
        let ours = format!("backbone.blocks.{layer}.mixer");
        names.same(format!("{published}.x_proj.0.mu"), format!("{ours}.mix"));
        names.linear(&format!("{published}.x_proj.0.linear"), &format!("{ours}.mix_contract"));
        names.transposed(format!("{published}.x_proj.2.weight"), format!("{ours}.mix_expand"));
        names.same(format!("{published}.x_bias"), format!("{ours}.mixes"));
        for (map, name) in [("r", "receptance"), ("k", "key"), ("v", "value"), ("g", "gate")] {
            names.linear(&format!("{published}.{map}_proj.linear"), &format!("{ours}.{name}"));
        }
        low_rank(&mut names, &format!("{published}.w_proj.linear"), &format!("{ours}.decay"), true);
        names.same(format!("{published}.bonus"), format!("{ours}.bonus"));
        names.scale_and_shift(&format!("{published}.g_norm"), &format!("{ours}.norm"));
        names.linear(&format!("{published}.o_proj"), &format!("{ours}.output"));

        let published = format!("model.layers.{layer}.ffn");
        let ours = format!("backbone.blocks.{layer}.channel");
        for (part, place) in [("key", ""), ("receptance", "gate.")] {
            names.same(format!("{published}.{part}.mu"), format!("{ours}.{place}mix_{part}"));
            names.linear(&format!("{published}.{part}.linear"), &format!("{ours}.{place}{part}"));
        }
        names.linear(&format!("{published}.value"), &format!("{ours}.value"));
    }
    if !options.tie_word_embeddings {
        names.linear("lm_head", "head.output");
    }
    names
}

/// A map through few values.
pub(super) fn low_rank(names: &mut Names, published: &str, ours: &str, bias: bool) {
    names.linear(&format!("{published}.lora.0"), &format!("{ours}.contract"));
    names.linear_maybe_bias(&format!("{published}.lora.2"), &format!("{ours}.expand"), bias);
}
