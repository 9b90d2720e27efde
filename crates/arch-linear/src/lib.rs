//! Linear attention: one matrix of state per head, faded and added to by every token.
//!
//! Softmax attention compares a query with every key before it. When the comparison is a plain product, the sum over
//! keys and values can be kept as one matrix, and every token costs the same however many came before. The families
//! here share that recurrence ([`ansatz_ops::LinearAttention`]) and differ in how the matrix fades: not at all, by a
//! constant for each head, or by what the tokens say.

mod check;
mod decay;
mod feature_map;
mod gated;
mod heads;
mod hgrn2;
mod lightning;
mod linear;
mod module;
mod projection;
mod retention;

pub use decay::{ForgetGate, LowRankDecay};
pub use feature_map::{FeatureMap, FeatureMapKind};
pub use gated::GatedLinearAttentionConfig;
pub use hgrn2::Hgrn2Config;
pub use lightning::{LightningAttention, LightningAttentionConfig};
pub use linear::LinearAttentionConfig;
pub use module::LinearMixer;
pub use projection::Projection;
pub use retention::RetentionConfig;
