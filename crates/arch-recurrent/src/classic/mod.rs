//! The classic cells: Elman's network, LSTM and GRU.

mod config;
mod network;
mod reader;

pub use config::{GruConfig, LstmConfig, RnnActivation, RnnConfig};
pub use network::{Direction, Network, NetworkOutput};
pub use reader::Reader;
