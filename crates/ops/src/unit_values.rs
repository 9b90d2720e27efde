//! Values that make a recurrence write out how it mixes tokens.

use burn::tensor::Tensor;

/// A unit vector for each token, `[batch, heads, length, length]`, for keys `[batch, heads, length, key]`.
///
/// What is linear in its values is a matrix, `o_to = Σ_from M[to, from] v_from`: for these values the outputs are M itself
/// (Dao and Gu 2024, arXiv:2405.21060, section 2.3, call it the matrix that transforms the sequence).
pub fn unit_values(keys: &Tensor<4>) -> Tensor<4> {
    let [batch, heads, length, _] = keys.dims();
    let unit = Tensor::<2>::eye(length, &keys.device()).cast(keys.dtype());
    unit.reshape([1, 1, length, length]).expand([batch, heads, length, length])
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{Decay, LinearAttention, LogDecay, delta_rule, sigmoid};
    use burn::tensor::{Device, Distribution, Tolerance};

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, 0.5), &Device::flex())
    }

    fn close(found: Tensor<4>, expected: Tensor<4>) {
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn the_matrix_times_the_values_is_what_the_recurrence_gives() {
        let [query, key, value] = [random([2, 3, 7, 4]), random([2, 3, 7, 4]), random([2, 3, 7, 5])];
        let step = || random([2, 3, 7, 1]).reshape([2, 3, 7]);
        let log = step().abs().neg();
        let attend = |value: Tensor<4>| {
            let (query, key, decay) = (query.clone(), key.clone(), LogDecay::Head(log.clone()));
            LinearAttention { query, key, value, decay, bonus: None, state: None }.run().0
        };
        close(attend(unit_values(&key)).matmul(value.clone()), attend(value.clone()));
        let strength = sigmoid(step());
        let correct = |value: Tensor<4>| {
            delta_rule(query.clone(), key.clone(), value, strength.clone(), Decay::None, None).0
        };
        close(correct(unit_values(&key)).matmul(value.clone()), correct(value));
    }
}
