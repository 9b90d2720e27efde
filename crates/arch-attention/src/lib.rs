//! Multi-head softmax attention, full or causal, with grouped keys and values, windows and rotary positions.
//!
//! Attention is the mixer that the others are measured against: every token looks at every other one and
//! takes from it in proportion to how well its key fits the query. It is exact at any distance, and pays
//! for that with a cost that grows with the square of the length and, when generating, with a state that
//! grows with every token, unless a window bounds what a token sees.

mod config;
mod heads;
mod latent;
mod module;
#[cfg(test)]
mod naive;
mod recurrent;
mod sight;
mod softmax;

pub use config::AttentionConfig;
pub use latent::{LatentAttention, LatentAttentionConfig};
pub use module::Attention;
