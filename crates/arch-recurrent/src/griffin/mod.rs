//! Griffin's recurrent block.

mod block;
mod config;
mod gated_recurrence;

pub use block::RgLru;
pub use config::RgLruConfig;
pub use gated_recurrence::GatedRecurrence;
