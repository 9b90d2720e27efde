//! Using a trained network: predictions for files, text that goes on, vectors of sentences, and how fast it writes.
//!
//! A run folder is all that is needed: it holds the config, the weights and what preprocessing learned from
//! the training part, so a file is read here exactly as it was read there.

mod answering;
mod embed;
mod generate;
mod predict;
mod sampler;
mod stepper;
mod timing;

pub use answering::time_answers;
pub use embed::{Embedder, Embedding};
pub use generate::{Generator, Limits, Written};
pub use predict::{Prediction, Predictor};
pub use sampler::{Sampler, Sampling};
pub use timing::{TokenTime, time_decoding};
