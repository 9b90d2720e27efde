//! What the decoders of the fla library have in common: norms before each branch, a gated channel mixer.

use ansatz_arch_channel::GatedMlpConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Result, role};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;

use crate::language_model::EMBEDDING;
use crate::{Folder, LanguageModel, Names, refuse};

/// Options that say how the numbers are computed, or that the published layers do not read.
pub(super) const WITHOUT_EFFECT: &[&str] = &["attn_mode", "use_output_norm"];

/// A decoder of the fla library without its sequence mixers.
#[derive(Debug)]
pub(super) struct FlaDecoder<'a> {
    pub(super) vocabulary: usize,
    pub(super) length: usize,
    pub(super) width: usize,
    pub(super) layers: usize,
    /// Hidden width of the channel mixers, or what it is computed from.
    pub(super) hidden: Option<usize>,
    pub(super) ratio: Option<f64>,
    pub(super) activation: &'a str,
    pub(super) epsilon: f64,
    pub(super) tied: bool,
    /// Layers of softmax attention between the others.
    pub(super) attention: &'a Option<serde_json::Value>,
    /// Branches that take what earlier blocks of branches made.
    pub(super) residual_block: Option<usize>,
}

/// The decoder that the options of a published class describe: all of them call what is not the mixer's alike.
macro_rules! fla_decoder {
    ($options:expr) => {
        $crate::families::fla_decoder::FlaDecoder {
            vocabulary: $options.vocab_size,
            length: $options.max_position_embeddings,
            width: $options.hidden_size,
            layers: $options.num_hidden_layers,
            hidden: $options.intermediate_size,
            ratio: $options.hidden_ratio,
            activation: &$options.hidden_act,
            epsilon: $options.norm_eps,
            tied: $options.tie_word_embeddings,
            attention: &$options.attn,
            residual_block: $options.attnres_block_size,
        }
    };
}
pub(super) use fla_decoder;

impl FlaDecoder<'_> {
    /// The model with the mixer `mixer`, whose key table `names(table, published, ours)` writes for each layer.
    pub(super) fn model(
        &self,
        folder: &Folder,
        mixer: Choice<role::Mixer>,
        names: impl Fn(&mut Names, &str, &str),
    ) -> Result<LanguageModel> {
        if self.activation != "swish" {
            return refuse(folder, "hidden_act", self.activation, "swish");
        }
        if let Some(attention) = self.attention {
            return refuse(folder, "attn", attention, "null, no layer of attention");
        }
        if let Some(block) = self.residual_block {
            return refuse(folder, "attnres_block_size", block, "null, branches that are added");
        }
        let channel = GatedMlpConfig { hidden: Some(self.hidden()), ..GatedMlpConfig::default() };
        Ok(LanguageModel {
            vocabulary: self.vocabulary,
            length: self.length,
            embedding: EmbeddingConfig::default(),
            stack: StackConfig {
                width: self.width,
                depth: self.layers,
                pattern: vec![mixer],
                channels: vec![Choice::typed(&channel)?],
                norm: NormConfig::rms(self.epsilon),
                positions: PositionKind::None,
                ..StackConfig::default()
            },
            head: LanguageModelConfig { tied: self.tied, ..LanguageModelConfig::default() },
            blocks_per_layer: 1,
            names: self.names(names),
        })
    }

    /// Two thirds of the ratio, up to the next multiple of 256, where it is not given.
    fn hidden(&self) -> usize {
        self.hidden.unwrap_or_else(|| {
            let hidden = self.width as f64 * self.ratio.unwrap_or(4.0) * 2.0 / 3.0;
            (hidden as usize).next_multiple_of(256)
        })
    }

    fn names(&self, mixer: impl Fn(&mut Names, &str, &str)) -> Names {
        let mut names = Names::new();
        names.same("model.embeddings.weight", EMBEDDING);
        for layer in 0..self.layers {
            let (published, ours) = (format!("model.layers.{layer}"), format!("backbone.blocks.{layer}"));
            names.scale(&format!("{published}.attn_norm"), &format!("{ours}.mixer_norm"));
            mixer(&mut names, &format!("{published}.attn"), &format!("{ours}.mixer"));
            names.scale(&format!("{published}.mlp_norm"), &format!("{ours}.channel_norm"));
            names.gated(&format!("{published}.mlp"), &format!("{ours}.channel"));
        }
        names.scale("model.norm", "backbone.norm");
        if !self.tied {
            names.linear("lm_head", "head.output");
        }
        names
    }
}
