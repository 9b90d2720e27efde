//! Recurrences of a matrix for each head, token by token.

use burn::tensor::Tensor;

/// `S_t = Diag(e^{w_t}) S_{t−1} + k_t v_tᵀ`, read as `(S_{t−1} + Diag(u) k_t v_tᵀ)ᵀ q_t`.
pub(crate) fn decayed_with_bonus(
    [query, key, value, log_decay]: [Tensor<4>; 4],
    bonus: Tensor<2>,
    state: Option<Tensor<4>>,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, heads, length, width] = key.dims();
    let column = |of: &Tensor<4>, t| of.clone().narrow(2, t, 1).reshape([batch, heads, width, 1]);
    let bonus = bonus.reshape([1, heads, width, 1]);
    let mut state = state.unwrap_or_else(|| (column(&key, 0) * value.clone().narrow(2, 0, 1)).zeros_like());
    let mut outputs = Vec::new();
    for t in 0..length {
        let added = column(&key, t) * value.clone().narrow(2, t, 1);
        let read = state.clone() + added.clone() * bonus.clone();
        outputs.push((column(&query, t) * read).sum_dim(2));
        state = column(&log_decay, t).exp() * state + added;
    }
    (Tensor::cat(outputs, 2), state)
}
