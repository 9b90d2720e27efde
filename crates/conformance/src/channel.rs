//! Checking channel mixers, as mixers that look at one token alone.

use ansatz_core::{BoxedChannel, BoxedMixer, Context, Mixer, Recurrent, Result as Built, State};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{MixerCheck, mixer};

/// Checks the channel mixer that `build` makes for tokens of a width. One that works on each token alone is its
/// own recurrent form ([`Recurrence`](crate::Property::Recurrence)), with an empty state.
pub fn channel<F: Fn(usize, &Device) -> Built<BoxedChannel>>(
    build: F,
) -> MixerCheck<impl Fn(usize, &Device) -> Built<BoxedMixer>> {
    mixer(move |width, device| Ok(BoxedMixer::new(Alone { channel: build(width, device)? }))).named("channel")
}

/// A channel mixer in the place of a mixer.
#[derive(Module, Debug)]
struct Alone {
    channel: BoxedChannel,
}

impl Mixer for Alone {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        self.channel.forward(tokens, context)
    }
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        self.channel.recurrent().or(Some(self))
    }
    fn flops(&self, length: usize) -> u64 {
        length as u64 * self.channel.flops()
    }
}

impl Recurrent for Alone {
    fn state(&self, _batch: usize, _device: &Device) -> State {
        State::new()
    }
    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        state.position += tokens.dims()[1];
        self.channel.forward(tokens, context)
    }
    fn constant_state(&self) -> bool {
        true
    }
}
