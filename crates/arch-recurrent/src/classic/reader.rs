//! A recurrent network as a sequence mixer.

use ansatz_core::{Context, Mixer, Recurrent, State};
use ansatz_ops::Linear;
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use super::Network;

/// A recurrent network, brought back to the width of the tokens where its own is another.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Reader {
    /// Reads the tokens.
    pub network: Network,
    /// `[directions × hidden, width]`, where these two differ.
    pub output: Option<Linear>,
}

/// The name of the state of a layer: `[batch, states, hidden]`, the hidden state and, for the LSTM, the cell.
fn name(layer: usize) -> String {
    format!("layers.{layer}")
}

impl Reader {
    fn project(&self, read: Tensor<3>) -> Tensor<3> {
        match &self.output {
            Some(output) => output.forward(read),
            None => read,
        }
    }
}

impl Mixer for Reader {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let output = self.project(self.network.forward(tokens, None, context.mask.clone()).tokens);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        (!self.network.is_bidirectional()).then_some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let output = self.output.as_ref().map_or(0, |output| 2 * output.weight.lazy_shape().num_elements());
        length as u64 * (self.network.flops() + output as u64)
    }
}

impl Recurrent for Reader {
    fn state(&self, batch: usize, device: &Device) -> State {
        let shape = [batch, self.network.cell().states(), self.network.hidden()];
        let layers = 0..self.network.ahead.len();
        // The type of float is that of the weights.
        let dtype = self.network.ahead[0].input.dtype();
        layers.fold(State::new(), |state, layer| {
            state.with(&name(layer), Tensor::<3>::zeros(shape, (device, dtype)))
        })
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let layers = 0..self.network.ahead.len();
        let before: Option<Vec<_>> =
            layers.map(|layer| state.take::<3>(&name(layer)).map(|state| state.swap_dims(0, 1))).collect();
        let read = self.network.forward(tokens, before, None);
        for (layer, last) in read.states.into_iter().enumerate() {
            state.set(&name(layer), last.swap_dims(0, 1));
        }
        state.position += length;
        self.project(read.tokens)
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{GruConfig, LstmConfig, RnnActivation, RnnConfig};
    use ansatz_conformance::Property;
    use ansatz_core::{Build, MixerConfig, Registry};
    use burn::tensor::Device;

    /// Checks a config, which reads in one direction or in both.
    fn conforms(config: &impl MixerConfig, bidirectional: bool) {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let build = |width: usize, device: &Device| config.init(width, &Build::new(&registry, device));
        let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
        let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.covers(Property::Recurrence), !bidirectional);
    }

    #[test]
    fn elman_networks_conform() {
        for activation in [RnnActivation::Tanh, RnnActivation::Relu] {
            for (hidden, layers, bidirectional) in [(None, 2, false), (Some(5), 1, true)] {
                let config = RnnConfig { hidden, layers, bidirectional, activation, ..RnnConfig::default() };
                conforms(&config, bidirectional);
            }
        }
    }

    #[test]
    fn lstms_conform() {
        for (hidden, layers, bidirectional, bias) in [
            (None, 1, false, true),
            (Some(7), 2, false, false),
            (None, 2, true, true),
            (Some(3), 1, true, false),
        ] {
            conforms(&LstmConfig { hidden, layers, bidirectional, bias }, bidirectional);
        }
    }

    #[test]
    fn grus_conform() {
        for (hidden, layers, bidirectional, bias) in
            [(None, 1, false, true), (Some(7), 2, false, false), (None, 2, true, true)]
        {
            conforms(&GruConfig { hidden, layers, bidirectional, bias }, bidirectional);
        }
    }
}
