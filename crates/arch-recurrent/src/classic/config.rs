//! The typed configs of the classic cells.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::{Cell, LinearConfig};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Network, Reader};

/// What an Elman network does with the sum of its projections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RnnActivation {
    /// The hyperbolic tangent.
    Tanh,
    /// The rectifier: what is negative becomes zero. The state may grow without limit.
    Relu,
}

/// The three configs have all but the cell in common; serde refuses unknown keys only where no struct is flattened
/// into another, hence a macro.
macro_rules! configs {
    ($(
        $(#[$documentation:meta])*
        $config:ident, $kind:literal, $about:literal, $citation:literal, $cell:expr
        $(, $(#[$extra_documentation:meta])* $extra:ident: $extra_type:ty = $extra_default:expr)?;
    )*) => {$(
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $config {
            /// Values of the hidden state of a layer in one direction, 1 up to 65536. Left out: the width of the
            /// tokens, halved where both directions are read. A linear map follows where the hidden states of
            /// the last layer have another width than the tokens.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(range(min = 1, max = 65536))]
            pub hidden: Option<usize>,
            /// Layers, each reading what the one before made, 1 up to 256.
            #[schemars(range(min = 1, max = 256))]
            pub layers: usize,
            /// Whether the tokens are also read from the last to the first: then no token can be told before all
            /// are there, and there is no recurrent form.
            pub bidirectional: bool,
            /// Whether the projections of inputs and hidden states each add a bias.
            pub bias: bool,
            $($(#[$extra_documentation])* pub $extra: $extra_type,)?
        }

        impl Default for $config {
            fn default() -> Self {
                Self { hidden: None, layers: 1, bidirectional: false, bias: true, $($extra: $extra_default)? }
            }
        }

        impl Component for $config {
            const KIND: &'static str = $kind;
            const ABOUT: &'static str = $about;
            const CITATION: &'static str = $citation;

            fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
                check(self.hidden, self.layers)
            }
        }

        impl $config {
            /// Builds the network for tokens of `width` values.
            ///
            /// # Errors
            /// When a value is out of range.
            pub fn build(&self, width: usize, device: &Device) -> Result<Reader, ConfigError> {
                check(self.hidden, self.layers)?;
                let cell: fn(&Self) -> Cell = $cell;
                let directions = if self.bidirectional { 2 } else { 1 };
                let hidden = self.hidden.unwrap_or(width.div_ceil(directions));
                let sizes = [width, hidden, self.layers];
                let network = Network::new(cell(self), sizes, [self.bidirectional, self.bias], device);
                let output = (directions * hidden != width)
                    .then(|| LinearConfig::new(directions * hidden, width).with_bias(self.bias).init(device));
                Ok(Reader { network, output })
            }
        }

        impl MixerConfig for $config {
            fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
                Ok(BoxedMixer::new(self.build(width, build.device)?))
            }
        }
    )*};
}

fn check(hidden: Option<usize>, layers: usize) -> Result<(), ConfigError> {
    let problem =
        |key: &str, value: usize, expected: &str| Err(ConfigError::value(key, value.to_string(), expected));
    match hidden {
        Some(hidden) if !(1..=65536).contains(&hidden) => problem("hidden", hidden, "1 up to 65536"),
        _ if !(1..=256).contains(&layers) => problem("layers", layers, "1 up to 256"),
        _ => Ok(()),
    }
}

configs! {
    /// Elman's recurrent network.
    RnnConfig, "rnn", "a plain recurrent network: the state is a function of the token and the state before",
    "Elman, Finding Structure in Time, 1990, Cognitive Science 14(2)",
    |config| match config.activation {
        RnnActivation::Tanh => Cell::Tanh,
        RnnActivation::Relu => Cell::Relu,
    },
    /// What is done with the sum of the projections.
    activation: RnnActivation = RnnActivation::Tanh;

    /// Long short-term memory.
    LstmConfig, "lstm", "long short-term memory: a cell that gates write to, erase and read",
    "Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, Neural Computation 9(8); forget gate: Gers et al., \
     Learning to Forget, 2000, Neural Computation 12(10)",
    |_| Cell::Lstm;

    /// Gated recurrent unit.
    GruConfig, "gru", "gated recurrent unit: one gate chooses between the old state and a new one",
    "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014, arXiv:1406.1078",
    |_| Cell::Gru;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        for (hidden, layers, named) in [(Some(0), 1, "`hidden`: 0"), (None, 0, "`layers`: 0")] {
            let config = GruConfig { hidden, layers, ..GruConfig::default() };
            let message = config.build(8, &device).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn only_another_width_is_projected() {
        let device = ansatz_device::open("cpu").unwrap();
        for (hidden, bidirectional, projected) in [
            (None, false, false),
            (None, true, false),
            (Some(8), false, false),
            (Some(8), true, true),
            (Some(3), false, true),
        ] {
            let config = LstmConfig { hidden, bidirectional, ..LstmConfig::default() };
            assert_eq!(config.build(8, &device).unwrap().output.is_some(), projected, "{config:?}");
        }
    }
}
