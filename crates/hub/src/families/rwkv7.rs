//! RWKV-7: Peng et al., RWKV-7 "Goose" with Expressive Dynamic State Evolution, 2025, arXiv:2503.14456, as
//! published with the fla library.

use ansatz_arch_rwkv::{Rwkv7ChannelConfig, Rwkv7Config};
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::rwkv6::{SQUARED_RELU, WITHOUT_EFFECT, hidden, low_rank, norms};
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "rwkv7", matches: |folder| folder.model_type() == Some("rwkv7"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rwkv7 {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    head_dim: Option<usize>,
    num_heads: Option<usize>,
    value_dim: Option<Values>,
    hidden_ratio: Option<f64>,
    intermediate_size: Option<usize>,
    decay_low_rank_dim: usize,
    gate_low_rank_dim: usize,
    a_low_rank_dim: usize,
    v_low_rank_dim: usize,
    hidden_act: String,
    norm_first: bool,
    norm_bias: bool,
    norm_eps: f64,
    attn: Option<serde_json::Value>,
    tie_word_embeddings: bool,
}

/// The width of the values, of all layers or of each.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    All(usize),
    Each(Vec<usize>),
}

impl Default for Rwkv7 {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            max_position_embeddings: 2048,
            hidden_size: 2048,
            num_hidden_layers: 24,
            head_dim: Some(64),
            num_heads: None,
            value_dim: None,
            hidden_ratio: Some(4.0),
            intermediate_size: None,
            decay_low_rank_dim: 64,
            gate_low_rank_dim: 128,
            a_low_rank_dim: 64,
            v_low_rank_dim: 16,
            hidden_act: SQUARED_RELU.to_owned(),
            norm_first: true,
            norm_bias: true,
            norm_eps: 1e-5,
            attn: None,
            tie_word_embeddings: false,
        }
    }
}

impl Rwkv7 {
    /// The published layer goes by the width of a head where both are given.
    fn heads(&self, folder: &Folder) -> Result<usize> {
        match (self.head_dim, self.num_heads) {
            (Some(width), _) if width > 0 && self.hidden_size.is_multiple_of(width) => {
                Ok(self.hidden_size / width)
            }
            (Some(width), _) => refuse(folder, "head_dim", width, "a divisor of `hidden_size`"),
            (None, Some(heads)) => Ok(heads),
            (None, None) => refuse(folder, "head_dim", None::<usize>, "a number, or `num_heads`"),
        }
    }

    /// Values of all heads together: the same in all layers, since each takes some of the first layer's.
    fn values(&self, folder: &Folder) -> Result<usize> {
        match &self.value_dim {
            None => Ok(self.hidden_size),
            Some(Values::All(values)) => Ok(*values),
            Some(Values::Each(values)) => match values.split_first() {
                Some((first, rest)) if rest.iter().all(|other| other == first) => Ok(*first),
                _ => refuse(folder, "value_dim", values, "one width for all layers"),
            },
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Rwkv7 = Options::read(folder, WITHOUT_EFFECT)?;
    if options.hidden_act != SQUARED_RELU {
        return refuse(folder, "hidden_act", &options.hidden_act, SQUARED_RELU);
    }
    if let Some(attention) = &options.attn {
        return refuse(folder, "attn", attention, "null, no layer of attention");
    }
    let (heads, values) = (options.heads(folder)?, options.values(folder)?);
    if heads == 0 || !values.is_multiple_of(heads) {
        return refuse(folder, "value_dim", values, "a multiple of the number of heads");
    }
    let mixer = Rwkv7Config {
        heads,
        head_value_width: Some(values / heads),
        decay_rank: options.decay_low_rank_dim,
        rate_rank: options.a_low_rank_dim,
        value_rank: options.v_low_rank_dim,
        gate_rank: options.gate_low_rank_dim,
        epsilon: Some(options.norm_eps * (options.hidden_size / heads) as f64),
    };
    let ratio = options.hidden_ratio.unwrap_or(4.0);
    let hidden = hidden(options.intermediate_size, ratio, options.hidden_size);
    let channel = Rwkv7ChannelConfig { hidden: Some(hidden) };
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

fn names(options: &Rwkv7) -> Names {
    let mut names = Names::new();
    let width = options.hidden_size;
    names.same("model.embeddings.weight", EMBEDDING);
    norms(&mut names, options.num_hidden_layers, options.norm_first, options.norm_bias);
    for layer in 0..options.num_hidden_layers {
        let published = format!("model.layers.{layer}.attn");
        let ours = format!("backbone.blocks.{layer}.mixer");
        for (letter, part) in
            [("r", "receptance"), ("w", "decay"), ("k", "key"), ("v", "value"), ("a", "rate"), ("g", "gate")]
        {
            names.reshaped(
                format!("{published}.x_{letter}"),
                &[1, 1, width],
                format!("{ours}.mixtures.{part}"),
            );
        }
        for (letter, map) in [("r", "receptance"), ("k", "key"), ("v", "value"), ("o", "output")] {
            names.linear(&format!("{published}.{letter}_proj"), &format!("{ours}.{map}"));
        }
        for (letter, part, bias) in [("w", "decay", true), ("a", "rate", true), ("g", "gate", false)] {
            low_rank(&mut names, &format!("{published}.{letter}_lora"), &format!("{ours}.{part}"), bias);
        }
        if layer > 0 {
            low_rank(&mut names, &format!("{published}.v_lora"), &format!("{ours}.first_value"), true);
        }
        for (letters, part) in [("k_k", "removal"), ("k_a", "replacement"), ("r_k", "bonus")] {
            names.same(format!("{published}.{letters}"), format!("{ours}.{part}"));
        }
        names.scale_and_shift(&format!("{published}.g_norm"), &format!("{ours}.norm"));

        let published = format!("model.layers.{layer}.ffn");
        let ours = format!("backbone.blocks.{layer}.channel");
        names.same(format!("{published}.x_k"), format!("{ours}.mix_key"));
        names.linear(&format!("{published}.key"), &format!("{ours}.key"));
        names.linear(&format!("{published}.value"), &format!("{ours}.value"));
    }
    if !options.tie_word_embeddings {
        names.linear("lm_head", "head.output");
    }
    names
}
