//! Channel mixers: the feed-forward part of a block, plain, gated, and as a mixture of experts.
//!
//! A sequence mixer moves values between tokens and is otherwise nearly linear; what a network computes
//! about one token is computed here. Most parameters and most of the arithmetic of a stack stand in this
//! layer, so it is a component of its own, chosen independently of the mixer beside it.

mod experts;
mod gated;
mod none;
mod plain;
mod projection;

pub use ansatz_ops::Activation;
pub use experts::{Experts, ExpertsConfig, Scores};
pub use gated::{GatedMlp, GatedMlpConfig};
pub use none::NoneConfig;
pub use plain::{Mlp, MlpConfig};

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::BoxedChannel;

    #[test]
    fn every_layer_conforms_with_every_function() {
        let device = ansatz_device::open("cpu").unwrap();
        for activation in [Activation::Gelu, Activation::Relu, Activation::Silu] {
            for bias in [false, true] {
                let plain = MlpConfig { activation, bias, ..MlpConfig::default() };
                let build = |width, device: &_| Ok(BoxedChannel::new(plain.build(width, device)?));
                let checked = ansatz_conformance::channel(build).widths([1, 5]).check(&device);
                checked.unwrap_or_else(|failure| panic!("{plain:?}: {failure}"));
                let gated = GatedMlpConfig { activation, bias, ..GatedMlpConfig::default() };
                let build = |width, device: &_| Ok(BoxedChannel::new(gated.build(width, device)?));
                let checked = ansatz_conformance::channel(build).widths([1, 5]).check(&device);
                checked.unwrap_or_else(|failure| panic!("{gated:?}: {failure}"));
            }
        }
    }
}
