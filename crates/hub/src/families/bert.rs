//! BERT: Devlin et al., 2018, arXiv:1810.04805; and RoBERTa: Liu et al., 2019, arXiv:1907.11692, which counts
//! positions among real tokens.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{Activation, MlpConfig};
use ansatz_arch_stack::{Arrangement, PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::{LanguageModelConfig, TransformConfig};
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::activation;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family = Family {
    name: "bert",
    matches: |folder| folder.model_type() == Some("bert"),
    open: |folder, registry, device| open(folder, Kind::Bert, registry, device),
};
pub(super) const ROBERTA: Family = Family {
    name: "roberta",
    matches: |folder| folder.model_type() == Some("roberta"),
    open: |folder, registry, device| open(folder, Kind::Roberta, registry, device),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bert,
    Roberta,
}

/// The options that matter, with the defaults of the published classes.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Bert {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    position_embedding_type: String,
    is_decoder: bool,
    add_cross_attention: bool,
    tie_word_embeddings: bool,
}

impl Default for Bert {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".to_owned(),
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            position_embedding_type: "absolute".to_owned(),
            is_decoder: false,
            add_cross_attention: false,
            tie_word_embeddings: true,
        }
    }
}

/// Which parts a checkpoint holds, told by the names of its weights.
struct Published {
    /// What stands in front of the encoder's names: none where it was published by itself.
    prefix: String,
    /// Whether there is a head that foretells masked tokens.
    head: bool,
    /// What the scale and the shift of a norm are called; the oldest checkpoints say `gamma` and `beta`.
    norm: [&'static str; 2],
}

impl Published {
    fn of(folder: &Folder, kind: Kind) -> Result<Self> {
        let weights = folder.weights()?;
        let prefix = kind.prefix();
        let prefixed = weights.names().any(|name| name.starts_with(prefix));
        let old = weights.names().any(|name| name.ends_with("LayerNorm.gamma"));
        Ok(Self {
            prefix: if prefixed { prefix.to_owned() } else { String::new() },
            head: weights.names().any(|name| name.starts_with(kind.head())),
            norm: if old { ["gamma", "beta"] } else { ["weight", "bias"] },
        })
    }
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
        }
    }

    /// What stands in front of the head's names.
    fn head(self) -> &'static str {
        match self {
            Self::Bert => "cls.predictions.",
            Self::Roberta => "lm_head.",
        }
    }

    /// What the head calls its linear map and its norm.
    fn transform(self) -> [&'static str; 2] {
        match self {
            Self::Bert => ["transform.dense", "transform.LayerNorm"],
            Self::Roberta => ["dense", "layer_norm"],
        }
    }
}

fn open(folder: &Folder, kind: Kind, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder, kind)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder, kind: Kind) -> Result<LanguageModel> {
    let options: Bert =
        Options::read(folder, &["gradient_checkpointing", "pooler_fc_size", "directionality"])?;
    if options.is_decoder || options.add_cross_attention {
        return refuse(folder, "is_decoder or add_cross_attention", true, "false");
    }
    if options.position_embedding_type != "absolute" {
        return refuse(folder, "position_embedding_type", &options.position_embedding_type, "absolute");
    }
    let published = Published::of(folder, kind)?;
    let attention = AttentionConfig { heads: options.num_attention_heads, ..AttentionConfig::default() };
    let activation = activation(folder, "hidden_act", &options.hidden_act)?;
    let channel = MlpConfig { hidden: Some(options.intermediate_size), activation, ..MlpConfig::default() };
    let norm = NormConfig::layer(options.layer_norm_eps);
    let padding = padding(folder, kind, options.max_position_embeddings)?;
    let transform = TransformConfig {
        // RoBERTa's head has this function whatever the layers have.
        activation: if kind == Kind::Bert { activation } else { Activation::Gelu },
        bias: true,
        norm,
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings - padding.map_or(0, |padding| padding + 1),
        embedding: EmbeddingConfig { types: options.type_vocab_size, padding, ..EmbeddingConfig::default() },
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: vec![Choice::typed(&attention)?],
            channels: vec![Choice::typed(&channel)?],
            norm,
            arrangement: Arrangement::Post,
            first_norm: true,
            last_norm: false,
            positions: if padding.is_some() { PositionKind::None } else { PositionKind::Learned },
            ..StackConfig::default()
        },
        // An encoder published by itself gets a head without weights of its own.
        head: LanguageModelConfig {
            transform: published.head.then_some(transform),
            bias: published.head,
            tied: options.tie_word_embeddings || !published.head,
            ..LanguageModelConfig::default()
        },
        blocks_per_layer: 1,
        names: names(&options, kind, &published),
    })
}

