//! Published language models: an embedding, a stack, and a head over the vocabulary.

use std::collections::BTreeMap;

use ansatz_arch_stack::StackConfig;
use ansatz_core::{
    BackboneConfig, BoxedHead, BoxedStem, Build, Choice, Context, Error, Features, Inputs, Model, Recurrent,
    Registry, Result, State, Targets,
};
use ansatz_data_text::{EmbeddingConfig, MASK, TOKENS, TYPES, TextConfig, TextEncoder};
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::{Device, Tensor, TensorData};

use crate::greedy::greedy;
use crate::{Folder, Generated, Names, Reading, RunParts, Subject, TensorFile, Values, fill};

/// A published language model, translated.
#[derive(Debug, Clone)]
pub struct LanguageModel {
    /// Tokens that there are.
    pub vocabulary: usize,
    /// The most tokens of an example, where the network has a limit; else what the publisher trained with.
    pub length: usize,
    /// Tokens → features.
    pub embedding: EmbeddingConfig,
    /// Features → features.
    pub stack: StackConfig,
    /// Features → logits.
    pub head: LanguageModelConfig,
    /// Blocks of the stack that are one published layer.
    pub blocks_per_layer: usize,
    /// Under which names the weights are published.
    pub names: Names,
}

/// What the parts of a network are called in its parameters' paths.
pub(crate) const EMBEDDING: &str = "stem.table";

impl LanguageModel {
    /// Builds the network on `device`, and fills it with the weights of `folder`.
    ///
    /// # Errors
    /// When the config does not fit itself, or the weights do not fit the config.
    pub fn open(self, folder: &Folder, registry: &Registry, device: &Device) -> Result<LoadedLanguageModel> {
        let build = Build::new(registry, device);
        let width = self.stack.width;
        let stem = BoxedStem::new(self.embedding.build(self.vocabulary, self.length, width, device)?);
        let spec = stem.output();
        let backbone = self.stack.init(&spec, &build)?;
        let head = BoxedHead::new(self.head.build(width, self.vocabulary, device)?);
        let model = fill(Model { stem, backbone, head }, &self.names, &folder.weights()?)?;
        Ok(LoadedLanguageModel { model, plan: self, device: device.clone() })
    }
}

/// A published language model, filled with its weights.
#[derive(Debug)]
pub struct LoadedLanguageModel {
    /// The network.
    pub model: Model,
    /// What it was built from.
    pub plan: LanguageModel,
    device: Device,
}

impl LoadedLanguageModel {
    /// The stored inputs under the names of the stem.
    pub(crate) fn inputs(&self, stored: &TensorFile, with_mask: bool) -> Result<Inputs> {
        let names =
            [("input.input_ids", TOKENS), ("input.token_type_ids", TYPES), ("input.attention_mask", MASK)];
        let mut tensors = Vec::new();
        for (published, ours) in names {
            if ours == MASK && !with_mask {
                continue;
            }
            match stored.get(published) {
                Some(data) => tensors.push((ours.to_owned(), data.clone())),
                None if ours == TOKENS => {
                    let problem = format!("there is no `{published}`");
                    let expected = "the inputs of a language model";
                    return Err(Error::input(stored.path().display(), problem, expected, "restore the file"));
                }
                None => {}
            }
        }
        Ok(Inputs::new(tensors, &self.device))
    }

    fn parts(&self, reading: Reading) -> Result<RunParts> {
        let LanguageModel { vocabulary, length, embedding, .. } = &self.plan;
        let data = TextConfig {
            tokenizer: reading.config,
            length: *length,
            embedding: embedding.clone(),
            ..TextConfig::default()
        };
        let encoder = TextEncoder::new(reading.tokenizer, *vocabulary, *length, embedding.clone());
        let encoder = encoder.with_end(reading.end);
        let encoder = match reading.sentence {
            Some(most) => encoder.with_sentence(most.min(*length)),
            None => encoder,
        };
        Ok(RunParts {
            model: self.model.clone(),
            data: Choice::typed(&data)?,
            encoder: Box::new(encoder),
            backbone: Choice::typed(&self.plan.stack)?,
            task: Choice::typed(&self.plan.head)?,
            names: self.plan.names.clone(),
        })
    }

