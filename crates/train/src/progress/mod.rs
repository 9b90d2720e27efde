//! What a training run tells while it goes on, and who listens.
//!
//! [`Dashboard`] and [`Plain`] are for people, [`JsonLines`] is for programs; a quiet run has no listener.

mod dashboard;
mod event;
mod feed;
mod figures;
mod interrupt_key;
mod json;
mod plain;

pub use dashboard::Dashboard;
pub use event::{Event, Listener, StepFigures};
pub use json::JsonLines;
pub use plain::Plain;
