//! Regression: a number per example.

mod config;
mod head;
mod loss;
mod scorer;

pub use config::RegressConfig;
pub use head::RegressHead;
pub use loss::RegressLoss;
pub use scorer::RegressScorer;
