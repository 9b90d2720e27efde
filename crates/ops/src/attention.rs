//! The attention function: `softmax(scale · QKᵀ + bias) V`.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor, activation, assert_shape, module};

/// Which keys each query must not see, true where hidden, of a shape that broadcasts to
/// `[batch, heads, queries, keys]`; `None` where every query sees every key.
///
/// `real`, `[batch, keys]`, is true where a key is no padding. With `causal` the last query stands at the last key
/// and no query sees what comes after it, so that a few new queries behind many old keys see all of those.
///
/// # Panics
/// When a causal query has no key of its own: fewer keys than queries.
pub fn hidden_keys(
    real: Option<&Tensor<2, Bool>>,
    causal: bool,
    [queries, keys]: [usize; 2],
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    let padding = real.map(|real| {
        let [batch, keys] = real.dims();
        real.clone().bool_not().reshape([batch, 1, 1, keys])
    });
    // A single query is the last one and sees every key.
    let future = (causal && queries > 1).then(|| {
        assert!(queries <= keys, "{queries} causal queries, but {keys} keys");
        let future = Tensor::<2, Bool>::tril_mask([queries, keys], (keys - queries) as i64, device);
        future.reshape([1, 1, queries, keys])
    });
    match (padding, future) {
        (Some(padding), Some(future)) => {
            let shape = [padding.dims()[0], 1, queries, keys];
            Some(padding.expand(shape).bool_or(future.expand(shape)))
        }
        (padding, future) => padding.or(future),
    }
}

/// `softmax(scale · QKᵀ + bias) V` (Vaswani et al. 2017, arXiv:1706.03762, equation 1, with scale = 1/√d and no
/// bias; Raffel et al. 2020, arXiv:1910.10683, with scale = 1 and a bias by relative position).
///
/// `bias` and `hidden` broadcast to `[batch, heads, queries, keys]`; a key is not seen where `hidden` is true, and a
/// query that sees no key gets zeros.
///
/// The fast form, which takes no bias, compares a few queries at a time with the keys that any of them sees, so that
/// neither scores nor weights are ever stored whole; the backward pass computes the weights again from the sums that
/// were kept (Dao et al. 2022, arXiv:2205.14135).
///
/// # Shapes
/// `[batch, heads, queries, width]`, `[batch, heads, keys, width]`, `[batch, heads, keys, values]` →
/// `[batch, heads, queries, values]`.
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    scale: f64,
    bias: Option<Tensor<4>>,
    hidden: Option<Tensor<4, Bool>>,
) -> Tensor<4> {
    let [batch, heads, _, width] = query.dims();
    let [_, _, keys, values] = value.dims();
    assert_shape!(key, [batch, heads, keys, width]);
    assert_shape!(value, [batch, heads, keys, values]);
    #[cfg(feature = "flex")]
    if bias.is_none()
        && let Some(output) = crate::flex::attention(&query, &key, &value, scale, hidden.as_ref())
    {
        return output;
    }
    // burn's own attention is one pass on some devices, but only without a gradient; where keys are hidden its
    // backends do not agree on the shape that a mask may have.
    if bias.is_none() && hidden.is_none() && !query.device().is_autodiff() {
        let options = AttentionModuleOptions { scale: Some(scale), ..AttentionModuleOptions::default() };
        return module::attention(query, key, value, None, None, options);
    }
    composed(query, key, value, scale, bias, hidden)
}

/// The same of burn's operations.
fn composed(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    scale: f64,
    bias: Option<Tensor<4>>,
    hidden: Option<Tensor<4, Bool>>,
) -> Tensor<4> {
    // Scaling the queries touches fewer values than scaling the scores.
    let query = if scale == 1.0 { query } else { query * scale };
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    masked_softmax(scores, hidden).matmul(value)
}

