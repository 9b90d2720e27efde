//! The matrix memory of xLSTM.

use burn::tensor::{Tensor, assert_shape};

use crate::{LinearAttention, LogDecay};

/// What the matrix memory holds between tokens. It is stabilized: the true memory is `exp(maximum)` times this one.
#[derive(Debug, Clone)]
pub struct MatrixMemory {
    /// C beside n, `[batch, heads, key, value + 1]`: the normalizer n is the memory of a further value that is
    /// always 1, so one recurrence serves both.
    pub memory: Tensor<4>,
    /// m `[batch, heads]`: the logarithm of the largest weight that anything in the memory would have.
    pub maximum: Tensor<2>,
}

/// What one pass over some tokens needs.
#[derive(Debug, Clone)]
pub struct MatrixMemoryInputs {
    /// q `[batch, heads, length, key]`.
    pub query: Tensor<4>,
    /// k `[batch, heads, length, key]`.
    pub key: Tensor<4>,
    /// v `[batch, heads, length, value]`.
    pub value: Tensor<4>,
    /// ĩ `[batch, heads, length]`: the logarithm of the input gate. Of padding: −∞ or a very negative number.
    pub input: Tensor<3>,
    /// log f `[batch, heads, length]`, at most 0: the logarithm of the forget gate. Of padding: 0.
    pub forget: Tensor<3>,
}

/// `exp(−m)` stays finite up to here. Where the largest weight of all is below `exp(−80)`, the output is nothing anyway.
const LARGEST_EXPONENT: f64 = 80.0;

impl MatrixMemory {
    /// The empty memory, with the maximum 0 that the published networks begin with.
    pub fn empty(inputs: &MatrixMemoryInputs) -> Self {
        let ([batch, heads, _, key], [_, _, _, value]) = (inputs.query.dims(), inputs.value.dims());
        let options = (&inputs.query.device(), inputs.query.dtype());
        Self {
            memory: Tensor::zeros([batch, heads, key, value + 1], options),
            maximum: Tensor::zeros([batch, heads], options),
        }
    }
}

