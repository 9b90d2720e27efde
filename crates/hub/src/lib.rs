//! Published checkpoints in and out: config translation, key tables, and the proof that numbers agree.
//!
//! An architecture is worth comparing with only if it is the published one. So each published family has a
//! small file here that says two things: how its `config.json` becomes a config of ours, and under which names
//! its weights stand. Everything else is shared: reading, filling, decoding, and [`verify()`], which runs what
//! the reference ran and compares every number.

mod compare;
mod counted_behind;
mod delta;
mod encoder_decoder;
mod exchange;
mod experts;
mod families;
mod family;
mod fill;
mod folder;
mod forecaster;
mod greedy;
mod language_model;
mod layer_subject;
mod linear;
mod names;
mod options;
mod picture_model;
mod tensors;
mod values;
mod verify;

pub use compare::{Comparison, Verdict};
pub use exchange::{Imported, Reading, RunParts, export, import};
pub use family::{Family, Generated, Subject, families, family_of};
pub use fill::{fill, parameters};
pub use folder::Folder;
pub use forecaster::{Forecaster, ForecasterParts};
pub use language_model::{LanguageModel, LoadedLanguageModel};
pub use layer_subject::LayerSubject;
pub use names::Names;
pub use options::{Options, refuse};
pub use tensors::TensorFile;
pub use values::Values;
pub use verify::verify;
