//! The seam of Ansatz: the types that flow between data, architecture and task, and the traits and
//! registry through which each part is named in a config and built.
//!
//! One type explains why everything combines. A data model turns whatever it reads into [`Features`],
//! tokens `[batch, length, width]`; a [`Backbone`] maps features to features; a [`Head`] turns them into
//! outputs. A picture is a grid of tokens, a sentence a row of them. Whatever speaks this type can be
//! combined with all the rest, so this crate is small, depends on burn alone, and changes rarely.
//!
//! ```text
//! batch → Stem → Features → Backbone → Features → Head → outputs
//! ```
//!
//! A component is a plain serde struct, its typed config, that knows its name, its citation and how to
//! build its module: see [`Component`] and, for each role, [`MixerConfig`], [`ChannelConfig`],
//! [`BackboneConfig`], [`DataModel`] and [`TaskConfig`]. [`Registry`] is the list of those that a program knows.

mod backbone;
mod blocks;
mod build;
mod channel;
mod choice;
mod codec;
mod component;
mod data;
mod erased;
mod error;
mod features;
mod head;
mod layer;
mod mixer;
mod modality;
mod model;
mod proposal;
mod records;
mod registry;
mod shared;
mod spool;
mod state;
mod stem;
mod targets;
#[cfg(test)]
mod toy;

pub use backbone::{Backbone, BackboneConfig, BoxedBackbone};
pub use blocks::Blocks;
pub use build::{Build, Depth};
pub use channel::{BoxedChannel, Channel, ChannelConfig};
pub use choice::{Choice, Role, role};
pub use codec::{Codec, Prompt, Sentence};
pub use component::{AnyConfig, Component, parse};
pub use data::{
    Batch, DataModel, Encoder, Exhibit, FileBatches, Forecast, Inputs, OpenData, Part, Places, Preparation,
    Variation,
};
pub use error::{ConfigError, Error, Result, nearest};
pub use features::{Context, FeatureSpec, Features, Grid};
pub use head::{
    BoxedHead, Confusion, Contribution, ForecastErrors, Head, HostOutputs, Interval, LabelFigures, Outcome,
    Scorer, Scores, TaskConfig,
};
pub use layer::Layer;
pub use mixer::{BoxedMixer, Mixer, MixerConfig, Recurrent};
pub use modality::{FittedModality, Modality, ModalityEncoder, ModalityExamples};
pub use model::{Model, ModelPlan};
pub use proposal::{Proposal, Purpose, Setting};
pub use records::{Cell, Place, Record, Records, Rows, RowsWriter};
pub use registry::{Catalogue, Entry, Registry};
pub use shared::Shared;
pub use spool::{Spool, SpoolWriter};
pub use state::{State, StateData, StateTensor};
pub use stem::{BoxedStem, Stem};
pub use targets::{HiddenValues, Target, Targets};

pub use erased::Boxed;
