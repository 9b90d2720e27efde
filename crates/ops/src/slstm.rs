//! The scalar memory of xLSTM.

use burn::tensor::{Tensor, assert_shape};

use crate::{log_sigmoid, sigmoid};

/// What the scalar memory holds between tokens, `[heads, batch, size]` each. It is stabilized: the true cell and
/// normalizer are `exp(maximum)` times these.
#[derive(Debug, Clone)]
pub struct ScalarMemory {
    /// h, which the gates of the next token see.
    pub hidden: Tensor<3>,
    /// c.
    pub cell: Tensor<3>,
    /// n.
    pub normalizer: Tensor<3>,
    /// m: the logarithm of the largest weight that anything in the cell has.
    pub maximum: Tensor<3>,
}

impl ScalarMemory {
    /// The maximum of a memory that nothing was written to. A finite number, so that no difference of two is undefined.
    pub const NOTHING: f32 = -1e30;
}

#[cfg(feature = "flex")]
impl ScalarMemory {
    fn from_rows(rows: &Tensor<4>, first: usize) -> Self {
        let [cell, normalizer, maximum] = [1, 2, 3].map(|row| Self::row(rows, first + row));
        Self { hidden: Self::row(rows, first), cell, normalizer, maximum: maximum.detach() }
    }

    fn row(rows: &Tensor<4>, row: usize) -> Tensor<3> {
        rows.clone().narrow(1, row, 1).squeeze_dim(1)
    }
}

/// Runs xLSTM's scalar memory along the time: Beck et al. 2024, arXiv:2405.04517, equations 8 to 17.
///
/// ```text
/// ĩ, f̃, z̃, õ = gates + h R
/// m' = max(log σ(f̃) + m, ĩ)
/// c' = exp(log σ(f̃) + m − m') c + exp(ĩ − m') tanh z̃           n' likewise, of 1
/// h' = σ(õ) c' / n'
/// ```
///
/// The gates see the state before, so that one token can only follow the other. m cancels in h', whatever it is, and so
/// takes no part in the gradients.
///
/// The fast form goes through time once for each head and some examples, keeps what the gates were, and goes back by
/// hand; the other one is a loop of tensor operations.
///
/// # Shapes
/// - `gates`: `[heads, length, batch, 4 × size]`, gates i, f, z, o behind each other
/// - `recurrent`: R `[heads, size, 4 × size]`
/// - `before`: the memory before the first token
/// - result: h' of all tokens `[heads, length, batch, size]`, and the memory behind the last one
///
/// # Panics
/// When the shapes do not fit each other, or there is no token.
pub fn scalar_memory(
    gates: Tensor<4>,
    recurrent: Tensor<3>,
    before: ScalarMemory,
) -> (Tensor<4>, ScalarMemory) {
    let [heads, batch, size] = before.hidden.dims();
    let length = gates.dims()[1];
    assert!(length > 0, "a memory runs along at least one token");
    assert_shape!(gates, [heads, length, batch, 4 * size]);
    assert_shape!(recurrent, [heads, size, 4 * size]);
    #[cfg(feature = "flex")]
    {
        let ScalarMemory { hidden, cell, normalizer, maximum } = &before;
        let stacked =
            Tensor::stack(vec![hidden, cell, normalizer, maximum].into_iter().cloned().collect(), 1);
        if let Some(rows) = crate::flex::scalar_memory(&gates, &recurrent, &stacked) {
            return (rows.clone().narrow(1, 0, length), ScalarMemory::from_rows(&rows, length - 1));
        }
    }
    composed(gates, recurrent, before)
}

/// The same as a loop of tensor operations.
fn composed(gates: Tensor<4>, recurrent: Tensor<3>, before: ScalarMemory) -> (Tensor<4>, ScalarMemory) {
    let [_, length, _, _] = gates.dims();
    let mut memory = before;
    let mut outputs = Vec::with_capacity(length);
    for time in 0..length {
        let sums = gates.clone().narrow(1, time, 1).squeeze_dim::<3>(1);
        memory = advance(sums + memory.hidden.clone().matmul(recurrent.clone()), memory);
        outputs.push(memory.hidden.clone());
    }
    (Tensor::stack(outputs, 1), memory)
}

