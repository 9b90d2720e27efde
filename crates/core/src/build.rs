//! What a component may use while it is being built.

use burn::tensor::Device;

use crate::{Error, FeatureSpec, Grid, Registry, Result};

/// What a component may use while it is being built.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The components that may be named inside this one.
    pub registry: &'a Registry,
    /// Where the parameters are put. Training needs an autodiff device.
    pub device: &'a Device,
    /// Where along the depth the component stands.
    pub depth: Depth,
    /// The shape of the features that a mixer or channel mixer will see; `None` where nobody has said it.
    pub input: Option<FeatureSpec>,
}

impl<'a> Build<'a> {
    /// For a component that stands alone.
    pub fn new(registry: &'a Registry, device: &'a Device) -> Self {
        Self { registry, device, depth: Depth::default(), input: None }
    }

    /// The same for block `index` of `blocks`.
    pub fn at(self, index: usize, blocks: usize) -> Self {
        Self { depth: Depth { index, blocks }, ..self }
    }

    /// The same for features of shape `input`.
    pub fn over(self, input: FeatureSpec) -> Self {
        Self { input: Some(input), ..self }
    }

    /// The shape of the features, for a `component` that has to know it.
    ///
    /// # Errors
    /// When nobody has said it.
    pub fn input_for(&self, component: &str) -> Result<FeatureSpec> {
        self.input.ok_or_else(|| {
            Error::input(
                component,
                "the number of its tokens is not known here",
                "a place where every example has the same shape",
                "name it in the pattern of a `stack`",
            )
        })
    }

    /// The grid of the features, for a `component` that needs one.
    ///
    /// # Errors
    /// When the features are no picture.
    pub fn grid_for(&self, component: &str) -> Result<Grid> {
        self.input_for(component)?.grid_for(component)
    }
}

/// A place along the depth of a network. Some architectures draw their parameters by it, or treat the first
/// block apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// The block, counted from 0.
    pub index: usize,
    /// Blocks in all, at least 1.
    pub blocks: usize,
}

impl Default for Depth {
    /// The only block.
    fn default() -> Self {
        Self { index: 0, blocks: 1 }
    }
}
