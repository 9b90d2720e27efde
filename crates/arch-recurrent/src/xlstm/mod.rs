//! xLSTM's memories.

mod config;
mod heads;
mod matrix_lstm;
mod projected;
mod scalar_lstm;

pub use config::MatrixLstmConfig;
pub use matrix_lstm::MatrixLstm;
pub use projected::{ProjectedMatrixLstm, ProjectedMatrixLstmConfig};
pub use scalar_lstm::{ScalarLstm, ScalarLstmConfig};
