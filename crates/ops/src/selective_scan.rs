//! The selective state-space recurrence of Mamba.

use burn::tensor::{Tensor, assert_shape};

use crate::{diagonal_scan, softplus};

/// What the recurrence is made of, each channel having a state of several numbers:
///
/// ```text
/// Δ_t = softplus(s_t)
/// h_t = exp(Δ_t A) ⊙ h_{t−1} + Δ_t x_t B_t
/// y_t = h_t C_t + D ⊙ x_t
/// ```
///
/// (Gu and Dao, Mamba, 2023, arXiv:2312.00752, algorithm 2 with equations 2 and 4; B is discretised by Euler's
/// rule, as in the published code.)
#[derive(Debug, Clone)]
pub struct SelectiveScan {
    /// x `[batch, length, channels]`.
    pub x: Tensor<3>,
    /// s `[batch, length, channels]`, the step before it is made positive.
    pub step: Tensor<3>,
    /// A `[channels, state]`, negative for a state that fades.
    pub rate: Tensor<2>,
    /// B `[batch, length, state]`.
    pub input: Tensor<3>,
    /// C `[batch, length, state]`.
    pub output: Tensor<3>,
    /// D `[channels]`.
    pub skip: Tensor<1>,
}

/// Tokens whose states are held at once by the form for every device.
const CHUNK: usize = 64;

impl SelectiveScan {
    /// y `[batch, length, channels]`, and the last state `[batch, channels, state]`, from the state `initial` on.
    ///
    /// # Panics
    /// When the shapes do not fit each other.
    pub fn scan(self, initial: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [batch, length, channels] = self.x.dims();
        let [_, state] = self.rate.dims();
        assert_shape!(self.step, [batch, length, channels]);
        assert_shape!(self.rate, [channels, state]);
        assert_shape!(self.input, [batch, length, state]);
        assert_shape!(self.output, [batch, length, state]);
        assert_shape!(self.skip, [channels]);
        assert_shape!(initial, [batch, channels, state]);
        #[cfg(feature = "flex")]
        if let Some(made) = crate::flex::selective_scan(&self, &initial) {
            return made;
        }
        self.in_chunks(initial)
    }

    /// The form for every device: the states of some tokens at a time by [`diagonal_scan`].
    fn in_chunks(self, initial: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [_, length, _] = self.x.dims();
        let mut state = initial;
        let mut outputs = Vec::new();
        for start in (0..length).step_by(CHUNK) {
            let tokens = CHUNK.min(length - start);
            let part = |tensor: &Tensor<3>| tensor.clone().narrow(1, start, tokens);
            let chunk = Self {
                x: part(&self.x),
                step: part(&self.step),
                input: part(&self.input),
                output: part(&self.output),
                rate: self.rate.clone(),
                skip: self.skip.clone(),
            };
            let (y, last) = chunk.at_once(state);
            state = last;
            outputs.push(y);
        }
        (Tensor::cat(outputs, 1), state)
    }

    fn at_once(self, initial: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [batch, length, channels] = self.x.dims();
        let [_, state] = self.rate.dims();
        let flat = |tensor: Tensor<4>| tensor.reshape([batch, length, channels * state]);
        let step = softplus(self.step);
        let decay = (step.clone().unsqueeze_dim::<4>(3) * self.rate.unsqueeze::<4>()).exp();
        let input = (step * self.x.clone()).unsqueeze_dim::<4>(3) * self.input.unsqueeze_dim::<4>(2);
        let initial = initial.reshape([batch, channels * state]);
        let (states, last) = diagonal_scan(flat(decay), flat(input), Some(initial));
        let read = states.reshape([batch, length, channels, state]) * self.output.unsqueeze_dim::<4>(2);
        let y = read.sum_dim(3).reshape([batch, length, channels]) + self.x * self.skip.unsqueeze();
        (y, last.reshape([batch, channels, state]))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::assert_close;
    use burn::tensor::Device;

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        crate::testing::random(shape, device).require_grad()
    }

    fn example([batch, length, channels, state]: [usize; 4], device: &Device) -> SelectiveScan {
        SelectiveScan {
            x: random([batch, length, channels], device),
            step: random([batch, length, channels], device),
            // The published rates: −1, −2, … for every channel.
            rate: Tensor::arange(1..state as i64 + 1, device)
                .float()
                .reshape([1, state])
                .repeat_dim(0, channels)
                .neg()
                .require_grad(),
            input: random([batch, length, state], device),
            output: random([batch, length, state], device),
            skip: random([channels], device),
        }
    }

    /// The equations, token by token.
    fn naive(scan: &SelectiveScan, mut state: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [_, length, _] = scan.x.dims();
        let mut outputs = Vec::new();
        for token in 0..length {
            let at = |tensor: &Tensor<3>| tensor.clone().narrow(1, token, 1);
            // [batch, channels, 1] and [batch, 1, state].
            let (x, step) = (at(&scan.x).swap_dims(1, 2), at(&scan.step).swap_dims(1, 2));
            let step = (step.exp() + 1.0).log();
            let decay = (step.clone() * scan.rate.clone().unsqueeze()).exp();
            state = decay * state + step * x * at(&scan.input);
            let read = (state.clone() * at(&scan.output)).sum_dim(2).swap_dims(1, 2);
            outputs.push(read + at(&scan.x) * scan.skip.clone().unsqueeze());
        }
        (Tensor::cat(outputs, 1), state)
    }

    #[test]
    fn outputs_and_gradients_are_those_of_the_loop() {
        let device = Device::flex().autodiff();
        for shape in [[1, 1, 1, 1], [2, 3, 5, 2], [1, 70, 16, 4], [2, 65, 20, 3], [2, 33, 70, 16]] {
            let [batch, length, channels, state] = shape;
            let scan = example(shape, &device);
            let initial = random([batch, channels, state], &device);
            let fast = scan.clone().scan(initial.clone());
            let slow = naive(&scan, initial.clone());
            let general = scan.clone().in_chunks(initial.clone());
            assert_close(&general.0, &slow.0, &format!("{shape:?} outputs, for every device"));
            assert_close(&general.1, &slow.1, &format!("{shape:?} last state, for every device"));
            assert_close(&fast.0, &slow.0, &format!("{shape:?} outputs"));
            assert_close(&fast.1, &slow.1, &format!("{shape:?} last state"));
            let upstream = random([batch, length, channels], &device).detach();
            let ahead = random([batch, channels, state], &device).detach();
            let [fast, slow] = [fast, slow].map(|(outputs, last)| {
                ((outputs * upstream.clone()).sum() + (last * ahead.clone()).sum()).backward()
            });
            let SelectiveScan { x, step, rate, input, output, skip } = &scan;
            let sequences =
                [("x", x), ("step", step), ("input", input), ("output", output), ("initial state", &initial)];
            for (what, tensor) in sequences {
                let [fast, slow] = [&fast, &slow].map(|grads| tensor.grad(grads).expect("tracked"));
                assert_close(&fast, &slow, &format!("{shape:?} gradient of {what}"));
            }
            let [fast_rate, slow_rate] = [&fast, &slow].map(|grads| rate.grad(grads).expect("tracked"));
            assert_close(&fast_rate, &slow_rate, &format!("{shape:?} gradient of the rate"));
            let [fast_skip, slow_skip] = [&fast, &slow].map(|grads| skip.grad(grads).expect("tracked"));
            assert_close(&fast_skip, &slow_skip, &format!("{shape:?} gradient of the skip"));
        }
    }
}
