//! A crate of somebody else: it adds a mixer and a backbone to the workbench without a changed line there.
//!
//! Copy it to begin a crate of your own. What it shows is all there is to it: a typed config, a module, and
//! one line in `main` that adds them to the list.

mod flat;
mod moving_average;

pub use flat::{Flat, FlatConfig};
pub use moving_average::{MovingAverage, MovingAverageConfig};
