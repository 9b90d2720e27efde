//! The delta rule.

use burn::tensor::{Tensor, assert_shape};

use super::Decay;
use super::chunks::{Affine, Chunks};
use super::decay::{Within, decayed};
use super::inverse::unit_lower_inverse;

/// The delta rule, with or without decay: the state S `[key, value]` of a head answers a key with a value; each token
/// lets it forget a little, and then corrects its answer to the token's key by a share β of what it is wrong by.
///
/// ```text
/// S'_t = Diag(d_t) S_{t−1}
/// S_t  = S'_t + k_t (β_t (v_t − S'_tᵀ k_t))ᵀ
/// o_t  = S_tᵀ q_t
/// ```
///
/// Schlag et al. 2021, arXiv:2102.11174, section 4.2; in chunks: Yang et al. 2024, arXiv:2406.06484, section 3; with a
/// decay for each head: Yang et al., Gated Delta Networks, 2024, arXiv:2412.06464, equation 10; for each channel: Kimi
/// Linear, 2025, arXiv:2510.26692, equation 1. Queries are taken as they are: scale them before.
///
/// # Shapes
/// - `query`, `key`: `[batch, heads, length, key]`
/// - `value`: `[batch, heads, length, value]`
/// - `strength`: β `[batch, heads, length]`; 0 leaves the state alone, 1 makes its answer exact for a key of length 1
/// - `state`: S before the first token, `[batch, heads, key, value]`; `None`: zeros
/// - result: the outputs `[batch, heads, length, value]`, and the state behind the last token
///
/// # Panics
/// When the shapes do not fit each other, or the length is 0.
pub fn delta_rule(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    strength: Tensor<3>,
    decay: Decay,
    state: Option<Tensor<4>>,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, heads, length, width] = key.dims();
    assert_shape!(query, [batch, heads, length, width]);
    assert_shape!(value, [batch, heads, length, _]);
    assert_shape!(strength, [batch, heads, length]);
    let strength = strength.unsqueeze_dim(3);
    #[cfg(feature = "flex")]
    if let Some(made) = on_flex([&query, &key, &value, &strength], &decay, state.as_ref()) {
        return made;
    }
    in_chunks(query, key, value, strength, decay, state)
}

/// By the kernel, where it takes these tensors.
#[cfg(feature = "flex")]
fn on_flex(
    [query, key, value, strength]: [&Tensor<4>; 4],
    decay: &Decay,
    state: Option<&Tensor<4>>,
) -> Option<(Tensor<4>, Tensor<4>)> {
    use crate::flex::{Change, Keeps, MatrixTokens, Rule, matrix_state};
    let decay = match decay {
        Decay::None => None,
        Decay::Head(factors) => Some(factors.clone().unsqueeze_dim(3)),
        Decay::Channel(factors) => Some(factors.clone()),
    };
    let keeps = if decay.is_some() { Keeps::Shares } else { Keeps::All };
    let tokens = MatrixTokens {
        query: query.clone(),
        key: key.clone(),
        value: value.clone(),
        decay,
        first: Some(strength.clone()),
        second: None,
        state: state.cloned(),
    };
    matrix_state(&tokens, Rule { change: Change::Correction, keeps, reads_before: false })
}

/// The form for every device; `strength` is `[batch, heads, length, 1]`.
pub(super) fn in_chunks(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    strength: Tensor<4>,
    decay: Decay,
    state: Option<Tensor<4>>,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, heads, length, width] = key.dims();
    if let (1, Some(state)) = (length, &state) {
        return step(query, key, value, strength, decay, state.clone());
    }
    let chunks = Chunks::new([batch, heads, length]);
    let (query, key) = (chunks.split(query, 0.0), chunks.split(key, 0.0));
    let strength = chunks.split(strength, 0.0);
    let value = chunks.split(value, 0.0) * strength.clone();
    let within = decay.within(&chunks, &[key.clone(), query.clone()], std::slice::from_ref(&key));
    let Within { from_start, to_end, pairs } = within;
    let [keys, queries] = <[Tensor<3>; 2]>::try_from(pairs).expect("two left sequences, one right");

    // The corrections u_i = β_i (v_i − S'_iᵀ k_i) of a chunk depend on each other as
    //   u_i + β_i Σ_{j<i} keys_ij u_j = β_i (v_i − S₀ᵀ (k_i Π d)),   U = (I + L)⁻¹ (β V − β K̃ S₀).
    let inverse = unit_lower_inverse((keys * strength.clone()).tril(-1));
    let corrections = inverse.clone().matmul(value);
    let forgotten = inverse.matmul(decayed(key.clone(), &from_start) * strength).neg();

    let last = decayed(key, &to_end).swap_dims(1, 2);
    Affine {
        read: decayed(query, &from_start) + queries.clone().matmul(forgotten.clone()),
        outputs: queries.matmul(corrections.clone()),
        transition: last.clone().matmul(forgotten) + kept(width, &last, from_start),
        addition: last.matmul(corrections),
    }
    .run(chunks, state)
}

/// What a chunk leaves of the state without any correction, `Diag(Π d)`: broadcasts to `[chunks, key, key]`.
pub(super) fn kept(key: usize, like: &Tensor<3>, from_start: Option<Tensor<3>>) -> Tensor<3> {
    let identity = Tensor::<2>::eye(key, &like.device()).cast(like.dtype()).unsqueeze::<3>();
    match from_start {
        Some(from_start) => {
            let [_, size, _] = from_start.dims();
            identity * from_start.narrow(1, size - 1, 1)
        }
        None => identity,
    }
}

/// The equation itself, for one token.
fn step(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    strength: Tensor<4>,
    decay: Decay,
    state: Tensor<4>,
) -> (Tensor<4>, Tensor<4>) {
    let state = forget(state, decay);
    let correction = (value - key.clone().matmul(state.clone())) * strength;
    let state = state + key.swap_dims(2, 3) * correction;
    (query.matmul(state.clone()), state)
}

/// `Diag(d) S` for the one token of `decay`.
fn forget(state: Tensor<4>, decay: Decay) -> Tensor<4> {
    match decay {
        Decay::None => state,
        Decay::Head(factor) => state * factor.unsqueeze_dim(3),
        Decay::Channel(factor) => state * factor.swap_dims(2, 3),
    }
}
