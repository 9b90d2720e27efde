//! Published encoder–decoders over tokens: one embedding for source and target, and a head over the vocabulary.

use std::collections::BTreeMap;

use ansatz_arch_encoder_decoder::{EncoderDecoder, EncoderDecoderConfig};
use ansatz_core::{Backbone, Build, Error, Features, Head, Inputs, Recurrent, Registry, Result, State, Stem};
use ansatz_data_text::{Embedding, EmbeddingConfig, MASK, TOKENS};
use ansatz_tasks::{LanguageModelConfig, LanguageModelHead};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::greedy::greedy;
use crate::{Folder, Generated, Names, Subject, TensorFile, Values, fill};

/// A published encoder–decoder, translated.
#[derive(Debug, Clone)]
pub(crate) struct SequenceToSequence {
    /// Tokens that there are.
    pub(crate) vocabulary: usize,
    /// The most tokens of an example, where the network has a limit; else what the publisher trained with.
    pub(crate) length: usize,
    /// The token that every target begins with.
    pub(crate) start: u32,
    /// Tokens → features.
    pub(crate) embedding: EmbeddingConfig,
    /// Features → features.
    pub(crate) network: EncoderDecoderConfig,
    /// Features → logits.
    pub(crate) head: LanguageModelConfig,
    /// Under which names the weights are published.
    pub(crate) names: Names,
}

/// What the parts of the network are called in its parameters' paths.
pub(crate) const EMBEDDING: &str = "stem.table";
pub(crate) const STAGES: [&str; 2] = ["network.encoder", "network.decoder"];

impl SequenceToSequence {
    /// The token that every target begins with, from the config of `folder`.
    ///
    /// # Errors
    /// When the config has none.
    pub(crate) fn start(folder: &Folder) -> Result<u32> {
        let start = folder.config.get("decoder_start_token_id").and_then(serde_json::Value::as_u64);
        start.and_then(|start| u32::try_from(start).ok()).ok_or_else(|| {
            Error::input(
                folder.file("config.json").display(),
                "there is no `decoder_start_token_id`",
                "the token that every target begins with",
                "add the option as the publisher gives it",
            )
        })
    }

    /// Builds the network on `device`, and fills it with `weights`.
    ///
    /// # Errors
    /// When the config does not fit itself, or the weights do not fit the config.
    pub(crate) fn open(
        self,
        weights: &TensorFile,
        registry: &Registry,
        device: &Device,
    ) -> Result<Box<dyn Subject>> {
        let width = self.network.width;
        let stem = self.embedding.build(self.vocabulary, self.length, width, device)?;
        let network = self.network.build(&stem.output(), &Build::new(registry, device))?;
        let head = self.head.build(width, self.vocabulary, device)?;
        let parts = fill(Parts { stem, network, head }, &self.names, weights)?;
        Ok(Box::new(Loaded { parts, plan: self, device: device.clone() }))
    }
}

/// The trained parts.
#[derive(Module, Debug)]
struct Parts {
    stem: Embedding,
    network: EncoderDecoder,
    head: LanguageModelHead,
}

/// A published encoder–decoder, filled with its weights.
struct Loaded {
    parts: Parts,
    plan: SequenceToSequence,
    device: Device,
}

impl Loaded {
    /// The features of the stored tokens and, where there is one, their mask.
    fn features(&self, stored: &TensorFile, tokens: &str, mask: &str) -> Result<Features> {
        let Some(data) = stored.get(tokens) else {
            let problem = format!("there is no `{tokens}`");
            let expected = "the inputs of an encoder–decoder";
            return Err(Error::input(stored.path().display(), problem, expected, "restore the file"));
        };
        let mut inputs = vec![(TOKENS.to_owned(), data.clone())];
        inputs.extend(stored.get(mask).map(|mask| (MASK.to_owned(), mask.clone())));
        let features = self.parts.stem.forward(&Inputs::new(inputs, &self.device))?;
        let [_, length, _] = features.tokens.dims();
        self.check(length)?;
        Ok(features)
    }

    /// Refuses more tokens than the network has positions for.
    fn check(&self, length: usize) -> Result<()> {
        match self.parts.network.limit() {
            Some(limit) if length > limit => Err(Error::input(
                format!("{length} tokens"),
                format!("the network has positions for {limit}"),
                format!("at most {limit} tokens"),
                "shorten the input",
            )),
            _ => Ok(()),
        }
    }

    fn source(&self, stored: &TensorFile) -> Result<Features> {
        self.features(stored, "input.input_ids", "input.attention_mask")
    }

    /// The target's features, which share the source.
    fn target(&self, stored: &TensorFile) -> Result<Features> {
        let target = self.features(stored, "input.decoder_input_ids", "input.decoder_attention_mask")?;
        EncoderDecoder::leave_source(&target.shared, &self.source(stored)?);
        Ok(target)
    }

    /// The logits of the next tokens behind `state`, `[batch, length, vocabulary]`; the first step needs the source.
    fn step(&self, tokens: TensorData, source: Option<&Features>, state: &mut State) -> Result<Tensor<3>> {
        let inputs = Inputs::new(vec![(TOKENS.to_owned(), tokens)], &self.device);
        let features = self.parts.stem.forward(&inputs)?;
        if let Some(source) = source {
            EncoderDecoder::leave_source(&features.shared, source);
        }
        let tokens = self.parts.network.step(features.tokens.clone(), state, &features.context());
        Ok(self.parts.head.forward(features.with_tokens(tokens)))
    }
}

impl Subject for Loaded {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let target = self.target(stored)?;
        let encoded = self.parts.network.encoder_hidden(self.source(stored)?);
        let decoded = self.parts.network.hidden(target.clone());
        let logits = self.parts.head.forward(self.parts.network.forward(target));
        let mut outputs = BTreeMap::new();
        let mut give = |name: String, tensor: Tensor<3>| {
            outputs.insert(name, Values::from_data(tensor.into_data()));
        };
        give("logits".to_owned(), logits);
        if let Some(memory) = encoded.last() {
            give("encoder_last_hidden_state".to_owned(), memory.clone());
        }
        for (stage, mut hidden) in [("encoder", encoded), ("decoder", decoded)] {
            // What is published behind the last layer has passed the last norm.
            hidden.swap_remove(hidden.len() - 2);
            for (index, tokens) in hidden.into_iter().enumerate() {
                give(format!("{stage}_hidden_states.{index}"), tokens);
            }
        }
        Ok(outputs)
    }

    fn generate(&self, stored: &TensorFile, count: usize) -> Result<Option<Generated>> {
        self.check(count)?;
        let source = self.source(stored)?;
        let [batch, _, _] = source.tokens.dims();
        let mut state = self.parts.network.state(batch, &self.device);
        let start = TensorData::new(vec![i64::from(self.plan.start); batch], [batch, 1]);
        let generated = greedy(start, count, |tokens| {
            let source = (state.position == 0).then_some(&source);
            self.step(tokens, source, &mut state)
        })?;
        Ok(Some(generated))
    }
}
