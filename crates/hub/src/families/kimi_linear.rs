//! Kimi Linear: Kimi Team, Kimi Linear: An Expressive, Efficient Attention Architecture, 2025, arXiv:2510.26692.

use ansatz_arch_attention::LatentAttentionConfig;
use ansatz_arch_channel::{ExpertsConfig, GatedMlpConfig, Scores};
use ansatz_arch_delta::KimiDeltaAttentionConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::experts::ExpertNames;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "kimi-linear", matches: |folder| folder.model_type() == Some("kimi_linear"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KimiLinear {
    vocab_size: usize,
    model_max_length: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    hidden_act: String,
    rms_norm_eps: f64,
    layer_types: Vec<Layer>,
    mlp_layer_types: Vec<Mlp>,
    linear_head_dim: usize,
    linear_num_heads: usize,
    linear_conv_kernel_dim: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    q_lora_rank: Option<usize>,
    kv_lora_rank: usize,
    qk_nope_head_dim: usize,
    qk_rope_head_dim: usize,
    v_head_dim: usize,
    attention_bias: bool,
    num_experts: usize,
    num_experts_per_token: usize,
    num_shared_experts: usize,
    moe_intermediate_size: usize,
    moe_renormalize: bool,
    num_expert_group: usize,
    topk_group: usize,
    routed_scaling_factor: f64,
    tie_word_embeddings: bool,
}

/// What mixes the tokens of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Layer {
    LinearAttention,
    FullAttention,
}

/// What a layer does with each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mlp {
    Dense,
    Sparse,
}

impl Default for KimiLinear {
    fn default() -> Self {
        Self {
            vocab_size: 163840,
            model_max_length: 1048576,
            hidden_size: 2304,
            intermediate_size: 9216,
            num_hidden_layers: 27,
            hidden_act: "silu".to_owned(),
            rms_norm_eps: 1e-5,
            layer_types: Vec::new(),
            mlp_layer_types: Vec::new(),
            linear_head_dim: 128,
            linear_num_heads: 32,
            linear_conv_kernel_dim: 4,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            q_lora_rank: None,
            kv_lora_rank: 512,
            qk_nope_head_dim: 128,
            qk_rope_head_dim: 64,
            v_head_dim: 128,
            attention_bias: false,
            num_experts: 256,
            num_experts_per_token: 8,
            num_shared_experts: 1,
            moe_intermediate_size: 1024,
            moe_renormalize: true,
            num_expert_group: 1,
            topk_group: 1,
            routed_scaling_factor: 2.446,
            tie_word_embeddings: false,
        }
    }
}

/// Options that follow from others, or of how the weights were once split.
const WITHOUT_EFFECT: &[&str] = &["head_dim", "pretraining_tp", "qk_head_dim"];
/// The latent vectors' norm keeps the default of its class.
const LATENT_EPSILON: f64 = 1e-6;

impl KimiLinear {
    /// One entry for each layer; every fourth looks at all tokens where nothing is said.
    fn layers(&self, folder: &Folder) -> Result<Vec<(Layer, Mlp)>> {
        let count = self.num_hidden_layers;
        let mixer = |index: usize| {
            if index > 0 && index.is_multiple_of(4) { Layer::FullAttention } else { Layer::LinearAttention }
        };
        let mlp = |index: usize| if index == 0 { Mlp::Dense } else { Mlp::Sparse };
        let mixers = listed(&self.layer_types, count, mixer);
        let mlps = listed(&self.mlp_layer_types, count, mlp);
        match (mixers, mlps) {
            (Some(mixers), Some(mlps)) => Ok(mixers.into_iter().zip(mlps).collect()),
            (None, _) => refuse(folder, "layer_types", &self.layer_types, "one type for each layer"),
            (_, None) => refuse(folder, "mlp_layer_types", &self.mlp_layer_types, "one type for each layer"),
        }
    }

    fn delta(&self) -> KimiDeltaAttentionConfig {
        KimiDeltaAttentionConfig {
            heads: self.linear_num_heads,
            head_width: Some(self.linear_head_dim),
            convolution: self.linear_conv_kernel_dim,
            epsilon: self.rms_norm_eps,
            ..KimiDeltaAttentionConfig::default()
        }
    }

    fn attention(&self) -> LatentAttentionConfig {
        LatentAttentionConfig {
            heads: self.num_attention_heads,
            latent: Some(self.kv_lora_rank),
            query_latent: self.q_lora_rank,
            key_width: Some(self.qk_nope_head_dim),
            shared_key_width: Some(self.qk_rope_head_dim),
            value_width: Some(self.v_head_dim),
            causal: true,
            bias: self.attention_bias,
            epsilon: LATENT_EPSILON,
            ..LatentAttentionConfig::default()
        }
    }

    fn experts(&self) -> ExpertsConfig {
        ExpertsConfig {
            experts: self.num_experts,
            chosen: self.num_experts_per_token,
            hidden: Some(self.moe_intermediate_size),
            scores: Scores::Sigmoid,
            renormalize: self.moe_renormalize,
            scale: self.routed_scaling_factor,
            correction: true,
            groups: self.num_expert_group,
            chosen_groups: self.topk_group,
            shared_hidden: self.num_shared_experts * self.moe_intermediate_size,
            balance: 0.0,
            ..ExpertsConfig::default()
        }
    }
}

