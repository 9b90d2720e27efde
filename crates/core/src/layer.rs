//! What one layer holds and costs, for `inspect`.

use serde::Serialize;

/// One row of a network's table of layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Dotted path inside the network, e.g. `backbone.blocks.0.mixer`.
    pub name: String,
    /// Shape of what leaves the layer for one example, e.g. `16 tokens of 64`.
    pub output: String,
    /// Trainable values.
    pub parameters: usize,
    /// Floating-point operations for one example, forward; a multiply–add counts two.
    pub flops: u64,
    /// Values that leave the layer for one example.
    pub activations: usize,
}

impl Layer {
    /// The same row under a longer path.
    pub fn under(mut self, prefix: &str) -> Self {
        self.name = if self.name.is_empty() { prefix.to_owned() } else { format!("{prefix}.{}", self.name) };
        self
    }
}