/// The token that positions are counted without: RoBERTa's padding.
fn padding(folder: &Folder, kind: Kind, positions: usize) -> Result<Option<usize>> {
    if kind == Kind::Bert {
        return Ok(None);
    }
    let given = folder.config.get("pad_token_id").cloned().unwrap_or_else(|| 1.into());
    match given.as_u64().and_then(|padding| usize::try_from(padding).ok()) {
        Some(padding) if padding + 1 < positions => Ok(Some(padding)),
        _ => refuse(folder, "pad_token_id", given, "a token below max_position_embeddings - 1"),
    }
}

fn names(options: &Bert, kind: Kind, published: &Published) -> Names {
    let Published { prefix, .. } = published;
    let mut names = Names::new();
    let norm = |names: &mut Names, theirs: &str, ours: &str| {
        for (part, own) in published.norm.into_iter().zip(["scale", "shift"]) {
            names.same(format!("{theirs}.{part}"), format!("{ours}.{own}"));
        }
    };
    let embeddings = format!("{prefix}embeddings");
    names.same(format!("{embeddings}.word_embeddings.weight"), EMBEDDING);
    names.same(format!("{embeddings}.token_type_embeddings.weight"), "stem.types");
    let positions = if kind == Kind::Bert { "backbone.positions.learned" } else { "stem.positions" };
    names.same(format!("{embeddings}.position_embeddings.weight"), positions);
    norm(&mut names, &format!("{embeddings}.LayerNorm"), "backbone.first_norm");
    for layer in 0..options.num_hidden_layers {
        let (theirs, ours) = (format!("{prefix}encoder.layer.{layer}"), format!("backbone.blocks.{layer}"));
        for map in ["query", "key", "value"] {
            names.linear_with_bias(&format!("{theirs}.attention.self.{map}"), &format!("{ours}.mixer.{map}"));
        }
        names.linear_with_bias(&format!("{theirs}.attention.output.dense"), &format!("{ours}.mixer.output"));
        norm(&mut names, &format!("{theirs}.attention.output.LayerNorm"), &format!("{ours}.mixer_norm"));
        names.linear_with_bias(&format!("{theirs}.intermediate.dense"), &format!("{ours}.channel.expand"));
        names.linear_with_bias(&format!("{theirs}.output.dense"), &format!("{ours}.channel.contract"));
        norm(&mut names, &format!("{theirs}.output.LayerNorm"), &format!("{ours}.channel_norm"));
    }
    if published.head {
        let head = kind.head();
        let [dense, last] = kind.transform();
        names.linear_with_bias(&format!("{head}{dense}"), "head.transform.dense");
        norm(&mut names, &format!("{head}{last}"), "head.transform.norm");
        let [bias, copy] = [format!("{head}bias"), format!("{head}decoder.bias")];
        if options.tie_word_embeddings {
            names.same(bias, "head.bias");
            names.ignored(copy);
            names.ignored(format!("{head}decoder.weight"));
        } else {
            names.linear(&format!("{head}decoder"), "head.output");
            names.same(copy, "head.bias");
            names.ignored(bias);
        }
    }
    // Other heads than that over the vocabulary, and a count from 0 up.
    for (owner, part) in
        [("pooler.dense", "weight"), ("pooler.dense", "bias"), ("embeddings", "position_ids")]
    {
        names.ignored(format!("{prefix}{owner}.{part}"));
    }
    for part in ["weight", "bias"] {
        names.ignored(format!("cls.seq_relationship.{part}"));
    }
    names
}
