//! A mixture of experts: many gated layers of which each token uses a few.

mod config;
mod dispatch;
mod module;
#[cfg(test)]
mod naive;
mod routing;

pub use config::{ExpertsConfig, Scores};
pub use module::Experts;
