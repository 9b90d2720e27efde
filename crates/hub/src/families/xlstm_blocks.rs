//! The first xLSTM, of matrix and scalar memories: Beck et al., xLSTM: Extended Long Short-Term Memory, 2024,
//! arXiv:2405.04517, as its authors' package `xlstm` publishes it.

use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_recurrent::{ProjectedMatrixLstmConfig, ScalarLstmConfig};
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::{Activation, NormConfig};
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

/// The config of the package has no `model_type`: which class it is of stands beside it.
pub(super) const FAMILY: Family = Family {
    name: "xlstm-blocks",
    matches: |folder| {
        folder.model_type().is_none() && folder.class() == Some("xlstm.xlstm_lm_model.xLSTMLMModel")
    },
    open,
};

/// The options that matter, with the defaults of the package where it has any.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Blocks {
    vocab_size: usize,
    context_length: usize,
    embedding_dim: usize,
    blocks: Vec<Kind>,
    #[serde(default = "four")]
    num_heads: usize,
    #[serde(default = "four")]
    conv1d_kernel_size: usize,
    #[serde(default = "four")]
    qkv_proj_blocksize: usize,
    #[serde(default = "double")]
    mlstm_proj_factor: f64,
    #[serde(default = "feedforward")]
    feedforward_proj_factor: f64,
    #[serde(default)]
    tie_weights: bool,
}

/// Which memory a block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The matrix memory inside an expansion; no channel mixer.
    Mlstm,
    /// The scalar memory, and a gated channel mixer.
    Slstm,
}

fn four() -> usize {
    4
}

fn double() -> f64 {
    2.0
}

fn feedforward() -> f64 {
    1.3
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(translate(folder)?.open(folder, registry, device)?))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Blocks = Options::read(folder, &[])?;
    if options.blocks.is_empty() {
        return refuse(folder, "blocks", &options.blocks, "a list of `mlstm` and `slstm`");
    }
    // Expansions are rounded up to whole multiples of 64.
    let expanded = |factor: f64| (options.embedding_dim as f64 * factor / 64.0).ceil() as usize * 64;
    let matrix = ProjectedMatrixLstmConfig {
        heads: options.num_heads,
        inner: Some(expanded(options.mlstm_proj_factor)),
        convolution: options.conv1d_kernel_size,
        projection_block: options.qkv_proj_blocksize,
        ..ProjectedMatrixLstmConfig::default()
    };
    let scalar = ScalarLstmConfig {
        heads: options.num_heads,
        convolution: options.conv1d_kernel_size,
        ..ScalarLstmConfig::default()
    };
    let gated = GatedMlpConfig {
        hidden: Some(expanded(options.feedforward_proj_factor)),
        activation: Activation::Gelu,
        ..GatedMlpConfig::default()
    };
    let kinds = &options.blocks;
    let mixer = |kind: &Kind| match kind {
        Kind::Mlstm => Choice::typed(&matrix),
        Kind::Slstm => Choice::typed(&scalar),
    };
    let channel = |kind: &Kind| match kind {
        Kind::Mlstm => Ok(Choice::of("none")),
        Kind::Slstm => Choice::typed(&gated),
    };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.context_length,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.embedding_dim,
            depth: kinds.len(),
            pattern: kinds.iter().map(mixer).collect::<Result<_, _>>()?,
            channels: kinds.iter().map(channel).collect::<Result<_, _>>()?,
            norm: NormConfig { bias: false, unit_offset: true, ..NormConfig::layer(1e-5) },
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_weights, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

fn names(options: &Blocks) -> Names {
    let mut names = Names::new();
    names.same("token_embedding.weight", EMBEDDING);
    for (block, kind) in options.blocks.iter().enumerate() {
        let (published, ours) =
            (format!("xlstm_block_stack.blocks.{block}"), format!("backbone.blocks.{block}"));
        let (layer, mixer) = (format!("{published}.xlstm"), format!("{ours}.mixer"));
        names.scale(&format!("{published}.xlstm_norm"), &format!("{ours}.mixer_norm"));
        names.unsqueezed(format!("{layer}.conv1d.conv.weight"), format!("{mixer}.convolution.weight"), 1);
        names.same(format!("{layer}.conv1d.conv.bias"), format!("{mixer}.convolution.bias"));
        match kind {
            Kind::Mlstm => {
                let maps = ["input", "gate"].map(|map| format!("{mixer}.{map}.weight"));
                names.joined_linear(format!("{layer}.proj_up.weight"), &maps);
                for (published, ours) in [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")] {
                    names.linear(&format!("{layer}.{published}"), &format!("{mixer}.{ours}"));
                }
                for (published, ours) in [("igate", "input_gate"), ("fgate", "forget_gate")] {
                    names.linear_with_bias(
                        &format!("{layer}.mlstm_cell.{published}"),
                        &format!("{mixer}.{ours}"),
                    );
                }
                names.scale(&format!("{layer}.mlstm_cell.outnorm"), &mixer);
                names.same(format!("{layer}.learnable_skip"), format!("{mixer}.skip"));
                names.linear(&format!("{layer}.proj_down"), &format!("{mixer}.output"));
            }
            Kind::Slstm => {
                // The package hands the map it calls forget gate to the input gate, and the other way round.
                let maps = [
                    ("fgate", "input_gate"),
                    ("igate", "forget_gate"),
                    ("zgate", "candidate"),
                    ("ogate", "output_gate"),
                ];
                for (published, ours) in maps {
                    names.linear(&format!("{layer}.{published}"), &format!("{mixer}.{ours}"));
                }
                names.transposed(
                    format!("{layer}.slstm_cell._recurrent_kernel_"),
                    format!("{mixer}.recurrent"),
                );
                names.same(format!("{layer}.slstm_cell._bias_"), format!("{mixer}.bias"));
                names.scale(&format!("{layer}.group_norm"), &mixer);
                names.scale(&format!("{published}.ffn_norm"), &format!("{ours}.channel_norm"));
                let maps = ["gate", "expand"].map(|map| format!("{ours}.channel.{map}.weight"));
                names.joined_linear(format!("{published}.ffn.proj_up.weight"), &maps);
                names.linear(&format!("{published}.ffn.proj_down"), &format!("{ours}.channel.contract"));
            }
        }
    }
    names.scale("xlstm_block_stack.post_blocks_norm", "backbone.norm");
    if !options.tie_weights {
        names.linear("lm_head", "head.output");
    }
    names
}
