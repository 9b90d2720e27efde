//! Published encoder–decoders over tokens: one embedding for source and target, and a head over the vocabulary.

use std::collections::BTreeMap;

use ansatz_arch_encoder_decoder::{EncoderDecoder, EncoderDecoderConfig};
use ansatz_core::{
    Backbone, BoxedBackbone, BoxedHead, BoxedStem, Build, Choice, Error, Features, Head, Inputs, Model,
    Recurrent, Registry, Result, State, Stem,
};
use ansatz_data_text::{Embedding, EmbeddingConfig, MASK, PairsConfig, PairsEncoder, TOKENS};
use ansatz_tasks::{LanguageModelConfig, LanguageModelHead};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::greedy::greedy;
use crate::{Folder, Generated, Names, Reading, RunParts, Subject, TensorFile, Values, fill};

/// A published encoder–decoder, translated.
#[derive(Debug, Clone)]
pub(crate) struct SequenceToSequence {
    /// Tokens that there are.
    pub(crate) vocabulary: usize,
    /// The most tokens of an example, where the network has a limit; else what the publisher trained with.
    pub(crate) length: usize,
    /// The tokens that every target begins and ends with.
    pub(crate) ends: [u32; 2],
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
pub(crate) const STAGES: [&str; 2] = ["backbone.encoder", "backbone.decoder"];

impl SequenceToSequence {
    /// The tokens that every target begins and ends with, from the config of `folder`; `end` is that of the published
    /// class.
    ///
    /// # Errors
    /// When the config has no first one, or one of them is no token.
    pub(crate) fn ends(folder: &Folder, end: u32) -> Result<[u32; 2]> {
        let begin = folder.token("decoder_start_token_id")?.ok_or_else(|| {
            Error::input(
                folder.file("config.json").display(),
                "there is no `decoder_start_token_id`",
                "the token that every target begins with",
                "add the option as the publisher gives it",
            )
        })?;
        Ok([begin, folder.token("eos_token_id")?.unwrap_or(end)])
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
        let backbone = self.network.build(&stem.output(), &Build::new(registry, device))?;
        let head = self.head.build(width, self.vocabulary, device)?;
        let parts = fill(Parts { stem, backbone, head }, &self.names, weights)?;
        Ok(Box::new(Loaded { parts, plan: self, device: device.clone() }))
    }
}

/// The trained parts.
#[derive(Module, Debug)]
struct Parts {
    stem: Embedding,
    backbone: EncoderDecoder,
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
        match self.parts.backbone.limit() {
            Some(limit) if length > limit => Err(Error::input(
                format!("{length} tokens"),
                format!("the network has positions for {limit}"),
                format!("at most {limit} tokens"),
                "shorten the input",
            )),
            _ => Ok(()),
        }
    }

    fn parts(&self, reading: Reading) -> Result<RunParts> {
        let plan = &self.plan;
        let data = PairsConfig {
            tokenizer: reading.config,
            source_length: plan.length,
            target_length: plan.length,
            embedding: plan.embedding.clone(),
            ..PairsConfig::default()
        };
        let encoder = PairsEncoder::new(reading.tokenizer, plan.vocabulary, plan.ends, &data);
        let Parts { stem, backbone, head } = self.parts.clone();
        Ok(RunParts {
            model: Model {
                stem: BoxedStem::new(stem.with_source(plan.length)),
                backbone: BoxedBackbone::new(backbone),
                head: BoxedHead::new(head),
            },
            data: Choice::typed(&data)?,
            encoder: Box::new(encoder),
            backbone: Choice::typed(&plan.network)?,
            task: Choice::typed(&plan.head)?,
            names: plan.names.clone(),
        })
    }

    fn source(&self, stored: &TensorFile) -> Result<Features> {
        self.features(stored, "input.input_ids", "input.attention_mask")
    }

    /// The target's features, which share the source.
    fn target(&self, stored: &TensorFile) -> Result<Features> {
        let target = self.features(stored, "input.decoder_input_ids", "input.decoder_attention_mask")?;
        target.shared.leave_source(&self.source(stored)?);
        Ok(target)
    }

    /// The logits of the next tokens behind `state`, `[batch, length, vocabulary]`; the first step needs the source.
    fn step(&self, tokens: TensorData, source: Option<&Features>, state: &mut State) -> Result<Tensor<3>> {
        let inputs = Inputs::new(vec![(TOKENS.to_owned(), tokens)], &self.device);
        let features = self.parts.stem.forward(&inputs)?;
        if let Some(source) = source {
            features.shared.leave_source(source);
        }
        let tokens = self.parts.backbone.step(features.tokens.clone(), state, &features.context());
        Ok(self.parts.head.forward(features.with_tokens(tokens)))
    }
}

impl Subject for Loaded {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let target = self.target(stored)?;
        let encoded = self.parts.backbone.encoder_hidden(self.source(stored)?);
        let decoded = self.parts.backbone.hidden(target.clone());
        let logits = self.parts.head.forward(self.parts.backbone.forward(target));
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
        let mut state = self.parts.backbone.state(batch, &self.device);
        let start = TensorData::new(vec![i64::from(self.plan.ends[0]); batch], [batch, 1]);
        let generated = greedy(start, count, |tokens| {
            let source = (state.position == 0).then_some(&source);
            self.step(tokens, source, &mut state)
        })?;
        Ok(Some(generated))
    }
    fn run_parts(&self, reading: Reading) -> Option<Result<RunParts>> {
        Some(self.parts(reading))
    }
}
