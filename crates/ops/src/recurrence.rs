//! Classic recurrent cells along the time.

use crate::sigmoid;
use burn::tensor::activation::relu;
use burn::tensor::{Bool, Tensor, assert_shape};

/// What becomes of the state of a recurrent network at one time, given `x = W_x · input + b_x`, computed before
/// for all times at once, and `r = W · h + b` of the hidden state before.
///
/// Gates stand behind each other in the order in which they are named here, which is PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `h' = tanh(x + r)`: Elman, Finding Structure in Time, 1990.
    Tanh,
    /// `h' = max(x + r, 0)`.
    Relu,
    /// `i, f, o = σ(x + r)`, `g = tanh(x + r)`, `c' = f ⊙ c + i ⊙ g`, `h' = o ⊙ tanh(c')`, gates i, f, g, o: Hochreiter
    /// and Schmidhuber 1997 with the forget gate of Gers et al. 2000.
    Lstm,
    /// `r, z = σ(x + r)`, `n = tanh(x_n + r ⊙ r_n)`, `h' = (1 − z) ⊙ n + z ⊙ h`, gates r, z, n: Cho et al. 2014,
    /// arXiv:1406.1078, with the reset gate behind the hidden projection, as cuDNN and PyTorch have it.
    Gru,
}

impl Cell {
    /// Projections of the size of the hidden state that it takes.
    pub fn gates(self) -> usize {
        match self {
            Self::Tanh | Self::Relu => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// Vectors that are carried: the hidden state, and for the LSTM its cell.
    pub fn states(self) -> usize {
        if self == Self::Lstm { 2 } else { 1 }
    }

    /// One time: `x` and `r` `[batch, gates × hidden]`, `state` as many `[batch, hidden]` as there are states.
    fn step(self, x: Tensor<2>, r: Tensor<2>, state: &[Tensor<2>]) -> Vec<Tensor<2>> {
        let [_, hidden] = state[0].dims();
        let gate = |of: &Tensor<2>, index: usize| of.clone().narrow(1, index * hidden, hidden);
        match self {
            Self::Tanh => vec![(x + r).tanh()],
            Self::Relu => vec![relu(x + r)],
            Self::Lstm => {
                let sum = x + r;
                let [input, forget, output] = [0, 1, 3].map(|index| sigmoid(gate(&sum, index)));
                let cell = forget * state[1].clone() + input * gate(&sum, 2).tanh();
                vec![output * cell.clone().tanh(), cell]
            }
            Self::Gru => {
                let [reset, update] = [0, 1].map(|index| sigmoid(gate(&x, index) + gate(&r, index)));
                let candidate = (gate(&x, 2) + reset * gate(&r, 2)).tanh();
                vec![(-update.clone() + 1.0) * candidate + update * state[0].clone()]
            }
        }
    }
}

/// Runs a recurrent cell along the time.
///
/// A time that is not real for an example leaves its state as it was.
///
/// The fast form keeps what the gates were and goes back through time by hand; the other one is a loop of tensor
/// operations, of which automatic differentiation records about twenty for each time.
///
/// # Shapes
/// Time stands first, so that what one step needs lies together.
/// - `inputs`: x `[length, batch, gates × hidden]`
/// - `weight`: W `[hidden, gates × hidden]`
/// - `bias`: b `[gates × hidden]`
/// - `initial`: `[states, batch, hidden]`
/// - `real`: `[length, batch]`; `None`: all are
/// - result: the hidden states of all times, and behind them, for the LSTM, its last cell:
///   `[length + states − 1, batch, hidden]`
///
/// # Panics
/// When the shapes do not fit each other.
pub fn recurrence(
    cell: Cell,
    inputs: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    initial: Tensor<3>,
    real: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [states, batch, hidden] = initial.dims();
    let (gates, length) = (cell.gates() * hidden, inputs.dims()[0]);
    assert_eq!(states, cell.states(), "states of {cell:?}");
    assert_shape!(inputs, [length, batch, gates]);
    assert_shape!(weight, [hidden, gates]);
    assert_shape!(bias, [gates]);
    #[cfg(feature = "flex")]
    if let Some(outputs) = crate::flex::recurrence(cell, [&inputs, &initial], &weight, &bias, real.as_ref()) {
        return outputs;
    }
    composed(cell, inputs, weight, bias, initial, real)
}

/// The same as a loop of tensor operations.
fn composed(
    cell: Cell,
    inputs: Tensor<3>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    initial: Tensor<3>,
    real: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [states, batch, hidden] = initial.dims();
    let length = inputs.dims()[0];
    let mut state: Vec<Tensor<2>> =
        (0..states).map(|index| initial.clone().narrow(0, index, 1).squeeze_dim(0)).collect();
    let mut outputs = Vec::with_capacity(length + states - 1);
    for time in 0..length {
        let x = inputs.clone().narrow(0, time, 1).squeeze_dim(0);
        let r = state[0].clone().matmul(weight.clone()) + bias.clone().unsqueeze();
        let mut next = cell.step(x, r, &state);
        if let Some(real) = &real {
            let padding =
                real.clone().narrow(0, time, 1).bool_not().reshape([batch, 1]).expand([batch, hidden]);
            let kept = next.into_iter().zip(state).map(|(next, old)| next.mask_where(padding.clone(), old));
            next = kept.collect();
        }
        state = next;
        outputs.push(state[0].clone());
    }
    outputs.extend(state.into_iter().skip(1));
    Tensor::stack(outputs, 0)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{self, assert_close, between};
    use burn::tensor::Device;

    const CELLS: [Cell; 4] = [Cell::Tanh, Cell::Relu, Cell::Lstm, Cell::Gru];

    fn random<const D: usize>(shape: [usize; D], scale: f64, device: &Device) -> Tensor<D> {
        (testing::random(shape, device) * scale).require_grad()
    }

    #[test]
    fn the_fast_form_has_the_outputs_and_gradients_of_the_loop() {
        let device = Device::flex().autodiff();
        for cell in CELLS {
            for ([length, batch, hidden], padded) in
                [([1, 1, 1], false), ([5, 3, 4], false), ([7, 2, 33], true), ([40, 5, 17], true)]
            {
                let gates = cell.gates() * hidden;
                let inputs = random([length, batch, gates], 1.0, &device);
                let weight = random([hidden, gates], 0.5 / (hidden as f64).sqrt(), &device);
                let bias = random([gates], 0.3, &device);
                let initial = random([cell.states(), batch, hidden], 1.0, &device);
                let real = padded.then(|| between([length, batch], 0.0, 1.0, &device).greater_elem(0.3));
                let upstream = random([length + cell.states() - 1, batch, hidden], 1.0, &device).detach();
                let run = |form: fn(_, _, _, _, _, _) -> Tensor<3>| {
                    let (inputs, weight) = (inputs.clone(), weight.clone());
                    let y = form(cell, inputs, weight, bias.clone(), initial.clone(), real.clone());
                    let gradients = (y.clone() * upstream.clone()).sum().backward();
                    (y, gradients)
                };
                let ((fast, fast_gradients), (slow, slow_gradients)) = (run(recurrence), run(composed));
                let case = format!("{cell:?} {length} × {batch} × {hidden}");
                assert_close(&fast, &slow, &case);
                for (name, tensor) in [("inputs", &inputs), ("initial", &initial)] {
                    let [fast, slow] =
                        [&fast_gradients, &slow_gradients].map(|all| tensor.grad(all).expect("tracked"));
                    assert_close(&fast, &slow, &format!("{case}: gradient of the {name}"));
                }
                let [fast, slow] =
                    [&fast_gradients, &slow_gradients].map(|all| weight.grad(all).expect("tracked"));
                assert_close(&fast, &slow, &format!("{case}: gradient of the weight"));
                let [fast, slow] =
                    [&fast_gradients, &slow_gradients].map(|all| bias.grad(all).expect("tracked"));
                assert_close(&fast, &slow, &format!("{case}: gradient of the bias"));
            }
        }
    }

    #[test]
    fn without_gradients_the_outputs_are_the_same() {
        let device = Device::flex();
        for cell in CELLS {
            let [inputs, initial] = [[6, 2, cell.gates() * 5], [cell.states(), 2, 5]]
                .map(|shape| testing::random(shape, &device));
            let weight = testing::random([5, cell.gates() * 5], &device) * 0.4;
            let bias = testing::random([cell.gates() * 5], &device) * 0.4;
            let run = |form: fn(_, _, _, _, _, _) -> Tensor<3>| {
                form(cell, inputs.clone(), weight.clone(), bias.clone(), initial.clone(), None)
            };
            assert_close(&run(recurrence), &run(composed), &format!("{cell:?}"));
        }
    }

    #[test]
    fn padding_keeps_the_state() {
        let device = Device::flex();
        for cell in CELLS {
            let hidden = 3;
            let initial = between([cell.states(), 1, hidden], 0.0, 1.0, &device);
            let gates = cell.gates() * hidden;
            let outputs = recurrence(
                cell,
                Tensor::ones([2, 1, gates], &device),
                Tensor::ones([hidden, gates], &device),
                Tensor::ones([gates], &device),
                initial.clone(),
                Some(Tensor::from_data([[false], [false]], &device)),
            );
            let expected = Tensor::cat(vec![initial.clone().narrow(0, 0, 1), initial], 0);
            outputs.into_data().assert_eq(&expected.into_data(), true);
        }
    }
}
