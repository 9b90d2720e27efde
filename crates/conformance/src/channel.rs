//! Checking channel mixers, as mixers that look at one token alone.

use ansatz_core::{BoxedChannel, BoxedMixer, Context, Mixer, Recurrent, Result as Built, State};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{MixerCheck, mixer};

/// Checks the channel mixer that `build` makes for tokens of a width. That it works on each token alone is
/// its [`Recurrence`](crate::Property::Recurrence): token by token, with an empty state.
pub fn channel<F: Fn(usize, &Device) -> Built<BoxedChannel>>(
    build: F,
) -> MixerCheck<impl Fn(usize, &Device) -> Built<BoxedMixer>> {
    mixer(move |width, device| Ok(BoxedMixer::new(PerToken { channel: build(width, device)? })))
        .named("channel")
}

/// A channel mixer in the place of a mixer.
#[derive(Module, Debug)]
struct PerToken {
    channel: BoxedChannel,
}

impl Mixer for PerToken {
    fn forward(&self, tokens: Tensor<3>, _context: &Context) -> Tensor<3> {
        self.channel.forward(tokens)
    }
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }
    fn flops(&self, length: usize) -> u64 {
        length as u64 * self.channel.flops()
    }
}

impl Recurrent for PerToken {
    fn state(&self, _batch: usize, _device: &Device) -> State {
        State::new()
    }
    fn step(&self, tokens: Tensor<3>, state: &mut State) -> Tensor<3> {
        state.position += tokens.dims()[1];
        self.channel.forward(tokens)
    }
    fn constant_state(&self) -> bool {
        true
    }
}
