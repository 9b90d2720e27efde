//! T5: Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, 2020,
//! arXiv:1910.10683; with gated layers as version 1.1.

use ansatz_arch_channel::{Activation, GatedMlpConfig, MlpConfig};
use ansatz_arch_encoder_decoder::{EncoderDecoderConfig, Positions, StageConfig};
use ansatz_core::{Choice, Registry, Result, role};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::encoder_decoder::{EMBEDDING, STAGES, SequenceToSequence};
use crate::{Family, Folder, Names, Options, Subject, TensorFile, refuse};

pub(super) const FAMILY: Family =
    Family { name: "t5", matches: |folder| folder.model_type() == Some("t5"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct T5 {
    vocab_size: usize,
    d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_layers: usize,
    num_decoder_layers: Option<usize>,
    num_heads: usize,
    relative_attention_num_buckets: usize,
    relative_attention_max_distance: usize,
    layer_norm_epsilon: f64,
    feed_forward_proj: String,
    scale_decoder_outputs: Option<bool>,
    tie_word_embeddings: bool,
    n_positions: usize,
}

impl Default for T5 {
    fn default() -> Self {
        Self {
            vocab_size: 32128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_decoder_layers: None,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "relu".to_owned(),
            scale_decoder_outputs: None,
            tie_word_embeddings: true,
            n_positions: 512,
        }
    }
}

/// Options of training, and two that follow from `feed_forward_proj`.
const WITHOUT_EFFECT: &[&str] = &["dropout_rate", "dense_act_fn", "is_gated_act", "is_decoder"];

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let weights = folder.weights()?;
    translate(folder, &weights)?.open(&weights, registry, device)
}

impl T5 {
    fn is_gated(&self) -> bool {
        self.feed_forward_proj.starts_with("gated-")
    }

    fn depths(&self) -> [usize; 2] {
        [self.num_layers, self.num_decoder_layers.unwrap_or(self.num_layers)]
    }

    fn channel(&self, folder: &Folder) -> Result<Choice<role::Channel>> {
        let name = self.feed_forward_proj.as_str();
        // The published class reads this one name in its own way.
        let bare = if name == "gated-gelu" { "gelu_new" } else { name.trim_start_matches("gated-") };
        let Some(activation) = Activation::published(bare) else {
            let known = format!("{}; each also with `gated-` before it", Activation::PUBLISHED);
            return refuse(folder, "feed_forward_proj", name, &known);
        };
        let hidden = Some(self.d_ff);
        Ok(if self.is_gated() {
            Choice::typed(&GatedMlpConfig { hidden, activation, bias: false, ..GatedMlpConfig::default() })?
        } else {
            Choice::typed(&MlpConfig { hidden, activation, bias: false, ..MlpConfig::default() })?
        })
    }
}

fn translate(folder: &Folder, weights: &TensorFile) -> Result<SequenceToSequence> {
    let options: T5 = Options::read(folder, WITHOUT_EFFECT)?;
    let channel = options.channel(folder)?;
    let [encoder, decoder] = options.depths().map(|depth| StageConfig {
        depth,
        heads: options.num_heads,
        head_width: Some(options.d_kv),
        channel: channel.clone(),
    });
    // The class ties the head wherever the checkpoint has none; whether it scales the outputs is another matter,
    // which older configs tell by the option of tying.
    let tied = weights.get(HEAD).is_none();
    let scaled = options.scale_decoder_outputs.unwrap_or(options.tie_word_embeddings);
    Ok(SequenceToSequence {
        vocabulary: options.vocab_size,
        length: options.n_positions,
        ends: SequenceToSequence::ends(folder, 1)?,
        embedding: EmbeddingConfig::default(),
        network: EncoderDecoderConfig {
            width: options.d_model,
            encoder,
            decoder,
            positions: Positions::Relative {
                buckets: options.relative_attention_num_buckets,
                distance: options.relative_attention_max_distance,
            },
            norm: NormConfig::rms(options.layer_norm_epsilon),
            norm_first: true,
            first_norm: false,
            last_norm: true,
            scaled: false,
            bias: false,
            dropout: 0.0,
        },
        head: LanguageModelConfig {
            tied,
            scale: if scaled { (options.d_model as f64).powf(-0.5) } else { 1.0 },
            ..LanguageModelConfig::default()
        },
        names: names(&options, tied),
    })
}

/// The head's own matrix, where it has one.
const HEAD: &str = "lm_head.weight";

fn names(options: &T5, tied: bool) -> Names {
    let mut names = Names::new();
    names.same("shared.weight", EMBEDDING);
    // Copies that older checkpoints hold, and a table that the class never reads.
    names.ignored("encoder.embed_tokens.weight");
    names.ignored("decoder.embed_tokens.weight");
    names.ignored("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight");
    let stages = ["encoder", "decoder"].into_iter().zip(STAGES).zip(options.depths());
    for ((published, ours), depth) in stages {
        let table = format!("{published}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
        names.same(table, format!("{ours}.relative.table"));
        names.scale(&format!("{published}.final_layer_norm"), &format!("{ours}.norm"));
        for block in 0..depth {
            let (published, ours) =
                (format!("{published}.block.{block}.layer"), format!("{ours}.blocks.{block}"));
            let mut parts = vec![("SelfAttention", "attention")];
            if ours.starts_with(STAGES[1]) {
                parts.push(("EncDecAttention", "cross"));
            }
            let last = parts.len();
            for (layer, (name, part)) in parts.into_iter().enumerate() {
                names.scale(&format!("{published}.{layer}.layer_norm"), &format!("{ours}.{part}_norm"));
                for (map, own) in [("q", "query"), ("k", "key"), ("v", "value"), ("o", "output")] {
                    names.linear(
                        &format!("{published}.{layer}.{name}.{map}"),
                        &format!("{ours}.{part}.{own}"),
                    );
                }
            }
            names.scale(&format!("{published}.{last}.layer_norm"), &format!("{ours}.channel_norm"));
            let maps: &[(&str, &str)] = if options.is_gated() {
                &[("wi_0", "gate"), ("wi_1", "expand"), ("wo", "contract")]
            } else {
                &[("wi", "expand"), ("wo", "contract")]
            };
            for (map, own) in maps {
                let published = format!("{published}.{last}.DenseReluDense.{map}");
                names.linear(&published, &format!("{ours}.channel.{own}"));
            }
        }
    }
    if !tied {
        names.transposed(HEAD, "head.output.weight");
    }
    names
}
