//! One block of PatchTSMixer.

use ansatz_core::{Build, Result};
use ansatz_ops::Norm;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::PatchMixerConfig;
use super::mixing::{ChannelMixing, FeatureMixing, Gate, Mlp, PatchMixing};

/// Mixes along the channels where wanted, then along the patches, then along the values of each token
/// (Ekambaram et al. 2023, figure 2).
///
/// # Shapes
/// `[batch, channels, patches, width]` → the same.
#[derive(Module, Debug)]
pub struct MixerBlock {
    /// Along the channels.
    pub channels: Option<ChannelMixing>,
    /// Along the patches.
    pub patches: PatchMixing,
    /// Along the values.
    pub values: FeatureMixing,
}

impl MixerBlock {
    pub(super) fn new(
        config: &PatchMixerConfig,
        [channels, patches]: [usize; 2],
        build: &Build,
    ) -> Result<Self> {
        let device: &Device = build.device;
        let norm = || -> Norm { config.norm.init(config.width, device) };
        let parts = |width: usize| (Mlp::new(width, config, device), Gate::new(width, config, device));
        let mixer = config.mixer.as_ref().map(|mixer| {
            let mixer = mixer.resolve("mixer", build.registry)?;
            mixer.init(config.width, build).map_err(|error| error.under("mixer"))
        });
        let mixer = mixer.transpose()?;
        let along_channels = config.mix_channels.then(|| {
            let (mlp, gate) = parts(channels);
            ChannelMixing { norm: norm(), gate, mlp }
        });
        let (mlp, gate) = parts(patches);
        let mixer_norm = mixer.is_some().then(norm);
        let along_patches = PatchMixing { norm: norm(), mlp, gate, mixer, mixer_norm };
        let (mlp, gate) = parts(config.width);
        let along_values = FeatureMixing { norm: norm(), mlp, gate };
        Ok(Self { channels: along_channels, patches: along_patches, values: along_values })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = match &self.channels {
            Some(channels) => channels.forward(x),
            None => x,
        };
        self.values.forward(self.patches.forward(x))
    }
}