    /// The tokens along the depth: before the first block, behind every block, and behind the last norm.
    pub(crate) fn hidden(&self, stored: &TensorFile) -> Result<Vec<Values>> {
        let hidden = self.model.backbone.hidden(self.model.features(&self.inputs(stored, true)?)?);
        Ok(hidden.into_iter().map(|tokens| Values::from_data(tokens.into_data())).collect())
    }

    /// The logits of the next tokens behind `state`, `[batch, length, vocabulary]`.
    pub(crate) fn step(
        &self,
        tokens: TensorData,
        form: &dyn Recurrent,
        state: &mut State,
    ) -> Result<Tensor<3>> {
        let inputs = Inputs::new(vec![(TOKENS.to_owned(), tokens)], &self.device);
        let features: Features = self.model.stem.forward(&inputs)?;
        let context: Context = features.context();
        let tokens = form.step(features.tokens.clone(), state, &context);
        Ok(self.model.head.forward(features.with_tokens(tokens)))
    }

    /// The logits of all tokens, each one step of the recurrent form, `[batch, length, vocabulary]`.
    fn one_by_one(&self, stored: &TensorFile, form: &dyn Recurrent) -> Result<Values> {
        let tokens = self.inputs(stored, false)?.int::<2>(TOKENS)?;
        let [batch, length] = tokens.dims();
        let mut state = form.state(batch, &self.device);
        let steps = (0..length).map(|at| {
            let token = tokens.clone().narrow(1, at, 1).into_data();
            Ok(Values::from_data(self.step(token, form, &mut state)?.into_data()))
        });
        let steps = steps.collect::<Result<Vec<_>>>()?;
        Ok(Values::joined(&steps, 1).expect("every step has the same shape"))
    }
}

impl Subject for LoadedLanguageModel {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let inputs = self.inputs(stored, true)?;
        let logits = self.model.forward(&inputs)?;
        let mut outputs = BTreeMap::from([("logits".to_owned(), Values::from_data(logits.into_data()))]);
        let mut hidden = self.hidden(stored)?;
        // What is published behind the last layer has passed the last norm.
        if hidden.len() > 1 {
            hidden.remove(hidden.len() - 2);
        }
        for (index, tokens) in hidden.into_iter().enumerate().step_by(self.plan.blocks_per_layer) {
            let layer = index / self.plan.blocks_per_layer;
            outputs.insert(format!("hidden_states.{layer}"), tokens);
        }
        // Some references also store what their recurrent form made of the same tokens.
        if stored.get("output.logits_recurrent").is_some()
            && let Some(form) = self.model.backbone.recurrent()
        {
            outputs.insert("logits_recurrent".to_owned(), self.one_by_one(stored, form)?);
        }
        Ok(outputs)
    }

    fn generate(&self, stored: &TensorFile, count: usize) -> Result<Option<Generated>> {
        let Some(form) = self.model.backbone.recurrent() else { return Ok(None) };
        // The prompt goes in whole; every further token is one step.
        let prompt = self.inputs(stored, false)?.int::<2>(TOKENS)?.into_data();
        let mut state = form.state(prompt.shape().to_vec()[0], &self.device);
        greedy(prompt, count, |tokens| self.step(tokens, form, &mut state)).map(Some)
    }

    fn gradients(&self, stored: &TensorFile) -> Result<Option<BTreeMap<String, Values>>> {
        let Some(targets) = stored.get("input.targets") else { return Ok(None) };
        let targets: Vec<i64> = targets.clone().convert::<i64>().try_to_vec().expect("whole numbers");
        let targets = Targets::Tokens(targets.into_iter().map(|token| u32::try_from(token).ok()).collect());
        let loss = self.model.loss(&self.inputs(stored, true)?, &targets)?;
        let value = Values::from_data(loss.clone().inner().into_data()).reshaped(Vec::new());
        let gradients = crate::fill::gradients(&self.model, &loss.backward());
        let mut published = self.plan.names.write(&gradients)?;
        published.extend(value.map(|value| ("loss".to_owned(), value)));
        Ok(Some(published))
    }

    fn run_parts(&self, reading: Reading) -> Option<Result<RunParts>> {
        Some(self.parts(reading))
    }
}
