//! RecurrentGemma: De et al., Griffin, 2024, arXiv:2402.19427, as Botev et al. 2024, arXiv:2404.07839, publish it.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_recurrent::RgLruConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::{Activation, NormConfig, RotaryConfig};
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family = Family {
    name: "recurrent-gemma",
    matches: |folder| folder.model_type() == Some("recurrent_gemma"),
    open,
};

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RecurrentGemma {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    lru_width: Option<usize>,
    attention_window_size: usize,
    attention_bias: bool,
    conv1d_width: usize,
    logits_soft_cap: f64,
    rms_norm_eps: f64,
    hidden_activation: String,
    block_types: Vec<Kind>,
    max_position_embeddings: usize,
    rope_parameters: Rope,
    tie_word_embeddings: bool,
}

/// What mixes the tokens of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Recurrent,
    Attention,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rope {
    rope_type: String,
    rope_theta: f64,
    partial_rotary_factor: f64,
}

impl Default for Rope {
    fn default() -> Self {
        Self { rope_type: "default".to_owned(), rope_theta: 10000.0, partial_rotary_factor: 0.5 }
    }
}

impl Default for RecurrentGemma {
    fn default() -> Self {
        Self {
            vocab_size: 256_000,
            hidden_size: 2560,
            intermediate_size: 3 * 2560,
            num_hidden_layers: 26,
            num_attention_heads: 10,
            num_key_value_heads: None,
            head_dim: None,
            lru_width: None,
            attention_window_size: 2048,
            attention_bias: false,
            conv1d_width: 4,
            logits_soft_cap: 30.0,
            rms_norm_eps: 1e-6,
            hidden_activation: "gelu_pytorch_tanh".to_owned(),
            block_types: vec![Kind::Recurrent, Kind::Recurrent, Kind::Attention],
            max_position_embeddings: 8192,
            rope_parameters: Rope::default(),
            tie_word_embeddings: true,
        }
    }
}

/// How the weights were drawn.
const WITHOUT_EFFECT: &[&str] = &["final_w_init_variance_scale", "w_init_variance_scale"];

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: RecurrentGemma = Options::read(folder, WITHOUT_EFFECT)?;
    let (width, heads, rope) = (options.hidden_size, options.num_attention_heads, &options.rope_parameters);
    if options.block_types.is_empty() {
        return refuse(folder, "block_types", &options.block_types, "a list of `recurrent` and `attention`");
    }
    if rope.rope_type != "default" {
        return refuse(folder, "rope_parameters.rope_type", &rope.rope_type, "default");
    }
    if options.hidden_activation != "gelu_pytorch_tanh" {
        return refuse(folder, "hidden_activation", &options.hidden_activation, "gelu_pytorch_tanh");
    }
    let Some(head_width) = options.head_dim.or_else(|| width.checked_div(heads)) else {
        return refuse(folder, "num_attention_heads", heads, "at least 1");
    };
    let attention = AttentionConfig {
        heads,
        key_value_heads: Some(options.num_key_value_heads.unwrap_or(heads)),
        head_width: Some(head_width),
        causal: true,
        window: Some(options.attention_window_size),
        bias: options.attention_bias,
        output_bias: Some(true),
        rope: Some(RotaryConfig {
            base: rope.rope_theta,
            fraction: rope.partial_rotary_factor,
            ..RotaryConfig::default()
        }),
        ..AttentionConfig::default()
    };
    let recurrent = RgLruConfig {
        inner: Some(options.lru_width.unwrap_or(width)),
        heads,
        convolution: options.conv1d_width,
    };
    let channel = GatedMlpConfig {
        // The published size is that of both halves together.
        hidden: Some(options.intermediate_size / 2),
        activation: Activation::GeluTanh,
        bias: true,
        ..GatedMlpConfig::default()
    };
    let mixer = |kind: &Kind| match kind {
        Kind::Recurrent => Choice::typed(&recurrent),
        Kind::Attention => Choice::typed(&attention),
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig { scale: rounded((width as f64).sqrt()), ..EmbeddingConfig::default() },
        stack: StackConfig {
            width,
            depth: options.num_hidden_layers,
            pattern: options.block_types.iter().map(mixer).collect::<Result<_, _>>()?,
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig { unit_offset: true, ..NormConfig::rms(options.rms_norm_eps) },
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig {
            tied: options.tie_word_embeddings,
            cap: Some(options.logits_soft_cap),
            ..LanguageModelConfig::default()
        },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

/// The nearest number of bfloat16, in which the published networks keep the scale of their embeddings.
fn rounded(scale: f64) -> f64 {
    f64::from(burn::tensor::bf16::from_f64(scale).to_f32())
}

fn names(options: &RecurrentGemma) -> Names {
    let mut names = Names::new();
    names.same("model.embed_tokens.weight", EMBEDDING);
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        let (block, mixer) = (format!("{published}.temporal_block"), format!("{ours}.mixer"));
        names.scale(&format!("{published}.temporal_pre_norm"), &format!("{ours}.mixer_norm"));
        names.scale(&format!("{published}.channel_pre_norm"), &format!("{ours}.channel_norm"));
        for (published_map, map) in [("gate_proj", "gate"), ("up_proj", "expand"), ("down_proj", "contract")]
        {
            let place = format!("{published}.mlp_block.{published_map}");
            names.linear_with_bias(&place, &format!("{ours}.channel.{map}"));
        }
        match options.block_types[layer % options.block_types.len()] {
            Kind::Recurrent => {
                for (published, map) in
                    [("linear_x", "input"), ("linear_y", "gate"), ("linear_out", "output")]
                {
                    names.linear_with_bias(&format!("{block}.{published}"), &format!("{mixer}.{map}"));
                }
                names.unsqueezed(format!("{block}.conv_1d.weight"), format!("{mixer}.convolution.weight"), 1);
                names.same(format!("{block}.conv_1d.bias"), format!("{mixer}.convolution.bias"));
                names.same(format!("{block}.rg_lru.recurrent_param"), format!("{mixer}.recurrence.decay"));
                for (published, gate) in [("input_gate", "input_gate"), ("recurrent_gate", "recurrence_gate")]
                {
                    for part in ["weight", "bias"] {
                        let published = format!("{block}.rg_lru.{published}_{part}");
                        names.same(published, format!("{mixer}.recurrence.{gate}.{part}"));
                    }
                }
            }
            Kind::Attention => {
                for (published, map) in [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")] {
                    let (published, map) = (format!("{block}.{published}"), format!("{mixer}.{map}"));
                    names.linear_maybe_bias(&published, &map, options.attention_bias);
                }
                names.linear_with_bias(&format!("{block}.o_proj"), &format!("{mixer}.output"));
            }
        }
    }
    names.scale("model.final_norm", "backbone.norm");
    if !options.tie_word_embeddings {
        names.linear("lm_head", "head.output");
    }
    names
}
