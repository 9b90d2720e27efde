//! State-space models: S4D, Mamba, Mamba-2.
//!
//! They carry a state of fixed size from token to token, `h_t = A_t h_{t−1} + B_t x_t`, `y_t = C_t h_t`, and so
//! cost the same for every token however many came before. S4D keeps A, B and C fixed, which makes it a
//! convolution; Mamba lets the tokens choose them, so that a state is kept or overwritten by what is read;
//! Mamba-2 gives all channels of a head one decay, which turns the recurrence into matrix products.

mod mamba;
mod mamba2;
mod parts;
mod s4d;

pub use mamba::{Mamba, MambaConfig, SelectionNorm};
pub use mamba2::{Gate, Gating, Mamba2, Mamba2Config, PartScales};
pub use s4d::{Kernel, S4d, S4dConfig};
