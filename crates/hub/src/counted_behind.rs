//! Language models whose published hidden states are counted otherwise.

use std::collections::BTreeMap;

use ansatz_core::Result;

use crate::{Generated, LoadedLanguageModel, Reading, RunParts, Subject, TensorFile, Values};

/// A language model whose hidden states are counted from behind the first layer on, and are published before and
/// behind the last norm: RWKV-4, Mamba, Mamba-2.
#[derive(Debug)]
pub(crate) struct CountedBehind(pub(crate) LoadedLanguageModel);

impl Subject for CountedBehind {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let mut outputs = self.0.outputs(stored)?;
        outputs.retain(|name, _| !name.starts_with("hidden_states."));
        let hidden = self.0.hidden(stored)?.into_iter().skip(1).enumerate();
        outputs.extend(hidden.map(|(layer, tokens)| (format!("hidden_states.{layer}"), tokens)));
        Ok(outputs)
    }

    fn generate(&self, stored: &TensorFile, count: usize) -> Result<Option<Generated>> {
        self.0.generate(stored, count)
    }

    fn gradients(&self, stored: &TensorFile) -> Result<Option<BTreeMap<String, Values>>> {
        self.0.gradients(stored)
    }

    fn run_parts(&self, reading: Reading) -> Option<Result<RunParts>> {
        self.0.run_parts(reading)
    }
}
