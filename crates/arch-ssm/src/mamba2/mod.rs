//! Mamba-2: a state-space model in which each head has one decay.

mod config;
mod gate;
mod module;
mod parts;

pub use config::{Gating, Mamba2Config, PartScales};
pub use gate::Gate;
pub use module::Mamba2;
