//! RWKV-4: Peng et al., RWKV: Reinventing RNNs for the Transformer Era, 2023, arXiv:2305.13048.

use ansatz_arch_rwkv::{Rwkv4ChannelConfig, Rwkv4Config};
use ansatz_arch_stack::{PositionKind, Scales, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::counted_behind::CountedBehind;
use crate::language_model::EMBEDDING;
use crate::{Family, Folder, LanguageModel, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "rwkv4", matches: |folder| folder.model_type() == Some("rwkv"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rwkv4 {
    vocab_size: usize,
    context_length: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    attention_hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    layer_norm_epsilon: f64,
    rescale_every: i64,
    tie_word_embeddings: bool,
}

impl Default for Rwkv4 {
    fn default() -> Self {
        Self {
            vocab_size: 50277,
            context_length: 1024,
            hidden_size: 4096,
            num_hidden_layers: 32,
            attention_hidden_size: None,
            intermediate_size: None,
            layer_norm_epsilon: LAST_EPSILON,
            rescale_every: 6,
            tie_word_embeddings: false,
        }
    }
}

/// The published class gives its last norm this epsilon whatever that of the others.
const LAST_EPSILON: f64 = 1e-5;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(CountedBehind(translate(folder)?.open(folder, registry, device)?)))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let options: Rwkv4 = Options::read(folder, &[])?;
    if options.layer_norm_epsilon != LAST_EPSILON {
        return refuse(folder, "layer_norm_epsilon", options.layer_norm_epsilon, "1e-5, as of the last norm");
    }
    let (mixer_scales, channel_scales) = rescaling(options.num_hidden_layers, options.rescale_every);
    let mixer = Rwkv4Config { hidden: options.attention_hidden_size };
    let channel = Rwkv4ChannelConfig { hidden: options.intermediate_size };
    Ok(LanguageModel {
        vocabulary: options.vocab_size,
        length: options.context_length,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: options.hidden_size,
            depth: options.num_hidden_layers,
            pattern: vec![Choice::typed(&mixer)?],
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig::layer(options.layer_norm_epsilon),
            first_norm: true,
            mixer_scales,
            channel_scales,
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: options.tie_word_embeddings, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&options),
    })
}

/// Factors that halve the tokens behind every `every`-th layer, so that they stay small in float16: what later
/// layers add is halved as often. 0 or less: none.
fn rescaling(layers: usize, every: i64) -> (Vec<Scales>, Vec<Scales>) {
    let Some(every) = usize::try_from(every).ok().filter(|every| *every > 0) else {
        return (Vec::new(), Vec::new());
    };
    let scales = (0..layers).map(|layer| {
        let branch = 0.5f64.powi((layer / every) as i32);
        let halved = if (layer + 1).is_multiple_of(every) { 0.5 } else { 1.0 };
        (Scales { skip: 1.0, branch }, Scales { skip: halved, branch: halved * branch })
    });
    scales.unzip()
}

fn names(options: &Rwkv4) -> Names {
    let mut names = Names::new();
    names.same("rwkv.embeddings.weight", EMBEDDING);
    names.scale_and_shift("rwkv.blocks.0.pre_ln", "backbone.first_norm");
    let width = options.hidden_size;
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("rwkv.blocks.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale_and_shift(&format!("{published}.ln1"), &format!("{ours}.mixer_norm"));
        names.scale_and_shift(&format!("{published}.ln2"), &format!("{ours}.channel_norm"));
        let (mixer, channel) = (format!("{published}.attention"), format!("{published}.feed_forward"));
        names.same(format!("{mixer}.time_decay"), format!("{ours}.mixer.decay"));
        names.same(format!("{mixer}.time_first"), format!("{ours}.mixer.bonus"));
        for part in ["key", "value", "receptance"] {
            let mix = format!("{ours}.mixer.mix_{part}");
            names.reshaped(format!("{mixer}.time_mix_{part}"), &[1, 1, width], mix);
        }
        for map in ["key", "value", "receptance", "output"] {
            names.linear(&format!("{mixer}.{map}"), &format!("{ours}.mixer.{map}"));
        }
        for (part, place) in [("key", ""), ("receptance", "gate.")] {
            let mix = format!("{ours}.channel.{place}mix_{part}");
            names.reshaped(format!("{channel}.time_mix_{part}"), &[1, 1, width], mix);
            names.linear(&format!("{channel}.{part}"), &format!("{ours}.channel.{place}{part}"));
        }
        names.linear(&format!("{channel}.value"), &format!("{ours}.channel.value"));
    }
    names.scale_and_shift("rwkv.ln_out", "backbone.norm");
    if !options.tie_word_embeddings {
        names.linear("head", "head.output");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_halved_and_what_is_added_later_as_often() {
        assert_eq!(rescaling(3, 0), (vec![], vec![]));
        assert_eq!(rescaling(3, -1), (vec![], vec![]));
        let (mixers, channels) = rescaling(5, 2);
        // Without the factors every layer adds 1 twice; tokens behind layer i are then 2 (i + 1).
        let mut tokens = 0.0;
        for (layer, (mixer, channel)) in mixers.iter().zip(&channels).enumerate() {
            tokens = tokens * mixer.skip + mixer.branch;
            tokens = tokens * channel.skip + channel.branch;
            let halvings = layer.div_ceil(2) as i32;
            assert_eq!(tokens, 2.0 * (layer + 1) as f64 * 0.5f64.powi(halvings));
        }
    }
}