/// `given`, or what `otherwise` says where nothing is given; `None` when there are not `count`.
fn listed<T: Copy>(given: &[T], count: usize, otherwise: impl Fn(usize) -> T) -> Option<Vec<T>> {
    match given.len() {
        0 => Some((0..count).map(otherwise).collect()),
        length => (length == count).then(|| given.to_vec()),
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: KimiLinear = Options::read(folder, WITHOUT_EFFECT)?;
    if options.hidden_act != "silu" {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    if options.num_key_value_heads != options.num_attention_heads {
        return refuse(
            folder,
            "num_key_value_heads",
            options.num_key_value_heads,
            "as many as `num_attention_heads`",
        );
    }
    let layers = options.layers(folder)?;
    let dense = GatedMlpConfig { hidden: Some(options.intermediate_size), ..GatedMlpConfig::default() };
    let pattern = layers.iter().map(|(layer, _)| match layer {
        Layer::LinearAttention => Choice::typed(&options.delta()),
        Layer::FullAttention => Choice::typed(&options.attention()),
    });
    let channels = layers.iter().map(|(_, mlp)| match mlp {
        Mlp::Dense => Choice::typed(&dense),
        Mlp::Sparse => Choice::typed(&options.experts()),
    });
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.model_max_length,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: pattern.collect::<std::result::Result<_, _>>()?,
            channels: channels.collect::<std::result::Result<_, _>>()?,
            norm: NormConfig::rms(options.rms_norm_eps),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options, &layers),
    })
}

fn names(options: &KimiLinear, layers: &[(Layer, Mlp)]) -> Names {
    let mut names = Names::new();
    names.decoder_ends("model", options.tie_word_embeddings);
    for (index, (layer, mlp)) in layers.iter().enumerate() {
        let (published, ours) = (format!("model.layers.{index}"), format!("backbone.blocks.{index}"));
        let (attention, mixer) = (format!("{published}.self_attn"), format!("{ours}.mixer"));
        names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
        match layer {
            Layer::LinearAttention => delta(&mut names, options, &attention, &mixer),
            Layer::FullAttention => latent_attention(&mut names, &options.attention(), &attention, &mixer),
        }
        names.scale(&format!("{published}.post_attention_layernorm"), &format!("{ours}.channel_norm"));
        let (experts, channel) = (format!("{published}.block_sparse_moe"), format!("{ours}.channel"));
        match mlp {
            Mlp::Dense => names.gated(&experts, &channel),
            Mlp::Sparse => names.experts(&experts, &channel, &options.experts(), ExpertNames::MIXTRAL),
        }
    }
    names
}

fn delta(names: &mut Names, options: &KimiLinear, published: &str, ours: &str) {
    names.delta_projections(published, ours, options.linear_conv_kernel_dim > 0);
    names.linear(&format!("{published}.b_proj"), &format!("{ours}.strength"));
    for (letter, part) in [("f", "forgetting.map"), ("g", "gate")] {
        names.linear(&format!("{published}.{letter}_a_proj"), &format!("{ours}.{part}.down"));
        names.linear(&format!("{published}.{letter}_b_proj"), &format!("{ours}.{part}.up"));
    }
    let rates = [1, 1, options.linear_num_heads, 1];
    names.reshaped(format!("{published}.A_log"), &rates, format!("{ours}.forgetting.rate"));
    names.same(format!("{published}.dt_bias"), format!("{ours}.forgetting.bias"));
}

fn latent_attention(names: &mut Names, config: &LatentAttentionConfig, published: &str, ours: &str) {
    if config.query_latent.is_some() {
        names.linear_maybe_bias(
            &format!("{published}.q_a_proj"),
            &format!("{ours}.query_latent"),
            config.bias,
        );
        names.scale(&format!("{published}.q_a_layernorm"), &format!("{ours}.query_norm"));
        names.linear(&format!("{published}.q_b_proj"), &format!("{ours}.query"));
    } else {
        names.linear(&format!("{published}.q_proj"), &format!("{ours}.query"));
    }
    let both = |part: &str| [format!("{ours}.latent.{part}"), format!("{ours}.shared_key.{part}")];
    names.joined_linear(format!("{published}.kv_a_proj_with_mqa.weight"), &both("weight"));
    if config.bias {
        names.joined(format!("{published}.kv_a_proj_with_mqa.bias"), &both("bias"), 0);
    }
    names.scale(&format!("{published}.kv_a_layernorm"), &format!("{ours}.latent_norm"));
    let heads = [format!("{ours}.key.weight"), format!("{ours}.value.weight")];
    names.interleaved_linear(format!("{published}.kv_b_proj.weight"), &heads, config.heads);
    names.linear_maybe_bias(&format!("{published}.o_proj"), &format!("{ours}.output"), config.bias);
}
