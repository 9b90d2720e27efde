//! The published families, and what can be asked of a network of any of them.

use std::collections::BTreeMap;

use ansatz_core::{Error, Registry, Result};
use burn::tensor::Device;

use crate::{Folder, Reading, RunParts, TensorFile, Values, families as built_in};

/// What is known of one published family.
#[derive(Clone, Copy)]
pub struct Family {
    /// What it is called here, in kebab case.
    pub name: &'static str,
    /// Whether a checkpoint is one of this family.
    pub matches: fn(&Folder) -> bool,
    /// Builds the network of a checkpoint on a device, and fills it.
    pub open: fn(&Folder, &Registry, &Device) -> Result<Box<dyn Subject>>,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Family").field(&self.name).finish()
    }
}

/// All families that are known.
pub fn families() -> &'static [Family] {
    built_in::ALL
}

/// The family of the checkpoint at `folder`.
///
/// # Errors
/// When it is none of those that are known.
pub fn family_of(folder: &Folder) -> Result<&'static Family> {
    families().iter().find(|family| (family.matches)(folder)).ok_or_else(|| {
        let given = folder.model_type().or(folder.class()).unwrap_or("a config without `model_type`");
        let known: Vec<&str> = families().iter().map(|family| family.name).collect();
        Error::input(
            folder.path().display(),
            format!("the family of {given} is not known"),
            format!("one of {}", known.join(", ")),
            "use a checkpoint of one of these",
        )
    })
}

/// A published network, filled with its weights, that can be asked what its reference was asked.
pub trait Subject {
    /// What the network makes of the `input.*` tensors of `stored`, by published name without `output.`.
    ///
    /// # Errors
    /// When the inputs are not those of the network.
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>>;

    /// `count` greedy tokens behind the inputs of `stored`, one step at a time through the state; `None` for a
    /// network that does not generate.
    ///
    /// # Errors
    /// When the inputs are not those of the network.
    fn generate(&self, _stored: &TensorFile, _count: usize) -> Result<Option<Generated>> {
        Ok(None)
    }

    /// The gradients of the mean cross entropy against `input.targets`, by published name, with the loss itself
    /// as `loss`; `None` for a network without such a loss. The network must have been opened on an autodiff device.
    ///
    /// # Errors
    /// When the inputs are not those of the network.
    fn gradients(&self, _stored: &TensorFile) -> Result<Option<BTreeMap<String, Values>>> {
        Ok(None)
    }

    /// The network as the parts of a run that reads text in this way; `None` where a run can't be made of it.
    fn run_parts(&self, _reading: Reading) -> Option<Result<RunParts>> {
        None
    }
}

/// Greedy tokens with their logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Row by row, `[batch][count]`.
    pub tokens: Vec<Vec<u32>>,
    /// `[batch, count, vocabulary]`.
    pub logits: Values,
}
