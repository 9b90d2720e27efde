//! Sums of log decays along the tokens, dimension `D − 2`.
//!
//! Each is added up on its own: a difference of two long sums would lose a weak decay behind a strong one.

use burn::tensor::Tensor;

/// `Σ_{s ≤ t} log a_s`.
pub(super) fn through<const D: usize>(log: Tensor<D>) -> Tensor<D> {
    log.cumsum(D - 2)
}

/// `Σ_{s < t} log a_s`.
pub(super) fn before<const D: usize>(log: Tensor<D>) -> Tensor<D> {
    let length = log.dims()[D - 2];
    let first = log.clone().narrow(D - 2, 0, 1).zeros_like();
    if length == 1 {
        return first;
    }
    Tensor::cat(vec![first, log.narrow(D - 2, 0, length - 1)], D - 2).cumsum(D - 2)
}

/// `Σ_{s > t} log a_s`.
pub(super) fn behind<const D: usize>(log: Tensor<D>) -> Tensor<D> {
    before(log.flip([D - 2])).flip([D - 2])
}

/// `tensor` with `value` behind dimension `axis` up to `length`.
pub(super) fn lengthened<const D: usize>(
    tensor: Tensor<D>,
    axis: usize,
    length: usize,
    value: f64,
) -> Tensor<D> {
    let mut shape = tensor.dims();
    if shape[axis] == length {
        return tensor;
    }
    shape[axis] = length - shape[axis];
    let behind = Tensor::full(shape, value, (&tensor.device(), tensor.dtype()));
    Tensor::cat(vec![tensor, behind], axis)
}
