//! The fast forms against the equation, one token at a time.

use super::*;
use crate::testing::random;
use burn::tensor::{Device, Gradients, Int, TensorData, Tolerance};

/// Sums kept as they stand in the equation, in float64.
fn naive(decay: Tensor<1>, bonus: Tensor<1>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
    let [_, length, _] = key.dims();
    let (decay, bonus) = (decay.unsqueeze::<3>(), bonus.unsqueeze::<3>());
    let mut outputs = Vec::new();
    for to in 0..length {
        let token = |of: &Tensor<3>, at| of.clone().narrow(1, at, 1);
        let weight = (bonus.clone() + token(&key, to)).exp();
        let (mut sum, mut total) = (token(&value, to) * weight.clone(), weight);
        for from in 0..to {
            let weight = (decay.clone() * (to - 1 - from) as f64 + token(&key, from)).exp();
            sum = sum + token(&value, from) * weight.clone();
            total = total + weight;
        }
        outputs.push(sum / total);
    }
    Tensor::cat(outputs, 1)
}

struct Inputs {
    decay: Tensor<1>,
    bonus: Tensor<1>,
    key: Tensor<3>,
    value: Tensor<3>,
}

fn inputs([batch, length, channels]: [usize; 3], device: &Device) -> Inputs {
    let vector = || random([channels], device);
    let tokens = || random([batch, length, channels], device);
    Inputs {
        decay: (-vector().exp()).detach().require_grad(),
        bonus: vector().require_grad(),
        key: (tokens() * 3.0).detach().require_grad(),
        value: tokens().require_grad(),
    }
}

type Form = fn(Tensor<1>, Tensor<1>, Tensor<3>, Tensor<3>, Tensor<3>) -> (Tensor<3>, Tensor<3>);

/// The form that the processor takes, and that of every other device.
const FORMS: [Form; 2] = [wkv, doubling];

/// Tokens through `form` in parts of at most `part`.
fn in_parts(form: Form, inputs: &Inputs, part: usize) -> Tensor<3> {
    let [_, length, _] = inputs.key.dims();
    let mut state = wkv_state(&inputs.key);
    let mut outputs = Vec::new();
    for first in (0..length).step_by(part) {
        let part = |of: &Tensor<3>| of.clone().narrow(1, first, part.min(length - first));
        let (key, value) = (part(&inputs.key), part(&inputs.value));
        let (output, next) = form(inputs.decay.clone(), inputs.bonus.clone(), key, value, state);
        outputs.push(output);
        state = next;
    }
    Tensor::cat(outputs, 1)
}

/// The output, and the gradients of all inputs.
fn outcome(inputs: &Inputs, output: Tensor<3>) -> Vec<TensorData> {
    let weight = Tensor::<1, Int>::arange(0..output.shape().num_elements() as i64, &output.device()).float();
    let gradients = (output.clone() * weight.reshape(output.dims()).sin()).sum().backward();
    vec![
        output.into_data(),
        gradient(&inputs.decay, &gradients),
        gradient(&inputs.bonus, &gradients),
        gradient(&inputs.key, &gradients),
        gradient(&inputs.value, &gradients),
    ]
}

/// Of an input that the output does not depend on, zeros: one token meets no decay.
fn gradient<const D: usize>(of: &Tensor<D>, gradients: &Gradients) -> TensorData {
    of.grad(gradients).unwrap_or_else(|| of.clone().inner().zeros_like()).into_data()
}

#[test]
fn whole_and_in_parts_it_is_the_equation() {
    let device = Device::flex().autodiff();
    for shape in [[1, 1, 1], [2, 2, 3], [1, 7, 33], [3, 12, 40]] {
        let inputs = inputs(shape, &device);
        let Inputs { decay, bonus, key, value } = &inputs;
        let expected = naive(decay.clone(), bonus.clone(), key.clone(), value.clone());
        let expected = outcome(&inputs, expected);
        for (form, part) in FORMS.into_iter().flat_map(|form| [(form, shape[1]), (form, 1), (form, 3)]) {
            let found = outcome(&inputs, in_parts(form, &inputs, part));
            for (found, expected) in found.iter().zip(&expected) {
                found.assert_approx_eq::<f32>(expected, Tolerance::absolute(2e-4).set_relative(2e-4));
            }
        }
    }
}

#[test]
fn exponents_have_no_bound() {
    let device = Device::flex().autodiff();
    let Inputs { decay, bonus, value, .. } = inputs([2, 9, 5], &device);
    for (form, size) in FORMS.into_iter().flat_map(|form| [(form, 1e4), (form, -1e4)]) {
        let key = (value.clone() * size).detach().require_grad();
        let (output, _) = form(decay.clone(), bonus.clone(), key.clone(), value.clone(), wkv_state(&key));
        let gradients = output.clone().sum().backward();
        // A weighted mean never leaves the range of its values.
        let largest = value.clone().abs().max().into_scalar::<f32>();
        assert!(output.abs().max().into_scalar::<f32>() <= largest * 1.000_01);
        for gradient in [key.grad(&gradients), value.grad(&gradients)] {
            let sum = gradient.expect("a gradient").abs().sum().into_scalar::<f32>();
            assert!(sum.is_finite());
        }
    }
}
