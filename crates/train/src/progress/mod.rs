//! What a training run tells while it goes on, and who listens.

mod event;

pub use event::{Event, Listener, StepFigures};