/// The softmax over the last dimension of `scores` `[batch, heads, queries, keys]`, of those that are not `hidden`;
/// zeros where all are. `hidden` broadcasts to the scores.
pub fn masked_softmax(scores: Tensor<4>, hidden: Option<Tensor<4, Bool>>) -> Tensor<4> {
    let Some(hidden) = hidden else {
        return activation::softmax(scores, 3);
    };
    let hidden = hidden.expand(scores.dims());
    let scores = scores.mask_fill(hidden, f32::NEG_INFINITY);
    // Where all is hidden the maximum is −∞ and the sum 0; held above that, the row becomes zeros instead of 0/0.
    // Shifting by the maximum changes no weight, so no gradient passes through it.
    let limits = scores.dtype().finfo().expect("scores are floats");
    let largest = scores.clone().detach().max_dim(3).clamp_min(limits.min);
    let exponents = (scores - largest).exp();
    let sum = exponents.clone().sum_dim(3).clamp_min(limits.min_positive);
    exponents / sum
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, random};
    use burn::tensor::{DType, Distribution, Tolerance};

    type Four = (Tensor<4>, Tensor<4>, Tensor<4>, Tensor<4>);

    fn drawn([batch, heads, queries, keys]: [usize; 4], device: &Device) -> Four {
        let normal = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), device);
        (
            normal([batch, heads, queries, 3]),
            normal([batch, heads, keys, 3]),
            normal([batch, heads, keys, 2]),
            normal([1, heads, queries, keys]),
        )
    }

    /// One query of one head at a time, over the keys that it sees.
    fn naive(
        (query, key, value, bias): &Four,
        scale: f32,
        sees: impl Fn(usize, usize, usize) -> bool,
    ) -> Vec<f32> {
        let list = |tensor: &Tensor<4>| tensor.to_data().try_to_vec::<f32>().unwrap();
        let ([batch, heads, queries, _], keys) = (query.dims(), key.dims()[2]);
        let (q, k, v, b) = (list(query), list(key), list(value), list(bias));
        let mut outputs = Vec::new();
        for (example, head, to) in (0..batch)
            .flat_map(|example| (0..heads).map(move |head| (example, head)))
            .flat_map(|(example, head)| (0..queries).map(move |to| (example, head, to)))
        {
            let plane = example * heads + head;
            let weight = |from: usize| {
                let product: f32 = (0..3)
                    .map(|at| q[(plane * queries + to) * 3 + at] * k[(plane * keys + from) * 3 + at])
                    .sum();
                (scale * product + b[(head * queries + to) * keys + from]).exp()
            };
            let seen: Vec<usize> = (0..keys).filter(|from| sees(example, to, *from)).collect();
            let sum: f32 = seen.iter().map(|from| weight(*from)).sum();
            outputs.extend((0..2).map(|at| {
                let taken = seen.iter().map(|from| weight(*from) * v[(plane * keys + from) * 2 + at]);
                if seen.is_empty() { 0.0 } else { taken.sum::<f32>() / sum }
            }));
        }
        outputs
    }

    #[test]
    fn outputs_are_those_of_the_equation() {
        let device = Device::flex();
        device.seed(4);
        for ([batch, heads, queries, keys], causal) in
            [([2, 3, 4, 4], true), ([1, 2, 2, 5], true), ([3, 1, 4, 2], false), ([2, 2, 1, 3], true)]
        {
            let four = drawn([batch, heads, queries, keys], &device);
            // The last example is padding alone, the others have one padded key.
            let real = |example: usize, key: usize| example + 1 < batch && key != example;
            let rows: Vec<bool> = (0..batch * keys).map(|at| real(at / keys, at % keys)).collect();
            let mask =
                Tensor::<2, Bool>::from_data(burn::tensor::TensorData::new(rows, [batch, keys]), &device);
            for masked in [false, true] {
                let hidden = hidden_keys(masked.then_some(&mask), causal, [queries, keys], &device);
                let sees = |example: usize, to: usize, from: usize| {
                    (!masked || real(example, from)) && (!causal || from + queries <= to + keys)
                };
                let expected = naive(&four, 0.6, sees);
                let (query, key, value, bias) = four.clone();
                let found = attention(query, key, value, 0.6, Some(bias), hidden).into_data();
                let expected = burn::tensor::TensorData::new(expected, [batch, heads, queries, 2]);
                found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
            }
        }
    }

    #[test]
    fn a_query_that_sees_nothing_gets_zeros_and_leaves_finite_gradients() {
        let device = Device::flex().autodiff();
        let (query, key, value, _) = drawn([1, 1, 2, 2], &device);
        let [query, key, value] = [query, key, value].map(Tensor::require_grad);
        let hidden = Tensor::<4, Bool>::from_data([[[[true, true], [false, true]]]], &device);
        let output = attention(query.clone(), key.clone(), value.clone(), 1.0, None, Some(hidden));
        let first = output.clone().narrow(2, 0, 1).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(first, [0.0, 0.0]);
        let gradients = output.sum().backward();
        for tensor in [query, key, value] {
            let gradient = tensor.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
            assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
        }
    }

    /// Batch, heads, queries, keys, width and value width.
    const SHAPES: [[usize; 6]; 7] = [
        [1, 1, 1, 1, 1, 1],
        [2, 3, 5, 5, 4, 4],
        [3, 2, 49, 49, 16, 16],
        [1, 2, 70, 70, 8, 24],
        [2, 1, 3, 40, 17, 5],
        [1, 4, 33, 100, 32, 32],
        [2, 2, 1, 64, 20, 20],
    ];

    /// Nothing hidden; padding; the future; a window of three; padding that leaves some query without a key.
    fn masks([batch, heads, queries, keys, ..]: [usize; 6], device: &Device) -> Vec<Option<Tensor<4, Bool>>> {
        let mask = |[batches, heads, queries]: [usize; 3],
                    hidden: &dyn Fn(usize, usize, usize, usize) -> bool| {
            let mut values = Vec::new();
            for batch in 0..batches {
                for head in 0..heads {
                    for query in 0..queries {
                        values.extend((0..keys).map(|key| hidden(batch, head, query, key)));
                    }
                }
            }
            let flat = Tensor::<1, Bool>::from_data(values.as_slice(), device);
            Some(flat.reshape([batches, heads, queries, keys]))
        };
        // The last query stands at the last key.
        let past = |query: usize, key: usize| key + queries <= query + keys;
        vec![
            None,
            mask([batch, 1, 1], &|batch, _, _, key| key % 3 == batch % 3),
            mask([1, 1, queries], &|_, _, query, key| !past(query, key)),
            mask([1, 1, queries], &|_, _, query, key| !past(query, key) || past(query, key + 3)),
            mask([batch, heads, queries], &|batch, head, query, key| {
                (batch + head + query) % 2 == 0 || key % 2 == 1
            }),
        ]
    }

    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for shape in SHAPES {
            let [batch, heads, queries, keys, width, value_width] = shape;
            for (index, hidden) in masks(shape, &device).into_iter().enumerate() {
                let case = format!("{shape:?} mask {index}");
                let make = |rows, width| random([batch, heads, rows, width], &device).require_grad();
                let inputs = [make(queries, width), make(keys, width), make(keys, value_width)];
                let [query, key, value] = inputs.clone();
                let fast = attention(query.clone(), key.clone(), value.clone(), 0.7, None, hidden.clone());
                let slow = composed(query, key, value, 0.7, None, hidden);
                assert_close(&fast, &slow, &case);
                let upstream = random(fast.dims(), &device);
                let grads = [fast, slow].map(|output| gradient(output, &upstream));
                for (input, name) in inputs.iter().zip(["query", "key", "value"]) {
                    let [fast, slow] = grads.each_ref().map(|grads| input.grad(grads).expect("tracked"));
                    assert_close(&fast, &slow, &format!("{case} gradient of {name}"));
                }
            }
        }
    }

    #[test]
    fn large_scores_stay_finite() {
        let device = Device::flex();
        let axes = Tensor::<2>::eye(4, &device).reshape([1, 1, 4, 4]) * 1e10;
        let value = random([1, 1, 4, 3], &device);
        // Each query is by far nearest to its own key.
        assert_close(&attention(axes.clone(), axes, value.clone(), 1.0, None, None), &value, "output");
    }

    #[test]
    fn values_without_a_number_show_it() {
        let device = Device::flex();
        let query = Tensor::<4>::from_floats([[[[1.0], [f32::NAN]]]], &device);
        let key = Tensor::<4>::ones([1, 1, 2, 1], &device);
        let output =
            attention(query, key.clone(), key, 1.0, None, None).into_data().try_to_vec::<f32>().unwrap();
        assert!(output[0] == 1.0 && output[1].is_nan());
    }

    #[test]
    fn other_number_types_take_the_composed_form() {
        let device = Device::flex();
        let x = random([2, 2, 5, 4], &device);
        let single = attention(x.clone(), x.clone(), x.clone(), 0.5, None, None);
        let x = x.cast(DType::F64);
        let double = attention(x.clone(), x.clone(), x, 0.5, None, None);
        assert_eq!(double.dtype(), DType::F64);
        assert_close(&single, &double.cast(DType::F32), "output");
    }
}
