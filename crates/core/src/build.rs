//! What a component may use while it is being built.

use burn::tensor::Device;

use crate::Registry;

/// What a component may use while it is being built.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The components that may be named inside this one.
    pub registry: &'a Registry,
    /// Where the parameters are put. Training needs an autodiff device.
    pub device: &'a Device,
    /// Where along the depth the component stands.
    pub depth: Depth,
}

impl<'a> Build<'a> {
    /// For a component that stands alone.
    pub fn new(registry: &'a Registry, device: &'a Device) -> Self {
        Self { registry, device, depth: Depth::default() }
    }

    /// The same for block `index` of `blocks`.
    pub fn at(self, index: usize, blocks: usize) -> Self {
        Self { depth: Depth { index, blocks }, ..self }
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
