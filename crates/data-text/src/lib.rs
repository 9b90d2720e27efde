//! Text as a data model: tokens, and the stem that embeds them.
//!
//! A sentence is a row of tokens. What reaches the backbone is a vector for each, and nothing there knows
//! that it once was text.

mod stem;

pub use stem::{Embedding, EmbeddingConfig, MASK, TOKENS, TYPES};
