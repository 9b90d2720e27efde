//! S4D: a state-space model with a fixed diagonal, which is a long convolution.

mod config;
mod kernel;
mod module;

pub use config::S4dConfig;
pub use kernel::Kernel;
pub use module::S4d;
