//! BART: Lewis et al., Denoising Sequence-to-Sequence Pre-training, 2020, arXiv:1910.13461.

use ansatz_arch_channel::{Activation, MlpConfig};
use ansatz_arch_encoder_decoder::{EncoderDecoderConfig, Positions, StageConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_text::EmbeddingConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::encoder_decoder::{EMBEDDING, STAGES, SequenceToSequence};
use crate::{Family, Folder, Names, Options, Subject, TensorFile, refuse};

pub(super) const FAMILY: Family =
    Family { name: "bart", matches: |folder| folder.model_type() == Some("bart"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Bart {
    vocab_size: usize,
    max_position_embeddings: usize,
    d_model: usize,
    encoder_layers: usize,
    encoder_ffn_dim: usize,
    encoder_attention_heads: usize,
    decoder_layers: usize,
    decoder_ffn_dim: usize,
    decoder_attention_heads: usize,
    activation_function: String,
    scale_embedding: bool,
    tie_word_embeddings: bool,
}

impl Default for Bart {
    fn default() -> Self {
        Self {
            vocab_size: 50265,
            max_position_embeddings: 1024,
            d_model: 1024,
            encoder_layers: 12,
            encoder_ffn_dim: 4096,
            encoder_attention_heads: 16,
            decoder_layers: 12,
            decoder_ffn_dim: 4096,
            decoder_attention_heads: 16,
            activation_function: "gelu".to_owned(),
            scale_embedding: false,
            tie_word_embeddings: true,
        }
    }
}

/// Options of training and of searching, and of an older program that the published class never reads.
const WITHOUT_EFFECT: &[&str] = &[
    "activation_dropout",
    "add_bias_logits",
    "add_final_layer_norm",
    "classif_dropout",
    "decoder_layerdrop",
    "early_stopping",
    "encoder_layerdrop",
    "forced_bos_token_id",
    "gradient_checkpointing",
    "init_std",
    "is_decoder",
    "no_repeat_ngram_size",
    "normalize_before",
    "normalize_embedding",
    "num_beams",
    "num_hidden_layers",
];

/// Rows of the tables of positions before that of the first token.
const UNREAD: usize = 2;
/// What is added to the logits; not every checkpoint has it.
const BIAS: &str = "final_logits_bias";

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let weights = folder.weights()?;
    translate(folder, &weights)?.open(&weights, registry, device)
}

impl Bart {
    /// Depth, heads and hidden width of encoder and decoder.
    fn stages(&self) -> [[usize; 3]; 2] {
        [
            [self.encoder_layers, self.encoder_attention_heads, self.encoder_ffn_dim],
            [self.decoder_layers, self.decoder_attention_heads, self.decoder_ffn_dim],
        ]
    }
}

fn translate(folder: &Folder, weights: &TensorFile) -> Result<SequenceToSequence> {
    let options: Bart = Options::read(folder, WITHOUT_EFFECT)?;
    if !options.tie_word_embeddings {
        return refuse(folder, "tie_word_embeddings", false, "true");
    }
    let Some(activation) = Activation::published(&options.activation_function) else {
        return refuse(folder, "activation_function", &options.activation_function, Activation::PUBLISHED);
    };
    let stage = |[depth, heads, hidden]: [usize; 3]| -> Result<StageConfig> {
        let channel = MlpConfig { hidden: Some(hidden), activation, ..MlpConfig::default() };
        Ok(StageConfig { depth, heads, head_width: None, channel: Choice::typed(&channel)? })
    };
    let [encoder, decoder] = options.stages();
    let bias = weights.get(BIAS).is_some();
    let scale = if options.scale_embedding { (options.d_model as f64).sqrt() } else { 1.0 };
    Ok(SequenceToSequence {
        vocabulary: options.vocab_size,
        length: options.max_position_embeddings,
        ends: SequenceToSequence::ends(folder, 2)?,
        embedding: EmbeddingConfig { scale, ..EmbeddingConfig::default() },
        network: EncoderDecoderConfig {
            width: options.d_model,
            encoder: stage(encoder)?,
            decoder: stage(decoder)?,
            positions: Positions::Learned { count: options.max_position_embeddings, unread: UNREAD },
            norm: NormConfig::layer(1e-5),
            norm_first: false,
            first_norm: true,
            last_norm: false,
            scaled: true,
            bias: true,
            dropout: 0.0,
        },
        head: LanguageModelConfig { bias, ..LanguageModelConfig::default() },
        names: names(&options, bias),
    })
}

fn names(options: &Bart, bias: bool) -> Names {
    let mut names = Names::new();
    names.same("model.shared.weight", EMBEDDING);
    // Copies that older checkpoints hold.
    names.ignored("model.encoder.embed_tokens.weight");
    names.ignored("model.decoder.embed_tokens.weight");
    names.ignored("lm_head.weight");
    let stages = ["model.encoder", "model.decoder"].into_iter().zip(STAGES).zip(options.stages());
    for ((published, ours), [depth, _, _]) in stages {
        names.same(format!("{published}.embed_positions.weight"), format!("{ours}.learned.table"));
        names.scale_and_shift(&format!("{published}.layernorm_embedding"), &format!("{ours}.first_norm"));
        for layer in 0..depth {
            let (published, ours) = (format!("{published}.layers.{layer}"), format!("{ours}.blocks.{layer}"));
            let mut attentions = vec![("self_attn", "attention")];
            if ours.starts_with(STAGES[1]) {
                attentions.push(("encoder_attn", "cross"));
            }
            for (name, part) in attentions {
                for map in ["query", "key", "value", "output"] {
                    let short = if map == "output" { "out" } else { &map[..1] };
                    names.linear_with_bias(
                        &format!("{published}.{name}.{short}_proj"),
                        &format!("{ours}.{part}.{map}"),
                    );
                }
                names.scale_and_shift(
                    &format!("{published}.{name}_layer_norm"),
                    &format!("{ours}.{part}_norm"),
                );
            }
            names.linear_with_bias(&format!("{published}.fc1"), &format!("{ours}.channel.expand"));
            names.linear_with_bias(&format!("{published}.fc2"), &format!("{ours}.channel.contract"));
            names.scale_and_shift(&format!("{published}.final_layer_norm"), &format!("{ours}.channel_norm"));
        }
    }
    if bias {
        names.unsqueezed(BIAS, "head.bias", 0);
    }
    names
}
