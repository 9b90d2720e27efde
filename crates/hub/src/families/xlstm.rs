//! xLSTM 7B: Beck et al., xLSTM 7B: A Recurrent LLM for Fast and Efficient Inference, 2025, arXiv:2503.13427.

use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_recurrent::MatrixLstmConfig;
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
    Family { name: "xlstm", matches: |folder| folder.model_type() == Some("xlstm"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Xlstm {
    vocab_size: usize,
    hidden_size: usize,
    embedding_dim: Option<usize>,
    num_hidden_layers: usize,
    num_blocks: Option<usize>,
    num_heads: usize,
    use_bias: bool,
    tie_word_embeddings: bool,
    add_out_norm: bool,
    norm_eps: f64,
    qk_dim_factor: f64,
    v_dim_factor: f64,
    eps: f64,
    inference_state_dtype: String,
    ffn_proj_factor: f64,
    ffn_round_up_to_multiple_of: usize,
    gate_soft_cap: Option<f64>,
    output_logit_soft_cap: Option<f64>,
    weight_mode: String,
}

impl Default for Xlstm {
    fn default() -> Self {
        Self {
            vocab_size: 50304,
            hidden_size: 4096,
            embedding_dim: None,
            num_hidden_layers: 32,
            num_blocks: None,
            num_heads: 8,
            use_bias: false,
            tie_word_embeddings: false,
            add_out_norm: true,
            norm_eps: 1e-6,
            qk_dim_factor: 0.5,
            v_dim_factor: 1.0,
            eps: 1e-6,
            inference_state_dtype: "float32".to_owned(),
            ffn_proj_factor: 2.667,
            ffn_round_up_to_multiple_of: 64,
            gate_soft_cap: Some(15.0),
            output_logit_soft_cap: Some(30.0),
            weight_mode: "single".to_owned(),
        }
    }
}

/// How the numbers are computed: which kernels, and on how many tokens at once.
const WITHOUT_EFFECT: &[&str] = &[
    "autocast_kernel_dtype",
    "chunk_size",
    "chunkwise_kernel",
    "max_inference_chunksize",
    "mlstm_round_up_to_multiple_of",
    "mode",
    "norm_reduction_force_float32",
    "return_last_states",
    "sequence_kernel",
    "step_kernel",
];

/// How the published weights lie in their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weights {
    /// Every map for itself.
    Single,
    /// Maps of the same tokens behind each other.
    Fused,
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Xlstm = Options::read(folder, WITHOUT_EFFECT)?;
    let (width, heads) = (options.hidden_size, options.num_heads);
    if options.embedding_dim.is_some_and(|embedding| embedding != width) {
        return refuse(folder, "embedding_dim", options.embedding_dim, "as `hidden_size`");
    }
    if options.use_bias {
        return refuse(folder, "use_bias", true, "false");
    }
    if !options.add_out_norm {
        return refuse(folder, "add_out_norm", false, "true");
    }
    if options.inference_state_dtype != "float32" {
        return refuse(folder, "inference_state_dtype", &options.inference_state_dtype, "float32");
    }
    let weights = match options.weight_mode.as_str() {
        "single" => Weights::Single,
        "fused" => Weights::Fused,
        other => return refuse(folder, "weight_mode", other, "single, fused"),
    };
    // A fraction is cut off, not rounded.
    let size = |option: &str, factor: f64| match (width as f64 * factor) as usize {
        total if heads > 0 && total > 0 && total.is_multiple_of(heads) => Ok(total / heads),
        total => refuse(folder, option, factor, &format!("{total} values divided among {heads} heads")),
    };
    let multiple = options.ffn_round_up_to_multiple_of.max(1) as f64;
    let hidden = ((width as f64 * options.ffn_proj_factor + multiple - 1.0) / multiple).floor() * multiple;
    let depth = options.num_blocks.unwrap_or(options.num_hidden_layers);
    let memory = MatrixLstmConfig {
        heads,
        key_width: Some(size("qk_dim_factor", options.qk_dim_factor)?),
        value_width: Some(size("v_dim_factor", options.v_dim_factor)?),
        gate_cap: options.gate_soft_cap.unwrap_or(0.0),
        bias: false,
        epsilon: options.eps,
        norm_epsilon: options.norm_eps,
    };
    let channel = GatedMlpConfig { hidden: Some(hidden as usize), ..GatedMlpConfig::default() };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        // There is no limit; the 7B model was trained with so many.
        length: 8192,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width,
            depth,
            pattern: vec![Choice::typed(&memory)?],
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig::rms(options.norm_eps),
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig {
            tied: options.tie_word_embeddings,
            cap: options.output_logit_soft_cap,
            ..LanguageModelConfig::default()
        },
        blocks_per_layer: 1,
        names: names(depth, options.tie_word_embeddings, weights),
    })
}

fn names(depth: usize, tied: bool, weights: Weights) -> Names {
    let mut names = Names::new();
    names.same("backbone.embeddings.weight", EMBEDDING);
    for block in 0..depth {
        let (published, ours) = (format!("backbone.blocks.{block}"), format!("backbone.blocks.{block}"));
        let (layer, mixer) = (format!("{published}.mlstm_layer"), format!("{ours}.mixer"));
        let (ffn, channel) = (format!("{published}.ffn"), format!("{ours}.channel"));
        let joined = |maps: &[&str], part: &str| -> Vec<String> {
            maps.iter().map(|map| format!("{mixer}.{map}.{part}")).collect()
        };
        names.scale(&format!("{published}.norm_mlstm"), &format!("{ours}.mixer_norm"));
        names.scale(&format!("{published}.norm_ffn"), &format!("{ours}.channel_norm"));
        names.scale(&format!("{layer}.multihead_norm"), &mixer);
        names.linear(&format!("{layer}.out_proj"), &format!("{mixer}.output"));
        names.linear(&format!("{ffn}.proj_down"), &format!("{channel}.contract"));
        match weights {
            Weights::Single => {
                let maps = [("q", "query"), ("k", "key"), ("v", "value"), ("ogate_preact", "output_gate")];
                for (published, ours) in maps {
                    names.linear(&format!("{layer}.{published}"), &format!("{mixer}.{ours}"));
                }
                for (published, ours) in [("igate_preact", "input_gate"), ("fgate_preact", "forget_gate")] {
                    names.linear_with_bias(&format!("{layer}.{published}"), &format!("{mixer}.{ours}"));
                }
                names.linear(&format!("{ffn}.proj_up_gate"), &format!("{channel}.gate"));
                names.linear(&format!("{ffn}.proj_up"), &format!("{channel}.expand"));
            }
            Weights::Fused => {
                let maps = joined(&["query", "key", "value", "output_gate"], "weight");
                names.joined_linear(format!("{layer}.qkv_opreact.weight"), &maps);
                let gates = |part| joined(&["input_gate", "forget_gate"], part);
                names.joined_linear(format!("{layer}.ifgate_preact.weight"), &gates("weight"));
                names.joined(format!("{layer}.ifgate_preact.bias"), &gates("bias"), 0);
                let maps = ["gate", "expand"].map(|map| format!("{channel}.{map}.weight"));
                names.joined_linear(format!("{ffn}.proj_up_gate_z.weight"), &maps);
            }
        }
    }
    names.scale("backbone.out_norm", "backbone.norm");
    if !tied {
        names.linear("lm_head", "head.output");
    }
    names
}
