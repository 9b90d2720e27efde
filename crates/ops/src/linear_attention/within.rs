//! What the tokens of one chunk take from each other.

use burn::tensor::{Bool, Tensor};

use super::chunks::Chunks;
use super::{Reading, sums};

/// With one decay for a head, or none: `o_i = Σ_{j ≤ i} exp(Σ_{j < s ≤ i} log a_s) (q_iᵀ k_j) v_j`, as one triangle
/// of scores, `[rows, chunks, size, value]`.
pub(super) fn triangle(chunks: &Chunks) -> Tensor<4> {
    let [rows, count, size, _] = chunks.query.dims();
    let shape = [rows, count, size, size];
    let device = chunks.query.device();
    // Of a square of tokens i by j: those with j > i, and those with j ≥ i.
    let future =
        Tensor::<2, Bool>::tril_mask([size, size], 0, &device).reshape([1, 1, size, size]).expand(shape);
    let scores = chunks.query.clone().matmul(chunks.key.clone().swap_dims(2, 3));
    let scores = match &chunks.decay {
        None => scores.mask_fill(future, 0.0),
        Some(log) => {
            let not_past = Tensor::<2, Bool>::tril_mask([size, size], -1, &device);
            let not_past = not_past.reshape([1, 1, size, size]).expand(shape);
            // Down each column j the decays behind j add up.
            let sums = log.clone().expand(shape).mask_fill(not_past, 0.0).cumsum(2);
            scores * sums.mask_fill(future, f32::NEG_INFINITY).exp()
        }
    };
    scores.matmul(chunks.value.clone())
}

/// With a decay for each channel, `[rows, chunks, size, value]`.
///
/// Channels that fade apart cannot share scores, and the quotient of a decay before i by one before j overflows.
/// But a token i of the second half of a block and j of its first have the boundary b between them:
///
/// ```text
/// exp(Σ_{j < s ≤ i} log a_s) = exp(Σ_{b ≤ s ≤ i} log a_s) · exp(Σ_{j < s < b} log a_s)
/// ```
///
/// Both factors are at most 1, the first belongs to the query and the second to the key. So the second half takes
/// from the first by matrix products, and each half is a smaller block, down to the token itself.
pub(super) fn halves(chunks: &Chunks, log: Tensor<4>) -> Tensor<4> {
    let [_, _, size, _] = chunks.value.dims();
    let mut outputs = match chunks.reading {
        Reading::Behind => (chunks.query.clone() * chunks.key.clone()).sum_dim(3) * chunks.value.clone(),
        Reading::Before => chunks.value.zeros_like(),
    };
    let mut half = size / 2;
    while half > 0 {
        let part = |tensor: &Tensor<4>, second: bool| {
            let [rows, chunks, size, width] = tensor.dims();
            let blocks = tensor.clone().reshape([rows * chunks * size / (2 * half), 2 * half, width]);
            blocks.narrow(1, if second { half } else { 0 }, half)
        };
        let until = match chunks.reading {
            Reading::Behind => sums::through(part(&log, true)),
            Reading::Before => sums::before(part(&log, true)),
        };
        let query = part(&chunks.query, true) * until.exp();
        let key = part(&chunks.key, false) * sums::behind(part(&log, false)).exp();
        let value = part(&chunks.value, false);
        let taken = query.matmul(key.swap_dims(1, 2)).matmul(value);
        let nothing = taken.zeros_like();
        let both = Tensor::cat(vec![nothing, taken], 1);
        outputs = outputs.clone() + both.reshape(outputs.dims());
        half /= 2;
    }
    outputs
}
