//! Sequence mixers: the part of a network in which tokens learn of each other.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::build::Build;
use crate::component::AnyConfig;
use crate::erased::Boxed;
use crate::{Context, Result, State};

/// Mixes tokens with each other; every token keeps its place and width.
pub trait Mixer: std::fmt::Debug + Send + Sync {
    /// `[batch, length, width]` → the same shape, all positions at once.
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3>;

    /// The recurrent form, where there is one: causal mixers have it, mixers that look ahead have not.
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        None
    }

    /// The most tokens that the mixer can take; `None` when there is no limit.
    fn limit(&self) -> Option<usize> {
        None
    }

    /// How much each position took from each other, `[batch, heads, to, from]`, rows summing to 1 where the
    /// mixer is an average; `None` where it has no such reading.
    fn influence(&self, _tokens: Tensor<3>, _context: &Context) -> Option<Tensor<4>> {
        None
    }

    /// Floating-point operations for `length` tokens, forward; a multiply–add counts two.
    fn flops(&self, length: usize) -> u64;
}

/// The recurrent form of a causal mixer or backbone: the outputs of its forward form, some tokens at a time.
pub trait Recurrent {
    /// The state before the first token.
    fn state(&self, batch: usize, device: &Device) -> State;

    /// The next tokens `[batch, 1.., width]` behind `state`, which moves on. All of them are real: a mask in
    /// `context` is not looked at.
    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3>;

    /// Whether the state keeps one size however many tokens were seen.
    fn constant_state(&self) -> bool;
}

/// A mixer of any kind, as a module.
pub type BoxedMixer = Boxed<dyn Mixer>;

impl Boxed<dyn Mixer> {
    /// Boxes a mixer.
    pub fn new<M: Mixer + Module + Sync + 'static>(mixer: M) -> Self {
        Self::erase(mixer, |mixer| mixer)
    }
}

/// The typed config of a mixer.
pub trait MixerConfig: AnyConfig {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When the config does not fit the width, e.g. heads that do not divide it.
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer>;
}
