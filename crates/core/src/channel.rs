//! Channel mixers: the part of a network that works on the values of each token.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::build::Build;
use crate::component::AnyConfig;
use crate::erased::Boxed;
use crate::{Context, Recurrent, Result};

/// Maps each token for itself, keeping its width; some also look at the token before.
pub trait Channel: std::fmt::Debug + Send + Sync {
    /// `[batch, length, width]` → the same shape.
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3>;

    /// The recurrent form of a channel mixer that looks at tokens before; `None` for those that map each token
    /// alone, whose forward form serves any number of tokens.
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        None
    }

    /// Floating-point operations for one token, forward; a multiply–add counts two.
    fn flops(&self) -> u64;
}

/// A channel mixer of any kind, as a module.
pub type BoxedChannel = Boxed<dyn Channel>;

impl Boxed<dyn Channel> {
    /// Boxes a channel mixer.
    pub fn new<M: Channel + Module + Sync + 'static>(channel: M) -> Self {
        Self::erase(channel, |channel| channel)
    }
}

/// The typed config of a channel mixer.
pub trait ChannelConfig: AnyConfig {
    /// Builds the channel mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When the config does not fit the width.
    fn init(&self, width: usize, build: &Build) -> Result<BoxedChannel>;

    /// Whether this stands for leaving the channel mixer out.
    fn is_none(&self) -> bool {
        false
    }
}
