//! Layers of a recurrent cell, as PyTorch's `RNN`, `LSTM` and `GRU` have them.

use ansatz_ops::{Cell, Linear, Observed, observe, recurrence};
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor, assert_shape};

/// One layer in one direction.
///
/// # Shapes
/// Time first: `[length, batch, inputs]` → `[length, batch, hidden]`.
#[derive(Module, Debug)]
pub struct Direction {
    /// W_x, b_x: `[inputs, gates × hidden]`.
    pub input: Linear,
    /// W, b: `[hidden, gates × hidden]`.
    pub hidden: Linear,
    #[module(skip)]
    cell: Cell,
}

impl Direction {
    /// Weights and biases uniform in ±1/√hidden, as PyTorch draws them.
    fn new(cell: Cell, [inputs, hidden]: [usize; 2], bias: bool, device: &Device) -> Self {
        let bound = (hidden as f64).powf(-0.5);
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let outputs = cell.gates() * hidden;
        let linear = |inputs| Linear {
            weight: uniform.init([inputs, outputs], device),
            bias: bias.then(|| uniform.init([outputs], device)),
        };
        Self { input: linear(inputs), hidden: linear(hidden), cell }
    }

    /// Values of the hidden state.
    fn size(&self) -> usize {
        self.hidden.weight.lazy_shape()[0]
    }

    /// The state before the first token: zeros, `[states, batch, hidden]`.
    fn state(&self, tokens: &Tensor<3>, batch: usize) -> Tensor<3> {
        let (device, dtype) = (tokens.device(), tokens.dtype());
        Tensor::zeros([self.cell.states(), batch, self.size()], (&device, dtype))
    }

    /// The hidden states of all times, and the last state.
    fn forward(
        &self,
        tokens: Tensor<3>,
        state: Tensor<3>,
        real: Option<Tensor<2, Bool>>,
    ) -> (Tensor<3>, Tensor<3>) {
        let [length, batch, _] = tokens.dims();
        let hidden = self.size();
        assert_shape!(state, [self.cell.states(), batch, hidden]);
        let weight = self.hidden.dense_weight();
        let bias = match &self.hidden.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([self.cell.gates() * hidden], (&tokens.device(), tokens.dtype())),
        };
        // One matrix product for all times.
        let inputs = self.input.forward(tokens);
        let initial = state.clone();
        let all = recurrence(self.cell, inputs, weight, bias, state, real);
        // What W was multiplied with: the hidden state before each time.
        observe(self.hidden.weight.id, || {
            let states = Tensor::cat(vec![initial.narrow(0, 0, 1), all.clone()], 0);
            Observed::Rows(states.narrow(0, 0, length).reshape([length * batch, hidden]))
        });
        // The last hidden state, and behind it the cell, where there is one.
        let last = all.clone().narrow(0, length - 1, self.cell.states());
        let hidden = if self.cell.states() == 1 { all } else { all.narrow(0, 0, length) };
        (hidden, last)
    }
}

/// Layers of a recurrent cell, each reading what the one before made of the tokens.
///
/// With a second direction, each layer also reads from the last token to the first, and its output is both
/// directions' hidden states side by side (Schuster and Paliwal 1997).
///
/// # Shapes
/// `[batch, length, inputs]` → `[batch, length, directions × hidden]`.
#[derive(Module, Debug)]
pub struct Network {
    /// From the first token to the last, layer by layer.
    pub ahead: Vec<Direction>,
    /// From the last token to the first; empty where the network reads in one direction alone.
    pub back: Vec<Direction>,
    #[module(skip)]
    cell: Cell,
}

/// What a [`Network`] makes of tokens.
#[derive(Debug)]
pub struct NetworkOutput {
    /// `[batch, length, directions × hidden]`.
    pub tokens: Tensor<3>,
    /// The state behind the last token (for the second direction, the first one) of each layer, first direction
    /// first: `[states, batch, hidden]`, the hidden state and, for the LSTM, the cell.
    pub states: Vec<Tensor<3>>,
}

impl Network {
    /// Layers for tokens of `inputs` values.
    ///
    /// # Panics
    /// When there are no layers, or `hidden` is 0.
    pub fn new(
        cell: Cell,
        [inputs, hidden, layers]: [usize; 3],
        [bidirectional, bias]: [bool; 2],
        device: &Device,
    ) -> Self {
        assert!(layers > 0 && hidden > 0, "a network of {layers} layers of {hidden} values");
        let directions = if bidirectional { 2 } else { 1 };
        let stack = || {
            let inputs = |layer| if layer == 0 { inputs } else { directions * hidden };
            (0..layers).map(|layer| Direction::new(cell, [inputs(layer), hidden], bias, device)).collect()
        };
        Self { ahead: stack(), back: if bidirectional { stack() } else { Vec::new() }, cell }
    }

