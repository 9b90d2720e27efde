//! ModernBERT: Warner et al., Smarter, Better, Faster, Longer, 2024, arXiv:2412.13663.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::{LanguageModelConfig, TransformConfig};
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::{activation, windows};
use super::rope::RopeParameters;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject};

pub(super) const FAMILY: Family =
    Family { name: "modernbert", matches: |folder| folder.model_type() == Some("modernbert"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ModernBert {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    hidden_activation: String,
    max_position_embeddings: usize,
    norm_eps: f64,
    norm_bias: bool,
    attention_bias: bool,
    layer_types: Option<Vec<String>>,
    global_attn_every_n_layers: usize,
    rope_parameters: Rope,
    global_rope_theta: f64,
    local_rope_theta: f64,
    local_attention: usize,
    mlp_bias: bool,
    decoder_bias: bool,
    classifier_bias: bool,
    classifier_activation: String,
    tie_word_embeddings: bool,
}

/// Rotary positions by the kind of layer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rope {
    full_attention: RopeParameters,
    sliding_attention: RopeParameters,
}

impl Default for ModernBert {
    fn default() -> Self {
        Self {
            vocab_size: 50368,
            hidden_size: 768,
            intermediate_size: 1152,
            num_hidden_layers: 22,
            num_attention_heads: 12,
            hidden_activation: "gelu".to_owned(),
            max_position_embeddings: 8192,
            norm_eps: 1e-5,
            norm_bias: false,
            attention_bias: false,
            layer_types: None,
            global_attn_every_n_layers: 3,
            rope_parameters: Rope::default(),
            global_rope_theta: 160_000.0,
            local_rope_theta: 10_000.0,
            local_attention: 128,
            mlp_bias: false,
            decoder_bias: true,
            classifier_bias: false,
            classifier_activation: "gelu".to_owned(),
            tie_word_embeddings: true,
        }
    }
}

/// Options of other heads, of training, and of how the numbers are computed; and names of an older class whose
/// meaning others took over.
const WITHOUT_EFFECT: &[&str] = &[
    "classifier_pooling",
    "deterministic_flash_attn",
    "gradient_checkpointing",
    "initializer_cutoff_factor",
    "layer_norm_eps",
    "mlp_dropout",
    "position_embedding_type",
    "reference_compile",
    "repad_logits_with_grad",
    "sparse_pred_ignore_index",
    "sparse_prediction",
];

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: ModernBert = Options::read(folder, WITHOUT_EFFECT)?;
    let length = options.max_position_embeddings;
    let Rope { full_attention, sliding_attention } = &options.rope_parameters;
    let global = full_attention.rotary(folder, options.global_rope_theta, 1.0, length)?;
    let local = sliding_attention.rotary(folder, options.local_rope_theta, 1.0, length)?;
    // Half of `local_attention` to either side, and the token itself.
    let window = options.local_attention / 2 + 1;
    let types = options.layer_types.as_deref();
    let every = options.global_attn_every_n_layers.max(1);
    let windows =
        windows(folder, options.num_hidden_layers, types, Some(window), |layer| layer % every != 0)?;
    let attention = windows.into_iter().map(|window| AttentionConfig {
        heads: options.num_attention_heads,
        window,
        bias: options.attention_bias,
        rope: Some(if window.is_some() { local } else { global }),
        ..AttentionConfig::default()
    });
    let channel = GatedMlpConfig {
        hidden: Some(options.intermediate_size),
        activation: activation(folder, "hidden_activation", &options.hidden_activation)?,
        bias: options.mlp_bias,
        ..GatedMlpConfig::default()
    };
    let norm = NormConfig { bias: options.norm_bias, ..NormConfig::layer(options.norm_eps) };
    let transform = TransformConfig {
        activation: activation(folder, "classifier_activation", &options.classifier_activation)?,
        bias: options.classifier_bias,
        norm,
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: attention.map(|attention| Choice::typed(&attention)).collect::<Result<_, _>>()?,
            channels: vec![Choice::typed(&channel)?],
            norm,
            first_norm: true,
            first_mixer_norm: false,
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig {
            transform: Some(transform),
            bias: options.decoder_bias,
            tied: options.tie_word_embeddings,
            ..LanguageModelConfig::default()
        },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

fn names(options: &ModernBert) -> Names {
    let mut names = Names::new();
    let norm = |names: &mut Names, published: &str, ours: &str| {
        if options.norm_bias { names.scale_and_shift(published, ours) } else { names.scale(published, ours) }
    };
    // One published map that is several of ours.
    let joined = |names: &mut Names, published: String, ours: &str, maps: &[&str], bias: bool| {
        let each = |part: &str| maps.iter().map(|map| format!("{ours}.{map}.{part}")).collect::<Vec<_>>();
        names.joined_linear(format!("{published}.weight"), &each("weight"));
        if bias {
            names.joined(format!("{published}.bias"), &each("bias"), 0);
        }
    };
    names.same("model.embeddings.tok_embeddings.weight", EMBEDDING);
    norm(&mut names, "model.embeddings.norm", "backbone.first_norm");
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        if layer > 0 {
            norm(&mut names, &format!("{published}.attn_norm"), &format!("{ours}.mixer_norm"));
        }
        let maps = ["query", "key", "value"];
        let mixer = format!("{ours}.mixer");
        joined(&mut names, format!("{published}.attn.Wqkv"), &mixer, &maps, options.attention_bias);
        let output = format!("{ours}.mixer.output");
        names.linear_maybe_bias(&format!("{published}.attn.Wo"), &output, options.attention_bias);
        norm(&mut names, &format!("{published}.mlp_norm"), &format!("{ours}.channel_norm"));
        let channel = format!("{ours}.channel");
        joined(&mut names, format!("{published}.mlp.Wi"), &channel, &["gate", "expand"], options.mlp_bias);
        let contract = format!("{ours}.channel.contract");
        names.linear_maybe_bias(&format!("{published}.mlp.Wo"), &contract, options.mlp_bias);
    }
    norm(&mut names, "model.final_norm", "backbone.norm");
    names.linear_maybe_bias("head.dense", "head.transform.dense", options.classifier_bias);
    norm(&mut names, "head.norm", "head.transform.norm");
    if options.decoder_bias {
        names.same("decoder.bias", "head.bias");
    }
    if options.tie_word_embeddings {
        names.ignored("decoder.weight");
    } else {
        names.linear("decoder", "head.output");
    }
    names
}
