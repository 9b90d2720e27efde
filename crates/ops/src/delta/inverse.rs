//! The inverse of unit lower triangular matrices.

use burn::tensor::Tensor;

/// `(I + L)⁻¹` for strictly lower triangular L `[batch, size, size]`, the size a power of two.
///
/// ```text
/// ⎡A 0⎤⁻¹   ⎡    A⁻¹       0 ⎤
/// ⎣B C⎦   = ⎣−C⁻¹ B A⁻¹   C⁻¹⎦
/// ```
///
/// down to single rows, all blocks of a size at once: as exact as forward substitution, in matrix products. The
/// series I − L + L² − … is shorter, but its powers grow beyond what their sum leaves of them.
///
/// The gradient is that of the inverse itself, −Tᵀ G Tᵀ, without a way back through the blocks: T is found outside
/// of it, and one step of Newton's iteration, T − T ((I + L) T − I), joins it to L; the step also takes away most of
/// the rounding.
pub(super) fn unit_lower_inverse(lower: Tensor<3>) -> Tensor<3> {
    if !lower.device().is_autodiff() {
        return by_blocks(lower);
    }
    let inverse = Tensor::from_inner(by_blocks(lower.clone().inner()));
    let [_, size, _] = lower.dims();
    let identity = Tensor::<2>::eye(size, &lower.device()).cast(lower.dtype()).unsqueeze::<3>();
    let residual = lower.matmul(inverse.clone()) + inverse.clone() - identity;
    inverse.clone() - inverse.matmul(residual)
}

fn by_blocks(lower: Tensor<3>) -> Tensor<3> {
    let [batch, size, _] = lower.dims();
    if size == 1 {
        return lower.ones_like();
    }
    let half = size / 2;
    let block =
        |row: usize, column: usize| lower.clone().narrow(1, row * half, half).narrow(2, column * half, half);
    let diagonal = by_blocks(Tensor::cat(vec![block(0, 0), block(1, 1)], 0));
    let [first, second] = [0, 1].map(|at| diagonal.clone().narrow(0, at * batch, batch));
    let below = second.clone().matmul(block(1, 0).matmul(first.clone())).neg();
    let above = first.zeros_like();
    let upper = Tensor::cat(vec![first, above], 2);
    Tensor::cat(vec![upper, Tensor::cat(vec![below, second], 2)], 1)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random};
    use burn::tensor::Device;

    fn lower(batch: usize, size: usize, spread: f64, device: &Device) -> Tensor<3> {
        (random([batch, size, size], device) * spread).tril(-1)
    }

    #[test]
    fn the_product_with_the_matrix_is_the_identity() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            for (batch, size) in [(1, 1), (3, 2), (2, 8), (1, 64)] {
                let lower = lower(batch, size, 0.3, &device);
                let identity = Tensor::<2>::eye(size, &device).unsqueeze::<3>().expand([batch, size, size]);
                let product = (lower.clone() + identity.clone()).matmul(unit_lower_inverse(lower));
                assert_close(&product, &identity, &format!("size {size}"));
            }
        }
    }

    #[test]
    fn equal_keys_do_not_cancel() {
        // Powers of the matrix of ones reach 1e17 at this size; the inverse holds nothing but 1 and −1.
        let device = Device::flex();
        let ones = Tensor::<3>::ones([1, 64, 64], &device).tril(-1);
        let inverse = unit_lower_inverse(ones).reshape([64, 64]);
        let below = Tensor::<2>::ones([64, 64], &device);
        let expected = Tensor::<2>::eye(64, &device) - (below.clone().tril(-1) - below.tril(-2));
        assert_close(&inverse, &expected, "inverse");
    }

    #[test]
    fn the_gradient_is_that_of_the_inverse() {
        let device = Device::flex().autodiff();
        let lower = lower(2, 16, 0.3, &device).require_grad();
        let upstream = random([2, 16, 16], &device);
        let gradients =
            |loss: Tensor<3>| lower.grad(&(loss * upstream.clone()).sum().backward()).expect("it takes part");
        let fast = gradients(unit_lower_inverse(lower.clone()));
        let slow = gradients(by_blocks(lower.clone()));
        assert_close(&fast.tril(-1), &slow.tril(-1), "gradient");
    }
}
