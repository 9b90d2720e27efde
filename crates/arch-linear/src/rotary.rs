//! Rotary positions: pairs of values turned by an angle that grows with the position.

use burn::tensor::{Int, Tensor};

/// Turns value i and value `i + values/2` of each head by `position · 10000^(−2i/values)` (Su et al., RoFormer, 2021,
/// arXiv:2104.09864, equation 34, in halves). The first token stands at position `first`.
///
/// # Shapes
/// `[batch, heads, length, values]` → the same; `values` is even.
pub(crate) fn rotary(x: Tensor<4>, first: usize) -> Tensor<4> {
    let [_, _, length, values] = x.dims();
    let half = values / 2;
    let device = x.device();
    let count = |from: usize, to: usize| {
        Tensor::<1, Int>::arange(from as i64..to as i64, &device).float().cast(x.dtype())
    };
    let frequencies = (count(0, half) * (-2.0 / values as f64 * 10_000f64.ln())).exp();
    let angles = count(first, first + length).reshape([1, 1, length, 1]) * frequencies.reshape([1, 1, 1, half]);
    let (cosines, sines) = (angles.clone().cos(), angles.sin());
    let (front, back) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let turned_front = front.clone() * cosines.clone() - back.clone() * sines.clone();
    Tensor::cat(vec![turned_front, front * sines + back * cosines], 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn products_depend_on_the_distance_alone() {
        let device = ansatz_device::open("cpu").unwrap();
        let draw = || Tensor::<4>::random([1, 1, 1, 6], Distribution::Default, &device);
        let (query, key) = (draw(), draw());
        let product = |at: usize, from: usize| {
            (rotary(query.clone(), at) * rotary(key.clone(), from)).sum().into_data()
        };
        product(5, 2).assert_approx_eq::<f32>(&product(13, 10), Tolerance::absolute(1e-5));
        rotary(query.clone(), 0).into_data().assert_eq(&query.into_data(), true);
    }
}