/// One token, of which `sums` `[heads, batch, 4 × size]` are ĩ, f̃, z̃ and õ.
fn advance(sums: Tensor<3>, before: ScalarMemory) -> ScalarMemory {
    let [_, _, size] = before.cell.dims();
    let gate = |index: usize| sums.clone().narrow(2, index * size, size);
    let (input, forget) = (gate(0), log_sigmoid(gate(1)) + before.maximum);
    let maximum = forget.clone().max_pair(input.clone()).detach();
    let (input, forget) = ((input - maximum.clone()).exp(), (forget - maximum.clone()).exp());
    let cell = forget.clone() * before.cell + input.clone() * gate(2).tanh();
    let normalizer = forget * before.normalizer + input;
    let hidden = sigmoid(gate(3)) * cell.clone() / normalizer.clone();
    ScalarMemory { hidden, cell, normalizer, maximum }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random};
    use burn::tensor::Device;

    struct Case {
        gates: Tensor<4>,
        recurrent: Tensor<3>,
        before: [Tensor<3>; 4],
    }

    impl Case {
        fn new([heads, length, batch, size]: [usize; 4], device: &Device) -> Self {
            let state = || random([heads, batch, size], device);
            Self {
                gates: (random([heads, length, batch, 4 * size], device) * 2.0).require_grad(),
                recurrent: (random([heads, size, 4 * size], device) * 0.5).require_grad(),
                // What normalizes is above 0.
                before: [
                    state().require_grad(),
                    state().require_grad(),
                    (state().abs() + 0.5).require_grad(),
                    state(),
                ],
            }
        }

        fn before(&self) -> ScalarMemory {
            let [hidden, cell, normalizer, maximum] = self.before.clone();
            ScalarMemory { hidden, cell, normalizer, maximum }
        }
    }

    #[test]
    fn the_fast_form_has_the_outputs_and_gradients_of_the_loop() {
        let device = Device::flex().autodiff();
        for sizes in [[1, 1, 1, 1], [2, 5, 3, 4], [3, 7, 9, 5], [2, 33, 2, 16], [1, 4, 17, 20]] {
            let case = Case::new(sizes, &device);
            let [heads, length, batch, size] = sizes;
            let upstream = random([heads, length, batch, size], &device);
            let later = random([3, heads, batch, size], &device);
            let run = |form: fn(_, _, _) -> (Tensor<4>, ScalarMemory)| {
                let (read, memory) = form(case.gates.clone(), case.recurrent.clone(), case.before());
                let states = Tensor::stack::<4>(vec![memory.hidden, memory.cell, memory.normalizer], 0);
                let loss = (read.clone() * upstream.clone()).sum() + (states.clone() * later.clone()).sum();
                (read, states, memory.maximum, loss.backward())
            };
            let (fast, slow) = (run(scalar_memory), run(composed));
            let name = format!("{sizes:?}");
            assert_close(&fast.0, &slow.0, &name);
            assert_close(&fast.1, &slow.1, &format!("{name}: the memory"));
            assert_close(&fast.2, &slow.2, &format!("{name}: the maximum"));
            let [of_gates, expected] = [&fast.3, &slow.3].map(|all| case.gates.grad(all).expect("tracked"));
            assert_close(&of_gates, &expected, &format!("{name}: gradient of the gates"));
            let [of_weight, expected] =
                [&fast.3, &slow.3].map(|all| case.recurrent.grad(all).expect("tracked"));
            assert_close(&of_weight, &expected, &format!("{name}: gradient of R"));
            for (state, before) in case.before[..3].iter().enumerate() {
                let [found, expected] = [&fast.3, &slow.3].map(|all| before.grad(all).expect("tracked"));
                assert_close(&found, &expected, &format!("{name}: gradient of state {state}"));
            }
        }
    }

    #[test]
    fn what_is_stabilized_is_the_plain_equation() {
        let device = Device::flex().autodiff();
        let case = Case::new([2, 6, 3, 4], &device);
        let zeros = || Tensor::<3>::zeros([2, 3, 4], &device);
        let (mut hidden, mut cell, mut normalizer) = (zeros(), zeros(), zeros());
        let mut expected = Vec::new();
        for time in 0..6 {
            let sums = case.gates.clone().narrow(1, time, 1).squeeze_dim::<3>(1);
            let sums = sums + hidden.matmul(case.recurrent.clone());
            let gate = |index: usize| sums.clone().narrow(2, index * 4, 4);
            let (input, forget) = (gate(0).exp(), sigmoid(gate(1)));
            cell = forget.clone() * cell + input.clone() * gate(2).tanh();
            normalizer = forget * normalizer + input;
            hidden = sigmoid(gate(3)) * cell.clone() / normalizer.clone();
            expected.push(hidden.clone());
        }
        let maximum = zeros() + ScalarMemory::NOTHING;
        let before = ScalarMemory { hidden: zeros(), cell: zeros(), normalizer: zeros(), maximum };
        let (read, _) = scalar_memory(case.gates, case.recurrent, before);
        assert_close(&read, &Tensor::stack(expected, 1), "from an empty memory");
    }
}
