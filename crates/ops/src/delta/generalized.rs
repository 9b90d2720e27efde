//! The delta rule generalized to transitions that are diagonal plus rank one.

use burn::tensor::{Tensor, assert_shape};

use super::Decay;
use super::chunks::{Affine, Chunks};
use super::decay::{Within, decayed};
use super::inverse::unit_lower_inverse;
use super::rule::kept;

/// The generalized delta rule: what is taken out of the state, and where it goes, are free of the key.
///
/// ```text
/// S_t = Diag(d_t) S_{t−1} + b_t (S_{t−1}ᵀ a_t)ᵀ + k_t v_tᵀ
/// o_t = S_tᵀ q_t
/// ```
///
/// Peng et al., RWKV-7, 2025, arXiv:2503.14456, section 4.1, with the state transposed to `[key, value]`. The
/// delta rule itself is a = d ∘ k, b = −β k, and β k in the place of k.
///
/// # Shapes
/// - `query`, `key`: `[batch, heads, length, key]`
/// - `value`: `[batch, heads, length, value]`
/// - `decay`: d `[batch, heads, length, key]`, factors from 0 to 1
/// - `read`, `write`: a and b `[batch, heads, length, key]`
/// - `state`: S before the first token, `[batch, heads, key, value]`; `None`: zeros
/// - result: the outputs `[batch, heads, length, value]`, and the state behind the last token
///
/// # Panics
/// When the shapes do not fit each other, or the length is 0.
pub fn diagonal_plus_low_rank(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    decay: Tensor<4>,
    read: Tensor<4>,
    write: Tensor<4>,
    state: Option<Tensor<4>>,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, heads, length, width] = key.dims();
    for sequence in [&query, &decay, &read, &write] {
        assert_shape!(sequence, [batch, heads, length, width]);
    }
    assert_shape!(value, [batch, heads, length, _]);
    #[cfg(feature = "flex")]
    {
        use crate::flex::{Change, Keeps, MatrixTokens, Rule, matrix_state};
        let tokens = MatrixTokens {
            query: query.clone(),
            key: key.clone(),
            value: value.clone(),
            decay: Some(decay.clone()),
            first: Some(read.clone()),
            second: Some(write.clone()),
            state: state.clone(),
        };
        let rule = Rule { change: Change::RankOne, keeps: Keeps::Shares, reads_before: false };
        if let Some(made) = matrix_state(&tokens, rule) {
            return made;
        }
    }
    in_chunks(query, key, value, decay, read, write, state)
}

/// The form for every device.
pub(super) fn in_chunks(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    decay: Tensor<4>,
    read: Tensor<4>,
    write: Tensor<4>,
    state: Option<Tensor<4>>,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, heads, length, width] = key.dims();
    if let (1, Some(state)) = (length, &state) {
        let taken = read.matmul(state.clone());
        let state = state.clone() * decay.swap_dims(2, 3)
            + write.swap_dims(2, 3) * taken
            + key.swap_dims(2, 3) * value;
        return (query.matmul(state.clone()), state);
    }
    let chunks = Chunks::new([batch, heads, length]);
    let [query, key, value, read, write] =
        [query, key, value, read, write].map(|sequence| chunks.split(sequence, 0.0));

    // Token i reads the state before it, which is what its predecessor would read behind its own change: read one
    // row up, all products are of one kind, and every row is moved down again behind them.
    let above = up(read.clone());
    let decay = Decay::Channel(decay);
    let within = decay.within(&chunks, &[above, query.clone()], &[write.clone(), key.clone()]);
    let Within { from_start, to_end, pairs } = within;
    let [reads_writes, reads_keys, queries_writes, queries_keys] =
        <[Tensor<3>; 4]>::try_from(pairs).expect("two left sequences, two right");
    let before = from_start.as_ref().map(|products| down(products.clone(), 1.0));

    // What is taken out, x_i = S_{i−1}ᵀ a_i, depends on what was before it in the chunk as
    //   x_i = S₀ᵀ (a_i Π d) + Σ_{j<i} reads_keys_ij v_j + Σ_{j<i} reads_writes_ij x_j.
    let inverse = unit_lower_inverse(down(reads_writes, 0.0).neg());
    let taken = inverse.clone().matmul(down(reads_keys, 0.0).matmul(value.clone()));
    let from_state = inverse.matmul(decayed(read, &before));

    let last_writes = decayed(write, &to_end).swap_dims(1, 2);
    let last_keys = decayed(key, &to_end).swap_dims(1, 2);
    Affine {
        read: decayed(query, &from_start) + queries_writes.clone().matmul(from_state.clone()),
        outputs: queries_keys.matmul(value.clone()) + queries_writes.matmul(taken.clone()),
        transition: last_writes.clone().matmul(from_state) + kept(width, &last_writes, from_start),
        addition: last_keys.matmul(value) + last_writes.matmul(taken),
    }
    .run(chunks, state)
}

/// Every row of `[chunks, size, width]` one place up; the last is zero.
fn up(rows: Tensor<3>) -> Tensor<3> {
    let [chunks, size, width] = rows.dims();
    let last = Tensor::zeros([chunks, 1, width], (&rows.device(), rows.dtype()));
    if size == 1 { last } else { Tensor::cat(vec![rows.narrow(1, 1, size - 1), last], 1) }
}

/// Every row of `[chunks, size, width]` one place down; the first is `fill`.
fn down(rows: Tensor<3>, fill: f32) -> Tensor<3> {
    let [chunks, size, width] = rows.dims();
    let first = Tensor::full([chunks, 1, width], fill, (&rows.device(), rows.dtype()));
    if size == 1 { first } else { Tensor::cat(vec![first, rows.narrow(1, 0, size - 1)], 1) }
}
