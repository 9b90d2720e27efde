//! The temporal convolutional network.

mod block;
mod config;
mod convolution;
mod network;

pub use block::TcnBlock;
pub use config::{ConvolutionNorm, TcnConfig};
pub use convolution::TemporalConvolution;
pub use network::Tcn;
