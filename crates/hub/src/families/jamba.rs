//! Jamba: Lieber et al. 2024, arXiv:2403.19887. Mamba, attention without positions, and mixtures of experts.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::{Activation, ExpertsConfig, GatedMlpConfig, Scores};
use ansatz_arch_ssm::{MambaConfig, SelectionNorm};
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::mamba::{Rank, mixer_names};
use crate::experts::ExpertNames;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "jamba", matches: |folder| folder.model_type() == Some("jamba"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Jamba {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    hidden_act: String,
    rms_norm_eps: f64,
    max_position_embeddings: usize,
    num_experts_per_tok: usize,
    num_experts: usize,
    expert_layer_period: usize,
    expert_layer_offset: usize,
    attn_layer_period: usize,
    attn_layer_offset: usize,
    mamba_d_state: usize,
    mamba_d_conv: usize,
    mamba_expand: usize,
    mamba_dt_rank: Rank,
    mamba_conv_bias: bool,
    mamba_proj_bias: bool,
    tie_word_embeddings: bool,
}

impl Default for Jamba {
    fn default() -> Self {
        Self {
            vocab_size: 65536,
            hidden_size: 4096,
            intermediate_size: 14336,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: Some(8),
            hidden_act: "silu".to_owned(),
            rms_norm_eps: 1e-6,
            max_position_embeddings: 262_144,
            num_experts_per_tok: 2,
            num_experts: 16,
            expert_layer_period: 2,
            expert_layer_offset: 1,
            attn_layer_period: 8,
            attn_layer_offset: 4,
            mamba_d_state: 16,
            mamba_d_conv: 4,
            mamba_expand: 2,
            mamba_dt_rank: Rank::automatic(),
            mamba_conv_bias: true,
            mamba_proj_bias: false,
            tie_word_embeddings: false,
        }
    }
}

/// By which of several equal forms the numbers are computed, and of how many tokens logits are kept.
const WITHOUT_EFFECT: &[&str] =
    &["num_logits_to_keep", "use_associative_scan", "use_mamba_kernels", "use_mambapy"];

impl Jamba {
    fn attends(&self, layer: usize) -> bool {
        layer % self.attn_layer_period == self.attn_layer_offset
    }

    fn chooses(&self, layer: usize) -> bool {
        self.num_experts > 1 && layer % self.expert_layer_period == self.expert_layer_offset
    }

    fn mixer(&self) -> MambaConfig {
        MambaConfig {
            channels: Some(self.mamba_expand * self.hidden_size),
            state: self.mamba_d_state,
            window: self.mamba_d_conv,
            rank: self.mamba_dt_rank.given(),
            bias: self.mamba_proj_bias,
            convolution_bias: self.mamba_conv_bias,
            selection_norm: SelectionNorm::Scaled,
            epsilon: self.rms_norm_eps,
        }
    }

    fn attention(&self) -> AttentionConfig {
        AttentionConfig {
            heads: self.num_attention_heads,
            key_value_heads: self.num_key_value_heads,
            causal: true,
            bias: false,
            ..AttentionConfig::default()
        }
    }

    fn experts(&self) -> ExpertsConfig {
        ExpertsConfig {
            experts: self.num_experts,
            chosen: self.num_experts_per_tok,
            hidden: Some(self.intermediate_size),
            activation: Activation::Silu,
            scores: Scores::Softmax,
            renormalize: false,
            ..ExpertsConfig::default()
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Jamba = Options::read(folder, WITHOUT_EFFECT)?;
    if options.hidden_act != "silu" {
        return refuse(folder, "hidden_act", &options.hidden_act, "silu");
    }
    for (option, period) in [
        ("attn_layer_period", options.attn_layer_period),
        ("expert_layer_period", options.expert_layer_period),
    ] {
        if period == 0 {
            return refuse(folder, option, period, "1 or more");
        }
    }
    let (mamba, attention) = (Choice::typed(&options.mixer())?, Choice::typed(&options.attention())?);
    let gated = GatedMlpConfig { hidden: Some(options.intermediate_size), ..GatedMlpConfig::default() };
    let (dense, experts) = (Choice::typed(&gated)?, Choice::typed(&options.experts())?);
    let choose = |layer: usize| if options.attends(layer) { attention.clone() } else { mamba.clone() };
    let change = |layer: usize| if options.chooses(layer) { experts.clone() } else { dense.clone() };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: (0..options.num_hidden_layers).map(choose).collect(),
            channels: (0..options.num_hidden_layers).map(change).collect(),
            norm: NormConfig::rms(options.rms_norm_eps),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

fn names(options: &Jamba) -> Names {
    let mut names = Names::new();
    names.same("model.embed_tokens.weight", EMBEDDING);
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale(&format!("{published}.input_layernorm"), &format!("{ours}.mixer_norm"));
        if options.attends(layer) {
            let attention = options.attention();
            names.attention(&format!("{published}.self_attn"), &format!("{ours}.mixer"), &attention);
        } else {
            mixer_names(
                &mut names,
                &format!("{published}.mamba"),
                &format!("{ours}.mixer"),
                &options.mixer(),
            );
        }
        names.scale(&format!("{published}.pre_ff_layernorm"), &format!("{ours}.channel_norm"));
        let (published, ours) = (format!("{published}.feed_forward"), format!("{ours}.channel"));
        if options.chooses(layer) {
            names.experts(&published, &ours, &options.experts(), ExpertNames::JAMBA);
        } else {
            names.gated(&published, &ours);
        }
    }
    names.scale("model.final_layernorm", "backbone.norm");
    if !options.tie_word_embeddings {
        names.linear("lm_head", "head.output");
    }
    names
}
