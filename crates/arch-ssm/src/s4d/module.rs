//! S4D's mixer, all tokens at once and behind a state.

use ansatz_core::{Context, Mixer, Recurrent, State};
use ansatz_ops::{Linear, dropout, gelu, sigmoid};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use super::{Kernel, S4dConfig};
use crate::parts::{linear, real};

/// S4D as published with its code: `[a b] = gelu(kernel(X) + D ⊙ X) W + c`, output `a ⊙ sigmoid(b)`.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct S4d {
    /// Each channel's state space.
    pub kernel: Kernel,
    /// D `[width]`.
    pub skip: Param<Tensor<1>>,
    /// W `[width, 2 width]` and c.
    pub output: Linear,
    dropout: Dropout,
}

/// The name of the state's tensor, `[batch, width, state]`.
const STATE: &str = "state";

impl S4d {
    pub(super) fn new(width: usize, config: &S4dConfig, device: &Device) -> Self {
        Self {
            kernel: Kernel::new(width, config.state / 2, device),
            skip: Initializer::Normal { mean: 0.0, std: 1.0 }.init([width], device),
            output: linear(width, 2 * width, true, device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    fn run(
        &self,
        tokens: Tensor<3>,
        mask: Option<&Tensor<2, Bool>>,
        state: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let [batch, length, width] = tokens.dims();
        let tokens = real(tokens, mask);
        let (y, state) = self.kernel.scan(tokens.clone(), state);
        let y = dropout(&self.dropout, gelu(y + tokens * self.skip.val().unsqueeze()));
        let mapped = self.output.forward(y);
        assert_shape!(mapped, [batch, length, 2 * width]);
        let output = mapped.clone().narrow(2, 0, width) * sigmoid(mapped.narrow(2, width, width));
        (output, state)
    }
}

impl Mixer for S4d {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let state = self.kernel.zeros(tokens.dims()[0], &tokens.device());
        self.run(tokens, context.mask.as_ref(), state).0
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let width = self.skip.lazy_shape().num_elements();
        // A complex product, a sum and a reading for each number of the state.
        let scan = 12 * width * self.kernel.numbers();
        length as u64 * (2 * self.output.weight.lazy_shape().num_elements() + scan) as u64
    }
}

impl Recurrent for S4d {
    fn state(&self, batch: usize, device: &Device) -> State {
        State::new().with(STATE, self.kernel.zeros(batch, device))
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let before = state.take::<3>(STATE).unwrap_or_else(|| self.kernel.zeros(batch, &tokens.device()));
        let (output, after) = self.run(tokens, None, before);
        state.set(STATE, after);
        state.position += length;
        output
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::BoxedMixer;

    #[test]
    fn s4d_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for state in [2, 6] {
            let config = S4dConfig { state, ..S4dConfig::default() };
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn operations_are_counted() {
        let device = ansatz_device::open("cpu").unwrap();
        let layer = S4dConfig { state: 4, ..S4dConfig::default() }.build(8, &device).unwrap();
        assert_eq!(layer.flops(3), 3 * (2 * 8 * 16 + 12 * 8 * 2));
    }
}
