//! The attention function itself: `softmax(QKᵀ/√d) V`, Vaswani et al. 2017, equation 1.

use burn::nn::Dropout;
use burn::tensor::module::attention;
use burn::tensor::{Bool, Device, Tensor, activation};

/// Which keys each query must not see, or `None` where it sees all: broadcasts to
/// `[batch, heads, group × queries, keys]`, true where hidden.
///
/// The last query stands at the last key, so that a few new queries behind many old keys see all of those.
pub(crate) fn hidden(
    mask: Option<&Tensor<2, Bool>>,
    causal: bool,
    [group, queries, keys]: [usize; 3],
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    let padding = mask.map(|real| {
        let [batch, keys] = real.dims();
        real.clone().bool_not().reshape([batch, 1, 1, keys])
    });
    // A single query is the last one and sees every key.
    let future = (causal && queries > 1).then(|| {
        let offset = (keys - queries) as i64;
        let future = Tensor::<2, Bool>::tril_mask([queries, keys], offset, device);
        let rows = if group == 1 { future } else { future.repeat_dim(0, group) };
        rows.reshape([1, 1, group * queries, keys])
    });
    match (padding, future) {
        (Some(padding), Some(future)) => {
            let shape = [padding.dims()[0], 1, group * queries, keys];
            Some(padding.expand(shape).bool_or(future.expand(shape)))
        }
        (padding, future) => padding.or(future),
    }
}

/// The weights `softmax(QKᵀ/√d)`, `[batch, heads, queries, keys]`. A query that sees no key gets zeros.
pub(crate) fn weights(query: Tensor<4>, key: Tensor<4>, hidden: Option<Tensor<4, Bool>>) -> Tensor<4> {
    let [batch, heads, queries, width] = query.dims();
    let [_, _, keys, _] = key.dims();
    // Scaling the queries touches fewer values than scaling the scores.
    let scores = (query * (width as f64).powf(-0.5)).matmul(key.swap_dims(2, 3));
    let Some(hidden) = hidden else {
        return activation::softmax(scores, 3);
    };
    let scores = scores.mask_fill(hidden.expand([batch, heads, queries, keys]), f32::NEG_INFINITY);
    // Where all keys are hidden the maximum is −∞ and the sum 0; held above that, the row becomes zeros
    // instead of 0/0. Shifting by the maximum changes no weight, so no gradient passes through it.
    let limits = scores.dtype().finfo().expect("scores are floats");
    let largest = scores.clone().detach().max_dim(3).clamp_min(limits.min);
    let exponents = (scores - largest).exp();
    let sum = exponents.clone().sum_dim(3).clamp_min(limits.min_positive);
    exponents / sum
}

/// `softmax(QKᵀ/√d) V`, `[batch, heads, queries, width]`.
pub(crate) fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden: Option<Tensor<4, Bool>>,
    dropout: &Dropout,
) -> Tensor<4> {
    // burn's own attention is one pass on the CPU, but only without a gradient; where tokens are hidden its
    // backends do not agree on the shape that a mask may have.
    if hidden.is_none() && !query.device().is_autodiff() {
        return attention(query, key, value, None, None, Default::default());
    }
    dropout.forward(weights(query, key, hidden)).matmul(value)
}
