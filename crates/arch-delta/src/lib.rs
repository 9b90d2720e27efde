//! The delta rule: a matrix of state per head that is corrected rather than added to.
//!
//! Linear attention adds every value to its memory, and an old answer to the same key stays in it for ever. The
//! mixers here first take out what the memory would have answered. They are one layer, [`DeltaMixer`], and differ in
//! what it forgets from token to token: nothing ([`DeltaNetConfig`]), a share per head ([`GatedDeltaNetConfig`]), or
//! a share per key channel ([`KimiDeltaAttentionConfig`]).

mod check;
mod delta_net;
mod forgetting;
mod gated;
mod kimi;
mod low_rank;
mod mixer;
mod projection;
mod vectors;

pub use delta_net::DeltaNetConfig;
pub use forgetting::Forgetting;
pub use gated::GatedDeltaNetConfig;
pub use kimi::KimiDeltaAttentionConfig;
pub use low_rank::LowRank;
pub use mixer::DeltaMixer;
pub use projection::Projection;
pub use vectors::{GateActivation, KeyActivation, KeyNorm};
