//! The width split among the heads.

use burn::tensor::Tensor;

/// `[batch, length, heads × values]` → `[batch, heads, length, values]`.
pub(crate) fn split(tokens: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, length, width] = tokens.dims();
    tokens.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
}

/// `[batch, heads, length, values]` → `[batch, length, heads × values]`.
pub(crate) fn join(tokens: Tensor<4>) -> Tensor<3> {
    let [batch, heads, length, values] = tokens.dims();
    tokens.swap_dims(1, 2).reshape([batch, length, heads * values])
}

/// Every head `count` times: query head h meets key head `h / count`.
pub(crate) fn repeat(tokens: Tensor<4>, count: usize) -> Tensor<4> {
    if count == 1 {
        return tokens;
    }
    let [batch, heads, length, values] = tokens.dims();
    let copies = tokens.unsqueeze_dim::<5>(2).expand([batch, heads, count, length, values]);
    copies.reshape([batch, heads * count, length, values])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Int};

    #[test]
    fn joining_undoes_splitting() {
        let device = ansatz_device::open("cpu").unwrap();
        let x = Tensor::<3>::random([2, 5, 12], Distribution::Default, &device);
        join(split(x.clone(), 3)).into_data().assert_eq(&x.into_data(), true);
    }

    #[test]
    fn neighbouring_heads_share_keys() {
        let device = ansatz_device::open("cpu").unwrap();
        let keys = Tensor::<1, Int>::arange(0..2, &device).float().reshape([1, 2, 1, 1]);
        let repeated = repeat(keys, 2).reshape([4]);
        repeated.into_data().assert_eq(&[0.0f32, 0.0, 1.0, 1.0].into(), true);
    }
}
