//! What a network can be asked to do: the head, the loss and the scores of each task.
//!
//! A task is the only place that knows what an output means. Training, evaluation and reports see a loss to
//! lower and named figures, so a new task needs no change there.

mod binary_cross_entropy;
mod calibration;
mod classify;
mod confusion;
mod cross_entropy;
mod errors;
mod forecast;
mod head;
mod labels;
mod language_model;
mod language_scorer;
mod masked_language_model;
mod masked_patches;
mod pool;
mod ranking;
mod regress;
mod scorer;
mod squared_hinge;
mod transform;
mod weights;

pub use classify::{ClassifyConfig, ClassifyLoss};
pub use forecast::{ForecastConfig, ForecastHead, ForecastLoss, ForecastScorer, Projection};
pub use head::ClassifyHead;
pub use labels::LabelsScorer;
pub use language_model::{LanguageModelConfig, LanguageModelHead};
pub use language_scorer::LanguageScorer;
pub use masked_language_model::MaskedLanguageModelConfig;
pub use masked_patches::{MaskedPatchesConfig, MaskedPatchesHead, MaskedPatchesScorer};
pub use pool::Pool;
pub use regress::{RegressConfig, RegressHead, RegressLoss, RegressScorer};
pub use scorer::ClassifyScorer;
pub use transform::{Transform, TransformConfig};
pub use weights::{ClassWeights, LabelCounts};
