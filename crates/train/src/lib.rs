//! The training loop: optimizers, schedules, checkpoints that resume to the bit, evaluation, and progress.
//!
//! burn-train's own loop writes a checkpoint at the end of an epoch and keeps neither the position in the
//! data nor the state of random numbers in it, so what it resumes is another run. Here everything that a
//! step follows from is either in the checkpoint or derived from (seed, step): a run that was killed ends,
//! on the processor, with the very bytes it would have ended with. burn's optimizers do the steps, and
//! burn-train's terminal renderer draws the dashboard.
//!
//! ```text
//! train ─┐                       ┌ step: batches → loss → gradients → clip → optimizer → average
//!        ├→ Session::run → learn ┤
//! resume ┘                       └ take stock: judge the validation part, save, end
//!                     ↓
//!                  finish: keep the best weights, judge the test part once, write the figures
//! ```
//!
//! [`train`] and [`resume`] do a whole run, [`evaluate`] judges a finished one, and [`TrainConfig`] is what
//! stands under `[train]` in a config.

mod adam;
mod adapt;
mod average;
mod checkpoint;
mod checkpoints;
mod choice;
mod clip;
mod config;
mod descent;
mod distance;
mod evaluate;
mod fake_quantization;
mod finish;
mod fitting;
mod gradual;
mod groups;
mod inside;
mod interval;
mod lesson;
mod metrics;
mod mistakes;
mod optimizer;
mod pace;
mod plateau;
pub mod progress;
mod projections;
mod rates;
mod readings;
mod restored;
mod sampling;
mod schedule;
mod session;
mod setting;
mod soft_targets;
mod start;
mod state;
mod step;
mod teacher;
mod timing;

pub use average::AverageConfig;
pub use clip::{clip, global_norm};
pub use config::{
    CheckpointConfig, EarlyStoppingConfig, EvaluationConfig, Keep, LoadingConfig, TrainConfig, complete,
    schema,
};
pub use distance::{hidden_distance, influence_distance};
pub use evaluate::{Evaluation, evaluate};
pub use fake_quantization::FakeQuantizationConfig;
pub use gradual::GradualPruningConfig;
pub use inside::{InsideConfig, Whose};
pub use optimizer::{AdamW, Lion, Muon, OptimizerConfig, Sgd};
pub use sampling::{Batching, Sampling};
pub use schedule::{Constant, Cosine, OneCycle, Plateau, ScheduleConfig, WarmupStableDecay};
pub use setting::{Setting, check, resume, train};
pub use soft_targets::soft_loss;
pub use teacher::TeacherConfig;
pub use timing::{StepTimes, time_steps};
