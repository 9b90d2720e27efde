//! Examples of several modalities as a data model: a picture, a text, a record of numbers, of one thing, joined into
//! one X for one network.
//!
//! Each modality is read by the data model that knows its kind; here they are joined. What reaches the backbone is
//! tokens, and nothing there knows that they came from different senses. A modality may be missing, in training by
//! design: what a network can do without, it does not lean on alone.

mod clip_art;
mod config;
mod encoder;
mod modality;
mod open;
mod recognise;
mod source;
mod stem;

pub use config::FusedConfig;
pub use encoder::FusedEncoder;
pub use modality::{ModalityConfig, ModalityPool};
pub use open::OpenFused;
pub use source::FusedSource;
pub use stem::{
    Branch, ConcatFeatures, ConcatTokens, CrossAttention, FusedStem, Gated, Join, JoinByAttention, Joined,
    PRESENT,
};
