//! Mamba: a state-space model whose tokens choose what is kept.

mod config;
mod module;

pub use config::{MambaConfig, SelectionNorm};
pub use module::Mamba;
