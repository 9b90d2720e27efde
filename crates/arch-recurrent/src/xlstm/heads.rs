//! Heads: how values are divided among them, and the norm that all memories of xLSTM end in.

use burn::tensor::Tensor;
use burn::tensor::module::layer_norm;

/// Brings what each head reads to mean 0 and variance 1 for itself: `[batch, heads, length, value]` →
/// `[batch, length, heads × value]`.
pub(super) fn head_norm(read: Tensor<4>, epsilon: f64) -> Tensor<3> {
    let [batch, heads, length, size] = read.dims();
    let ones = Tensor::ones([size], (&read.device(), read.dtype()));
    layer_norm(read, ones, None, epsilon).swap_dims(1, 2).reshape([batch, length, heads * size])
}

/// `[batch, length, heads × size]` → `[batch, heads, length, size]`.
pub(super) fn split(heads: usize, projected: Tensor<3>) -> Tensor<4> {
    let [batch, length, width] = projected.dims();
    projected.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
}
