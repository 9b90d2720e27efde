//! Encoder–decoders: the original Transformer, T5, BART, with cross-attention.
//!
//! A translation is not as long as its source, so what makes it must look at the source from outside: the encoder
//! turns the source into a memory, both ways at once, and every block of the decoder looks at that memory
//! besides the tokens it has made. The memory never changes, so generating makes its keys and values once.

mod attention;
mod block;
mod config;
mod learned;
mod network;
mod relative;
mod stage;
#[cfg(test)]
mod tests;

pub use attention::MemoryAttention;
pub use block::Block;
pub use config::{EncoderDecoderConfig, Positions, StageConfig};
pub use learned::LearnedPositions;
pub use network::EncoderDecoder;
pub use relative::RelativePositions;
pub use stage::Stage;
