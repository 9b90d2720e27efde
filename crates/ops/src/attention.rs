//! The attention function: `softmax(scale · QKᵀ + bias) V`.

use burn::tensor::{Bool, Device, Tensor, activation, assert_shape};

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
    let [batch, heads, queries, width] = query.dims();
    let [_, _, keys, values] = value.dims();
    assert_shape!(key, [batch, heads, keys, width]);
    // Scaling the queries touches fewer values than scaling the scores.
    let query = if scale == 1.0 { query } else { query * scale };
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    let weights = match hidden {
        Some(hidden) => softmax_of_seen(scores, hidden.expand([batch, heads, queries, keys])),
        None => activation::softmax(scores, 3),
    };
    let output = weights.matmul(value);
    assert_shape!(output, [batch, heads, queries, values]);
    output
}

/// The softmax over the last dimension of what is not hidden; zeros where all is.
fn softmax_of_seen(scores: Tensor<4>, hidden: Tensor<4, Bool>) -> Tensor<4> {
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
    use burn::tensor::{Distribution, Tolerance};

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
}
