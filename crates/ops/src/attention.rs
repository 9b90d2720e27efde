//! The attention function: `softmax(scale · QKᵀ + bias) V`.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, activation, assert_shape, module};

use crate::Visible;

/// `softmax(scale · QKᵀ + bias) V` (Vaswani et al. 2017, arXiv:1706.03762, equation 1, with scale = 1/√d and no
/// bias; Raffel et al. 2020, arXiv:1910.10683, with scale = 1 and a bias by relative position).
///
/// `bias` broadcasts to `[batch, heads, queries, keys]`. A query that sees no key gets zeros.
///
/// The fast form, which takes no bias, compares a few queries at a time with the keys that any of them sees, so that
/// neither scores nor weights are ever stored whole; the backward pass computes the weights again from the sums that
/// were kept (Dao et al. 2022, arXiv:2205.14135). With a window the cost grows linearly with the length.
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
    visible: &Visible,
) -> Tensor<4> {
    let [batch, heads, queries, width] = query.dims();
    let [_, _, keys, values] = value.dims();
    assert_shape!(key, [batch, heads, keys, width]);
    assert_shape!(value, [batch, heads, keys, values]);
    #[cfg(feature = "flex")]
    if bias.is_none()
        && let Some(output) = crate::flex::attention(&query, &key, &value, scale, visible)
    {
        return output;
    }
    let hidden = visible.hidden([queries, keys], &query.device());
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
    use burn::tensor::{DType, Device, Tolerance};

    type Four = (Tensor<4>, Tensor<4>, Tensor<4>, Tensor<4>);

    fn drawn([batch, heads, queries, keys]: [usize; 4], device: &Device) -> Four {
        let normal = |shape: [usize; 4]| random(shape, device);
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
                let given = masked.then(|| mask.clone());
                let visible = Visible { causal, real: given, ..Visible::default() };
                let sees = |example: usize, to: usize, from: usize| {
                    (!masked || real(example, from)) && (!causal || from + queries <= to + keys)
                };
                let expected = naive(&four, 0.6, sees);
                let (query, key, value, bias) = four.clone();
                let found = attention(query, key, value, 0.6, Some(bias), &visible).into_data();
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
        let real = Some(Tensor::<2, Bool>::from_data([[false, true]], &device));
        let visible = Visible { causal: true, real, ..Visible::default() };
        let output = attention(query.clone(), key.clone(), value.clone(), 1.0, None, &visible);
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

    /// Everything; what is no padding; the past; what is near; all of these together, in groups of queries; and a
    /// window without a key that is no padding.
    fn sights([batch, _, queries, keys, ..]: [usize; 6], device: &Device) -> Vec<Visible> {
        let real = |real: &dyn Fn(usize, usize) -> bool| {
            let rows: Vec<bool> = (0..batch * keys).map(|at| real(at / keys, at % keys)).collect();
            Some(Tensor::<1, Bool>::from_data(rows.as_slice(), device).reshape([batch, keys]))
        };
        let some = || real(&|batch, key| key % 3 != batch % 3);
        let all = Visible::default;
        let groups = if queries % 5 == 0 { 5 } else { 1 };
        vec![
            all(),
            Visible { real: some(), ..all() },
            Visible { causal: true, ..all() },
            Visible { causal: true, window: Some(3), ..all() },
            Visible { window: Some(20), groups, ..all() },
            Visible { causal: true, window: Some(40), groups, real: some() },
            Visible { causal: true, window: Some(1), groups: 1, real: real(&|_, key| key % 2 == 0) },
        ]
    }

    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for shape in SHAPES {
            let [batch, heads, queries, keys, width, value_width] = shape;
            for (index, visible) in sights(shape, &device).into_iter().enumerate() {
                let case = format!("{shape:?} sight {index}");
                let hidden = visible.hidden([queries, keys], &device);
                let make = |rows, width| random([batch, heads, rows, width], &device).require_grad();
                let inputs = [make(queries, width), make(keys, width), make(keys, value_width)];
                let [query, key, value] = inputs.clone();
                let fast = attention(query.clone(), key.clone(), value.clone(), 0.7, None, &visible);
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
        assert_close(
            &attention(axes.clone(), axes, value.clone(), 1.0, None, &Visible::default()),
            &value,
            "output",
        );
    }

    #[test]
    fn values_without_a_number_show_it() {
        let device = Device::flex();
        let query = Tensor::<4>::from_floats([[[[1.0], [f32::NAN]]]], &device);
        let key = Tensor::<4>::ones([1, 1, 2, 1], &device);
        let output = attention(query, key.clone(), key, 1.0, None, &Visible::default())
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert!(output[0] == 1.0 && output[1].is_nan());
    }

    #[test]
    fn other_number_types_take_the_composed_form() {
        let device = Device::flex();
        let x = random([2, 2, 5, 4], &device);
        let single = attention(x.clone(), x.clone(), x.clone(), 0.5, None, &Visible::default());
        let x = x.cast(DType::F64);
        let double = attention(x.clone(), x.clone(), x, 0.5, None, &Visible::default());
        assert_eq!(double.dtype(), DType::F64);
        assert_close(&single, &double.cast(DType::F32), "output");
    }
}