/// Reads a matrix memory that every token writes to: mLSTM, Beck et al., xLSTM, 2024, arXiv:2405.04517, equations 19
/// to 27, with the exponential gates stabilized as in its equation 15.
///
/// ```text
/// m' = max(log f + m, ĩ)
/// C' = exp(log f + m − m') C + exp(ĩ − m') v kᵀ
/// n' = exp(log f + m − m') n + exp(ĩ − m') k
/// h  = C' q / (max(|n'ᵀ q|, exp(−m')) + ε)            q = query / √key
/// ```
///
/// All m' come first, from sums and largest values along the tokens: with `b` the sum of log f from the first token on,
/// `m' = b + max(m, max_{s ≤ t} (ĩ_s − b_s))`. What is left is [`LinearAttention`] with a decay for each head. A sum
/// over many tokens has lost digits, but C', n' and exp(−m') hold the same m', which so cancels in h, whatever it is.
///
/// Returns h `[batch, heads, length, value]` and the memory behind the last token.
///
/// # Panics
/// When the shapes do not fit each other.
pub fn matrix_memory(
    inputs: MatrixMemoryInputs,
    before: Option<MatrixMemory>,
    epsilon: f64,
) -> (Tensor<4>, MatrixMemory) {
    let ([batch, heads, length, key], [_, _, _, value]) = (inputs.query.dims(), inputs.value.dims());
    assert_shape!(inputs.key, [batch, heads, length, key]);
    assert_shape!(inputs.value, [batch, heads, length, value]);
    assert_shape!(inputs.input, [batch, heads, length]);
    assert_shape!(inputs.forget, [batch, heads, length]);
    let before = before.unwrap_or_else(|| MatrixMemory::empty(&inputs));
    assert_shape!(before.memory, [batch, heads, key, value + 1]);
    let MatrixMemoryInputs { query, key: keys, value: values, input, forget } = inputs;
    let summed = forget.clone().cumsum(2);
    let earlier = before.maximum.unsqueeze_dim::<3>(2);
    let largest = (input.clone() - summed.clone()).cummax(2);
    let maximum = largest.max_pair(earlier.clone().expand([batch, heads, length])) + summed;
    let shifted = Tensor::cat(vec![earlier, maximum.clone()], 2).narrow(2, 0, length);
    let written = (input - maximum.clone()).exp().unsqueeze_dim::<4>(3);
    let ones = Tensor::ones([batch, heads, length, 1], (&values.device(), values.dtype()));
    let (read, memory) = LinearAttention {
        query: query * (key as f64).powf(-0.5),
        key: keys * written,
        value: Tensor::cat(vec![values, ones], 3),
        decay: LogDecay::Head(forget + shifted - maximum.clone()),
        bonus: None,
        state: Some(before.memory),
    }
    .run();
    let normalizer = read.clone().narrow(3, value, 1).abs();
    let smallest = maximum.clone().neg().clamp_max(LARGEST_EXPONENT).exp().unsqueeze_dim::<4>(3);
    let output = read.narrow(3, 0, value) / (normalizer.max_pair(smallest) + epsilon);
    let maximum = maximum.narrow(2, length - 1, 1).squeeze_dim(2);
    (output, MatrixMemory { memory, maximum })
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::assert_close;
    use burn::tensor::{DType, Device, activation};

    const EPSILON: f64 = 1e-6;

    /// The equations, a token at a time.
    fn naive(inputs: MatrixMemoryInputs, before: Option<MatrixMemory>) -> (Tensor<4>, MatrixMemory) {
        let ([batch, heads, length, key], [_, _, _, value]) = (inputs.query.dims(), inputs.value.dims());
        let state = before.unwrap_or_else(|| MatrixMemory::empty(&inputs));
        let mut memory = state.memory.clone().narrow(3, 0, value);
        let mut normalizer = state.memory.narrow(3, value, 1);
        let mut maximum = state.maximum.reshape([batch, heads, 1, 1]);
        let mut outputs = Vec::new();
        for time in 0..length {
            let row = |of: &Tensor<4>| of.clone().narrow(2, time, 1);
            let gate = |of: &Tensor<3>| of.clone().narrow(2, time, 1).unsqueeze_dim::<4>(3);
            let query = row(&inputs.query) * (key as f64).powf(-0.5);
            let (key, value) = (row(&inputs.key).swap_dims(2, 3), row(&inputs.value));
            let (input, forget) = (gate(&inputs.input), gate(&inputs.forget) + maximum);
            maximum = forget.clone().max_pair(input.clone());
            let (input, forget) = ((input - maximum.clone()).exp(), (forget - maximum.clone()).exp());
            memory = memory * forget.clone() + key.clone().matmul(value) * input.clone();
            normalizer = normalizer * forget + key * input;
            let scale = query.clone().matmul(normalizer.clone()).abs().max_pair(maximum.clone().neg().exp());
            outputs.push(query.matmul(memory.clone()) / (scale + EPSILON));
        }
        let memory = Tensor::cat(vec![memory, normalizer], 3);
        (Tensor::cat(outputs, 2), MatrixMemory { memory, maximum: maximum.reshape([batch, heads]) })
    }

    fn random<const D: usize>(shape: [usize; D], options: (&Device, DType)) -> Tensor<D> {
        crate::testing::random(shape, options.0).cast(options.1)
    }

    fn inputs(
        [batch, heads, length, key, value]: [usize; 5],
        options: (&Device, DType),
    ) -> MatrixMemoryInputs {
        MatrixMemoryInputs {
            query: random([batch, heads, length, key], options).require_grad(),
            key: random([batch, heads, length, key], options).require_grad(),
            value: random([batch, heads, length, value], options).require_grad(),
            input: (random([batch, heads, length], options) * 4.0).require_grad(),
            forget: activation::log_sigmoid(random([batch, heads, length], options) * 3.0 + 2.0)
                .detach()
                .require_grad(),
        }
    }

    #[test]
    fn the_fast_form_has_the_outputs_and_gradients_of_the_equations() {
        let device = Device::flex().autodiff();
        // Where the normalizer comes near 0 the output is large, and any rounding is seen in it.
        let options = (&device, DType::F64);
        for shape in [[1, 1, 1, 1, 1], [2, 3, 7, 4, 5], [1, 2, 64, 3, 2], [2, 1, 137, 4, 6]] {
            let [batch, heads, length, key, value] = shape;
            let inputs = inputs(shape, options);
            let before = MatrixMemory {
                memory: random([batch, heads, key, value + 1], options).require_grad(),
                maximum: random([batch, heads], options).require_grad(),
            };
            let upstream = random([batch, heads, length, value], options);
            let of_memory = random([batch, heads, key, value + 1], options);
            let run = |(output, after): (Tensor<4>, MatrixMemory)| {
                let loss = (output.clone() * upstream.clone()).sum()
                    + (after.memory.clone() * of_memory.clone()).sum()
                    + after.maximum.clone().sum();
                (output, after, loss.backward())
            };
            let fast = run(matrix_memory(inputs.clone(), Some(before.clone()), EPSILON));
            let slow = run(naive(inputs.clone(), Some(before.clone())));
            assert_close(&fast.0, &slow.0, &format!("{shape:?} output"));
            assert_close(&fast.1.memory, &slow.1.memory, &format!("{shape:?} memory"));
            assert_close(&fast.1.maximum, &slow.1.maximum, &format!("{shape:?} maximum"));
            let tensors = [
                ("query", &inputs.query),
                ("key", &inputs.key),
                ("value", &inputs.value),
                ("memory", &before.memory),
            ];
            for (name, tensor) in tensors {
                let [fast, slow] = [&fast.2, &slow.2].map(|all| tensor.grad(all).expect("tracked"));
                assert_close(&fast, &slow, &format!("{shape:?} gradient of the {name}"));
            }
            for (name, tensor) in [("input gate", &inputs.input), ("forget gate", &inputs.forget)] {
                let [fast, slow] = [&fast.2, &slow.2].map(|all| tensor.grad(all).expect("tracked"));
                assert_close(&fast, &slow, &format!("{shape:?} gradient of the {name}"));
            }
        }
    }

    #[test]
    fn gates_of_any_size_stay_finite() {
        let device = Device::flex().autodiff();
        for size in [-1e4, 1e4] {
            let mut inputs = inputs([1, 2, 70, 3, 3], (&device, DType::F32));
            inputs.input = Tensor::full([1, 2, 70], size, &device).require_grad();
            inputs.forget = Tensor::full([1, 2, 70], -1e4, &device).require_grad();
            let (output, _) = matrix_memory(inputs.clone(), None, EPSILON);
            let gradients = output.clone().sum().backward();
            for tensor in [
                output.inner().flatten::<1>(0, 3),
                inputs.input.grad(&gradients).expect("tracked").flatten(0, 2),
            ] {
                assert!(tensor.into_data().iter::<f32>().all(f32::is_finite), "gates of {size}");
            }
        }
    }
}
