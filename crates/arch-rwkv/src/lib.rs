//! RWKV: time mixing and channel mixing of the fourth, sixth and seventh generation.
//!
//! All of them are recurrent networks that train like a Transformer: what a token adds to the state depends on
//! that token and the one before alone, so that the state of every position follows from one scan. They differ
//! in the state. RWKV-4 keeps a decaying weighted mean for each channel; RWKV-6 a matrix for each head, whose
//! decay depends on the tokens; RWKV-7 the same matrix, from which it also takes back what it held under a key.

mod channel;
mod draw;
mod heads;
mod low_rank;
mod norm;
mod rwkv4;
mod rwkv6;
mod rwkv7;
mod shift;

pub use channel::{ChannelMix, Gate, Rwkv4ChannelConfig, Rwkv6ChannelConfig, Rwkv7ChannelConfig};
pub use low_rank::LowRank;
pub use norm::HeadNorm;
pub use rwkv4::{Rwkv4, Rwkv4Config};
pub use rwkv6::{Rwkv6, Rwkv6Config};
pub use rwkv7::{Rwkv7, Rwkv7Config};
