//! GPT-2: Radford et al., Language Models are Unsupervised Multitask Learners, 2019.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::MlpConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::activation;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "gpt2", matches: |folder| folder.model_type() == Some("gpt2"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Gpt2 {
    vocab_size: usize,
    n_positions: usize,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    n_inner: Option<usize>,
    activation_function: String,
    layer_norm_epsilon: f64,
    scale_attn_weights: bool,
    scale_attn_by_inverse_layer_idx: bool,
    add_cross_attention: bool,
    tie_word_embeddings: bool,
}

impl Default for Gpt2 {
    fn default() -> Self {
        Self {
            vocab_size: 50257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: "gelu_new".to_owned(),
            layer_norm_epsilon: 1e-5,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            add_cross_attention: false,
            tie_word_embeddings: true,
        }
    }
}

/// Options of other heads, or of how the numbers are computed.
const WITHOUT_EFFECT: &[&str] = &[
    "reorder_and_upcast_attn",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
];

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Gpt2 = Options::read(folder, WITHOUT_EFFECT)?;
    let implemented = [
        ("scale_attn_weights", options.scale_attn_weights, true),
        ("scale_attn_by_inverse_layer_idx", options.scale_attn_by_inverse_layer_idx, false),
        ("add_cross_attention", options.add_cross_attention, false),
    ];
    for (option, given, wanted) in implemented {
        if given != wanted {
            return refuse(folder, option, given, if wanted { "true" } else { "false" });
        }
    }
    let attention = AttentionConfig { heads: options.n_head, causal: true, ..AttentionConfig::default() };
    let hidden = options.n_inner.unwrap_or(4 * options.n_embd);
    let channel = MlpConfig {
        hidden: Some(hidden),
        activation: activation(folder, "activation_function", &options.activation_function)?,
        ..MlpConfig::default()
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.n_positions,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.n_embd,
            depth: options.n_layer,
            pattern: vec![Choice::typed(&attention)?],
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig::layer(options.layer_norm_epsilon),
            positions: PositionKind::Learned,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

/// GPT-2 publishes its linear maps as `[inputs, outputs]`, as they are kept here.
fn names(options: &Gpt2) -> Names {
    let mut names = Names::new();
    names.same("transformer.wte.weight", EMBEDDING);
    names.same("transformer.wpe.weight", "backbone.positions.learned");
    for layer in 0..options.n_layer {
        let (published, ours) = (format!("transformer.h.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale_and_shift(&format!("{published}.ln_1"), &format!("{ours}.mixer_norm"));
        for part in ["weight", "bias"] {
            let maps = ["query", "key", "value"].map(|map| format!("{ours}.mixer.{map}.{part}"));
            names.joined(format!("{published}.attn.c_attn.{part}"), &maps, usize::from(part == "weight"));
            names.same(format!("{published}.attn.c_proj.{part}"), format!("{ours}.mixer.output.{part}"));
            names.same(format!("{published}.mlp.c_fc.{part}"), format!("{ours}.channel.expand.{part}"));
            names.same(format!("{published}.mlp.c_proj.{part}"), format!("{ours}.channel.contract.{part}"));
        }
        names.scale_and_shift(&format!("{published}.ln_2"), &format!("{ours}.channel_norm"));
    }
    names.scale_and_shift("transformer.ln_f", "backbone.norm");
    if !options.tie_word_embeddings {
        names.linear("lm_head", "head.output");
    }
    names
}
