//! Masked patches: the values of an example that are hidden.

mod config;
mod head;
mod loss;
mod scorer;

pub use config::MaskedPatchesConfig;
pub use head::MaskedPatchesHead;
pub use scorer::MaskedPatchesScorer;
