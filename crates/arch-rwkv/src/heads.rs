//! Tokens divided among heads.

use burn::tensor::Tensor;

/// `[batch, length, heads × width]` → `[batch, heads, length, width]`.
pub(crate) fn split(tokens: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, length, width] = tokens.dims();
    tokens.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
}

/// `[batch, heads, length, width]` → `[batch, length, heads × width]`.
pub(crate) fn join(tokens: Tensor<4>) -> Tensor<3> {
    let [batch, heads, length, width] = tokens.dims();
    tokens.swap_dims(1, 2).reshape([batch, length, heads * width])
}
