//! What an experiment is before it runs, and what a trained network is on disk.
//!
//! Training writes a run folder, predicting and compressing read one; none of them knows of the other, so
//! what they share is here: the [`Experiment`] a config file describes, the [`RunFolder`] with its files, and
//! writing that never leaves a half-written file behind.

mod atomic;
mod draft;
mod environment;
mod experiment;
mod folder;
mod init;
mod layers;
mod magnitude;
mod masks;
mod matrices;
mod measurement;
mod patch;
mod place;
mod rounding;
mod summary;
mod taking;
mod trained;
mod weights;
pub mod written;

pub use atomic::{write_atomically, write_folder_atomically};
pub use draft::{Draft, draft};
pub use environment::{Environment, peak_memory_bytes};
pub use experiment::{Experiment, Plan};
pub use folder::RunFolder;
pub use init::{InitConfig, LoraConfig};
pub use layers::Layers;
pub use magnitude::{Scope, largest};
pub use masks::{Holding, Mask, Masks};
pub use matrices::{Weight, weights};
pub use measurement::{Latency, Measurement, Stage};
pub use patch::Patch;
pub use place::Place;
pub use rounding::{check_groups, check_rounding};
pub use summary::{Figures, Summary};
pub use taking::{Taken, take_weights};
pub use trained::Trained;
pub use weights::{bytes_held, dequantized, each_tensor, load_weights, save_weights, with_tensors};
