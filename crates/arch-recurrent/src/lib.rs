//! Recurrent networks: a state of fixed size that every token changes.
//!
//! They were the way to read sequences before attention, and their state never grows, so that a token costs the same
//! however many came before. Their steps cannot be done at the same time, though; the newer ones here (xLSTM's matrix
//! memory, Griffin's gated linear recurrence) give the state no say in its own gates, and so get a parallel form.

mod block_linear;
mod classic;
mod griffin;
mod xlstm;

pub use block_linear::BlockLinear;
pub use classic::{
    Direction, GruConfig, LstmConfig, Network, NetworkOutput, Reader, RnnActivation, RnnConfig,
};
pub use griffin::{GatedRecurrence, RgLru, RgLruConfig};
pub use xlstm::{
    MatrixLstm, MatrixLstmConfig, ProjectedMatrixLstm, ProjectedMatrixLstmConfig, ScalarLstm,
    ScalarLstmConfig,
};
