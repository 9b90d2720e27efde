//! Falcon-H1: Zuo et al. 2025, arXiv:2507.22448. Attention and Mamba-2 side by side in every layer.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_ssm::{Gating, Mamba2Config, PartScales};
use ansatz_arch_stack::{ParallelBranch, ParallelConfig, PositionKind, Scales, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::mamba2::{StepLimits, mixer_names};
use super::rope::RopeParameters;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "falcon-h1", matches: |folder| folder.model_type() == Some("falcon_h1"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FalconH1 {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: String,
    rms_norm_eps: f64,
    max_position_embeddings: usize,
    attention_bias: bool,
    mlp_bias: bool,
    mamba_d_ssm: Option<usize>,
    mamba_n_heads: usize,
    mamba_n_groups: usize,
    mamba_d_state: usize,
    mamba_d_conv: usize,
    mamba_expand: usize,
    mamba_conv_bias: bool,
    mamba_proj_bias: bool,
    mamba_norm_before_gate: bool,
    mamba_rms_norm: bool,
    projectors_bias: bool,
    time_step_limit: StepLimits,
    #[serde(alias = "rope_scaling")]
    rope_parameters: Option<RopeParameters>,
    rope_theta: f64,
    embedding_multiplier: f64,
    lm_head_multiplier: f64,
    mlp_multipliers: [f64; 2],
    key_multiplier: f64,
    attention_in_multiplier: f64,
    attention_out_multiplier: f64,
    ssm_multipliers: [f64; 5],
    ssm_in_multiplier: f64,
    ssm_out_multiplier: f64,
    tie_word_embeddings: bool,
}

impl Default for FalconH1 {
    fn default() -> Self {
        Self {
            vocab_size: 128_000,
            hidden_size: 4096,
            intermediate_size: 14336,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(8),
            head_dim: None,
            hidden_act: "silu".to_owned(),
            rms_norm_eps: 1e-5,
            max_position_embeddings: 8192,
            attention_bias: false,
            mlp_bias: false,
            mamba_d_ssm: Some(1024),
            mamba_n_heads: 128,
            mamba_n_groups: 1,
            mamba_d_state: 256,
            mamba_d_conv: 4,
            mamba_expand: 2,
            mamba_conv_bias: true,
            mamba_proj_bias: false,
            mamba_norm_before_gate: true,
            mamba_rms_norm: false,
            projectors_bias: false,
            time_step_limit: StepLimits::default(),
            rope_parameters: None,
            rope_theta: 10000.0,
            embedding_multiplier: 1.0,
            lm_head_multiplier: 1.0,
            mlp_multipliers: [1.0; 2],
            key_multiplier: 1.0,
            attention_in_multiplier: 1.0,
            attention_out_multiplier: 1.0,
            ssm_multipliers: [1.0; 5],
            ssm_in_multiplier: 1.0,
            ssm_out_multiplier: 1.0,
            tie_word_embeddings: false,
        }
    }
}

/// A size that follows from others, chunks of the computation, and of how many tokens logits are kept.
const WITHOUT_EFFECT: &[&str] = &["mamba_chunk_size", "mamba_d_head", "num_logits_to_keep"];

impl FalconH1 {
    fn mamba(&self, folder: &Folder) -> Result<Mamba2Config> {
        let (shortest_step, longest_step) = self.time_step_limit.bounds(folder)?;
        let [gate, x, input, output, step] = self.ssm_multipliers;
        Ok(Mamba2Config {
            channels: Some(self.mamba_d_ssm.unwrap_or(self.mamba_expand * self.hidden_size)),
            heads: self.mamba_n_heads,
            groups: self.mamba_n_groups,
            state: self.mamba_d_state,
            window: self.mamba_d_conv,
            bias: self.mamba_proj_bias,
            convolution_bias: self.mamba_conv_bias,
            shortest_step,
            longest_step,
            gating: match (self.mamba_rms_norm, self.mamba_norm_before_gate) {
                (false, _) => Gating::Plain,
                (true, true) => Gating::NormBefore,
                (true, false) => Gating::NormBehind,
            },
            epsilon: self.rms_norm_eps,
            scales: PartScales { gate, x, input, output, step },
        })
    }

    fn attention(&self, folder: &Folder) -> Result<AttentionConfig> {
        let rope = self.rope_parameters.clone().unwrap_or_default();
        Ok(AttentionConfig {
            heads: self.num_attention_heads,
            key_value_heads: self.num_key_value_heads,
            head_width: self.head_dim,
            causal: true,
            bias: self.attention_bias,
            key_scale: self.key_multiplier,
            rope: Some(rope.rotary(folder, self.rope_theta, 1.0, self.max_position_embeddings)?),
            ..AttentionConfig::default()
        })
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: FalconH1 = Options::read(folder, WITHOUT_EFFECT)?;
    if options.hidden_act != "silu" {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    if options.projectors_bias != options.mamba_proj_bias {
        let implemented = "as `mamba_proj_bias`: one bias for the maps into and out of the state space";
        return refuse(folder, "projectors_bias", options.projectors_bias, implemented);
    }
    let (mamba, attention) = (options.mamba(folder)?, options.attention(folder)?);
    let branches = vec![
        ParallelBranch {
            mixer: Choice::typed(&mamba)?,
            input_scale: options.ssm_in_multiplier,
            output_scale: options.ssm_out_multiplier,
        },
        ParallelBranch {
            mixer: Choice::typed(&attention)?,
            input_scale: options.attention_in_multiplier,
            output_scale: options.attention_out_multiplier,
        },
    ];
    let [gate_scale, branch] = options.mlp_multipliers;
    let channel = GatedMlpConfig {
        hidden: Some(options.intermediate_size),
        bias: options.mlp_bias,
        gate_scale,
        ..GatedMlpConfig::default()
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig { scale: options.embedding_multiplier, ..EmbeddingConfig::default() },
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: vec![Choice::typed(&ParallelConfig { branches })?],
            channels: vec![Choice::typed(&channel)?],
            channel_scales: vec![Scales { branch, ..Scales::default() }],
            norm: NormConfig::rms(options.rms_norm_eps),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig {
            tied: options.tie_word_embeddings,
            scale: options.lm_head_multiplier,
            ..LanguageModelConfig::default()
        },
        blocks_per_layer: 1,
        names: names(&options, &mamba, &attention),
    })
}

fn names(options: &FalconH1, mamba: &Mamba2Config, attention: &AttentionConfig) -> Names {
    let mut names = Names::new();
    names.same("model.embed_tokens.weight", EMBEDDING);
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
        let [first, second] = [0, 1].map(|branch| format!("{ours}.mixer.branches.{branch}"));
        mixer_names(&mut names, &format!("{published}.mamba"), &first, mamba);
        names.attention(&format!("{published}.self_attn"), &second, attention);
        names.scale(&format!("{published}.pre_ff_layernorm"), &format!("{ours}.channel_norm"));
        names.gated_mlp(&format!("{published}.feed_forward"), &format!("{ours}.channel"), options.mlp_bias);
    }
    names.scale("model.final_layernorm", "backbone.norm");
    if !options.tie_word_embeddings {
        names.linear("lm_head", "head.output");
    }
    names
}
