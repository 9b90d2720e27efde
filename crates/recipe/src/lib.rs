//! Steps that make a trained run smaller, done in order and measured.
//!
//! Compressing knows nothing of training, and training nothing of compressing; a recipe needs both, so it stands above
//! them. What passes from step to step is a run folder: every step reads one and leaves one, whole, which predicts,
//! evaluates and generates like any other. A chain that was stopped therefore goes on behind its last finished step, and a
//! training step from its last checkpoint.
//!
//! ```text
//! RUN ─ prune → OUT/steps/1 ─ fine-tune → OUT/steps/2 ─ quantize → OUT/steps/3, and OUT itself
//! ```
//!
//! [`Recipe::read`] reads a recipe, [`compress`] does it, [`resume`] goes on with it, [`measure`] says what a run gives
//! and costs, [`sensitivity`] which layers lose most, and [`mixed`] makes a recipe of that.

mod chain;
mod check;
mod examples;
mod measure;
mod merge;
mod mixed;
mod part;
mod recipe;
mod sensitivity;
mod shrink;
mod stages;
mod step;
mod training;
mod workshop;

pub use chain::{Compressed, compress, resume};
pub use measure::measure;
pub use mixed::{Mixed, mixed};
pub use recipe::{Recipe, Step};
pub use sensitivity::{Loss, Sensitivity, sensitivity};
pub use stages::DistillStage;
pub use training::{DistillConfig, FineTuneConfig, Start};
pub use workshop::Workshop;
