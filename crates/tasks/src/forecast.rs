//! Forecasting: the next steps of a series.

mod config;
mod head;
mod loss;
mod scorer;

pub use config::{ForecastConfig, Projection};
pub use head::ForecastHead;
pub use loss::ForecastLoss;
pub use scorer::ForecastScorer;
