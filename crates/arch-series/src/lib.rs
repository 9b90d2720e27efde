//! Architectures that forecasting brought forth: a linear map of trend and remainder, an all-MLP network over
//! patches, and stacked causal convolutions.
//!
//! They ask how much of attention a series needs, and are strong where the answer is little. What forecasts
//! by attention, over patches or over channels, is a stack like any other and needs no code here.

mod dlinear;
mod linear;
mod patch_mixer;
mod tcn;

pub use dlinear::{DLinear, DLinearConfig};
pub use linear::LinearAlongTime;
pub use patch_mixer::{
    ChannelMixing, FeatureMixing, Gate, MixerBlock, Mlp, PatchMixer, PatchMixerConfig, PatchMixing,
};
pub use tcn::{ConvolutionNorm, Tcn, TcnBlock, TcnConfig, TemporalConvolution};
