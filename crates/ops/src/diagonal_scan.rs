//! The diagonal linear recurrence: every channel carries one number on.

use burn::tensor::{Tensor, assert_shape};

/// `h_t = a_t ⊙ h_{t−1} + b_t` along the length, every channel for itself: the recurrence of S5, Mamba and the
/// RG-LRU of Griffin (De et al. 2024, arXiv:2402.19427, equation 4).
///
/// Returns every state `h` and the last of them. The fast form takes one token after another and
/// many channels at a time; in the other, the number of operations one after another grows with the logarithm of
/// the length.
///
/// # Shapes
/// - `decay` (a) and `input` (b): `[batch, length, channels]`
/// - `initial`, h before the first token: `[batch, channels]`; zeros when left out
/// - result: `[batch, length, channels]` and `[batch, channels]`
///
/// # Panics
/// When the shapes do not fit each other.
pub fn diagonal_scan(
    decay: Tensor<3>,
    input: Tensor<3>,
    initial: Option<Tensor<2>>,
) -> (Tensor<3>, Tensor<2>) {
    let [batch, length, channels] = input.dims();
    assert_shape!(decay, [batch, length, channels]);
    if let Some(initial) = &initial {
        assert_shape!(initial, [batch, channels]);
    }
    let states = every_state(decay, input, initial);
    let last = states.clone().narrow(1, length - 1, 1).reshape([batch, channels]);
    (states, last)
}

fn every_state(decay: Tensor<3>, input: Tensor<3>, initial: Option<Tensor<2>>) -> Tensor<3> {
    #[cfg(feature = "flex")]
    {
        let [batch, _, channels] = input.dims();
        let zeros = || Tensor::zeros([batch, channels], (&input.device(), input.dtype()));
        let initial = initial.clone().unwrap_or_else(zeros);
        if let Some(states) = crate::flex::diagonal_scan(&decay, &input, &initial) {
            return states;
        }
    }
    for_every_device(decay, input, initial)
}

fn for_every_device(decay: Tensor<3>, input: Tensor<3>, initial: Option<Tensor<2>>) -> Tensor<3> {
    match initial {
        Some(initial) => {
            let input = enter(&decay, input, initial);
            doubling(decay, input)
        }
        None => doubling(decay, input),
    }
}

/// The same scan from zeros: `b_1 + a_1 ⊙ h_0` stands in the place of `b_1`.
fn enter(decay: &Tensor<3>, input: Tensor<3>, initial: Tensor<2>) -> Tensor<3> {
    let [_, length, _] = input.dims();
    let first = input.clone().narrow(1, 0, 1) + decay.clone().narrow(1, 0, 1) * initial.unsqueeze_dim(1);
    if length == 1 { first } else { Tensor::cat(vec![first, input.narrow(1, 1, length - 1)], 1) }
}

/// The scan by doubling (Hillis and Steele 1986; for linear recurrences Martin and Cundy 2018,
/// arXiv:1709.04057, section 2.2): where `(a, b)` stands for the d tokens up to t, it is joined with what stands
/// for the d tokens before, `(a, b) ∘ (a', b') = (a a', a b' + b)`, and then stands for 2d.
fn doubling(mut decay: Tensor<3>, mut states: Tensor<3>) -> Tensor<3> {
    let [_, length, _] = states.dims();
    let mut distance = 1;
    while distance < length {
        let rest = length - distance;
        let later = decay.clone().narrow(1, distance, rest);
        let joined =
            states.clone().narrow(1, distance, rest) + later.clone() * states.clone().narrow(1, 0, rest);
        states = Tensor::cat(vec![states.narrow(1, 0, distance), joined], 1);
        if 2 * distance < length {
            let joined = later * decay.clone().narrow(1, 0, rest);
            decay = Tensor::cat(vec![decay.narrow(1, 0, distance), joined], 1);
        }
        distance *= 2;
    }
    states
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, between, random};
    use burn::tensor::Device;

    /// The equation, token by token.
    fn naive(decay: &Tensor<3>, input: &Tensor<3>, initial: Tensor<2>) -> (Tensor<3>, Tensor<2>) {
        let [batch, length, channels] = input.dims();
        let at = |tensor: &Tensor<3>, token| tensor.clone().narrow(1, token, 1).reshape([batch, channels]);
        let mut state = initial;
        let mut states = Vec::new();
        for token in 0..length {
            state = at(decay, token) * state + at(input, token);
            states.push(state.clone().unsqueeze_dim(1));
        }
        (Tensor::cat(states, 1), state)
    }

    #[test]
    fn outputs_and_gradients_are_those_of_the_loop() {
        let device = Device::flex().autodiff();
        for shape in [[1, 1, 1], [2, 2, 3], [1, 7, 16], [3, 33, 5], [2, 40, 70], [1, 300, 17]] {
            let [batch, _, channels] = shape;
            let decay = between(shape, -0.5, 1.0, &device).require_grad();
            let [input, upstream] = [(); 2].map(|()| random(shape, &device));
            let [initial, ahead] = [(); 2].map(|()| random([batch, channels], &device));
            let (input, initial) = (input.require_grad(), initial.require_grad());
            let fast = diagonal_scan(decay.clone(), input.clone(), Some(initial.clone()));
            let slow = naive(&decay, &input, initial.clone());
            let general = for_every_device(decay.clone(), input.clone(), Some(initial.clone()));
            assert_close(&general, &slow.0, &format!("{shape:?} states, for every device"));
            assert_close(&fast.0, &slow.0, &format!("{shape:?} states"));
            assert_close(&fast.1, &slow.1, &format!("{shape:?} last state"));
            let [fast, slow] = [fast, slow].map(|(states, last)| {
                ((states * upstream.clone()).sum() + (last * ahead.clone()).sum()).backward()
            });
            for (what, tensor) in [("decay", &decay), ("input", &input)] {
                let [fast, slow] = [&fast, &slow].map(|grads| tensor.grad(grads).expect("tracked"));
                assert_close(&fast, &slow, &format!("{shape:?} gradient of the {what}"));
            }
            let [fast, slow] = [&fast, &slow].map(|grads| initial.grad(grads).expect("tracked"));
            assert_close(&fast, &slow, &format!("{shape:?} gradient of the initial state"));
        }
    }

    #[test]
    fn without_an_initial_state_it_is_zero() {
        let device = Device::flex();
        let [decay, input] = [(); 2].map(|()| between([2, 5, 3], 0.0, 1.0, &device));
        let (states, last) = diagonal_scan(decay.clone(), input.clone(), None);
        let zeros = diagonal_scan(decay, input, Some(Tensor::zeros([2, 3], &device)));
        assert_close(&states, &zeros.0, "states");
        assert_close(&last, &zeros.1, "last state");
    }
}
