//! xLSTM's matrix memory.

mod config;
mod matrix_lstm;

pub use config::MatrixLstmConfig;
pub use matrix_lstm::MatrixLstm;
