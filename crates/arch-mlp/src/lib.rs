//! MLPs: over each token by itself, and across tokens, the mixer of MLP-Mixer.
//!
//! A linear map from all tokens to all tokens is the plainest way in which they can learn of each other: each
//! place has weights of its own, so it needs no positions, and knows no more tokens than it was built for.

mod perceptron;
mod token;

pub use perceptron::{MlpConfig, Perceptron};
pub use token::{TokenMlp, TokenMlpConfig};
