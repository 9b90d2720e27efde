//! Channel mixers: the feed-forward part of a block, plain, gated, and as a mixture of experts.
//!
//! A sequence mixer moves values between tokens and is otherwise nearly linear; what a network computes
//! about one token is computed here. Most parameters and most of the arithmetic of a stack stand in this
//! layer, so it is a component of its own, chosen independently of the mixer beside it.

mod activation;
mod experts;
mod gated;
mod none;
mod plain;
mod projection;

pub use activation::Activation;
pub use experts::{Experts, ExpertsConfig, Scores};
pub use gated::{GatedMlp, GatedMlpConfig};
pub use none::NoneConfig;
pub use plain::{Mlp, MlpConfig};