    /// What is carried for each hidden value.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// Values of the hidden state of one layer in one direction.
    pub fn hidden(&self) -> usize {
        self.ahead[0].size()
    }

    /// Whether it also reads from the last token to the first.
    pub fn is_bidirectional(&self) -> bool {
        !self.back.is_empty()
    }

    /// Reads `tokens` behind `states`, in the order of [`NetworkOutput::states`]; zeros where there are none. A token
    /// that `real` `[batch, length]` does not name leaves every state as it was.
    ///
    /// # Panics
    /// When the tokens have another width than the network was made for, or there are not as many states as layers
    /// and directions.
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        states: Option<Vec<Tensor<3>>>,
        real: Option<Tensor<2, Bool>>,
    ) -> NetworkOutput {
        let [batch, _, _] = tokens.dims();
        let directions = if self.is_bidirectional() { 2 } else { 1 };
        let states = states.unwrap_or_else(|| {
            let layers = self.ahead.iter().enumerate();
            let each = layers.flat_map(|(layer, ahead)| std::iter::once(ahead).chain(self.back.get(layer)));
            each.map(|direction| direction.state(&tokens, batch)).collect()
        });
        assert_eq!(states.len(), directions * self.ahead.len(), "a state for each layer and direction");
        let mut states = states.into_iter();
        let mut next = || states.next().expect("they were counted");
        let real = real.map(|real| real.swap_dims(0, 1));
        let mut tokens = tokens.swap_dims(0, 1);
        let mut last = Vec::new();
        for (layer, ahead) in self.ahead.iter().enumerate() {
            let (mut hidden, state) = ahead.forward(tokens.clone(), next(), real.clone());
            last.push(state);
            if let Some(back) = self.back.get(layer) {
                let turned = real.clone().map(|real| real.flip([0]));
                let (other, state) = back.forward(tokens.flip([0]), next(), turned);
                last.push(state);
                hidden = Tensor::cat(vec![hidden, other.flip([0])], 2);
            }
            tokens = hidden;
        }
        NetworkOutput { tokens: tokens.swap_dims(0, 1), states: last }
    }

    /// Floating-point operations for one token, forward.
    pub(super) fn flops(&self) -> u64 {
        let each = self.ahead.iter().chain(&self.back).map(|direction| {
            let products = [&direction.input, &direction.hidden]
                .map(|linear| 2 * linear.weight.lazy_shape().num_elements())
                .iter()
                .sum::<usize>();
            // Every gate is the sum of two projections, two biases and a function; then the states.
            (products + (4 * self.cell.gates() + 3 * self.cell.states()) * self.hidden()) as u64
        });
        each.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_ops::{Observer, observing};
    use burn::module::ParamId;
    use burn::tensor::{Distribution, Tolerance};
    use std::cell::RefCell;
    use std::rc::Rc;

    struct Seen(ParamId, Option<Tensor<2>>);

    impl Observer for Seen {
        fn see(&mut self, weight: ParamId, inputs: Observed) {
            if let Observed::Rows(rows) = inputs
                && weight == self.0
            {
                self.1 = Some(rows);
            }
        }
    }

    #[test]
    fn the_hidden_matrix_is_seen_with_the_state_before_each_time() {
        let device = ansatz_device::open("cpu").unwrap();
        for (cell, length) in [(Cell::Tanh, 5), (Cell::Lstm, 5), (Cell::Gru, 4), (Cell::Lstm, 1)] {
            let network = Network::new(cell, [3, 4, 1], [false, true], &device);
            let tokens = Tensor::random([2, length, 3], Distribution::Normal(0.0, 1.0), &device);
            let seen = Rc::new(RefCell::new(Seen(network.ahead[0].hidden.weight.id, None)));
            let made = observing(&seen, || network.forward(tokens, None, None)).tokens.swap_dims(0, 1);
            let before = Tensor::cat(vec![Tensor::zeros([1, 2, 4], &device), made], 0).narrow(0, 0, length);
            let rows = seen.borrow().1.clone().expect("it was seen").into_data();
            let expected = before.reshape([length * 2, 4]).into_data();
            rows.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
        }
    }
}
