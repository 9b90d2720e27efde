//! PatchTSMixer: an all-MLP network over the patches of a series.

mod block;
mod config;
mod mixing;
mod network;

pub use block::MixerBlock;
pub use config::PatchMixerConfig;
pub use mixing::{ChannelMixing, FeatureMixing, Gate, Mlp, PatchMixing};
pub use network::PatchMixer;
