//! The token before.

use burn::tensor::{Tensor, assert_shape};

/// The token before each token: Peng et al., RWKV, 2023, arXiv:2305.13048, section 3.1.
///
/// In front of the first stands `before`, the last token that was seen, or zeros where there was none.
///
/// # Shapes
/// - `tokens`: `[batch, length, width]`
/// - `before`: `[batch, 1, width]`
/// - result: `[batch, length, width]`
///
/// # Panics
/// When the shapes do not fit each other.
pub fn token_shift(tokens: Tensor<3>, before: Option<Tensor<3>>) -> Tensor<3> {
    let [batch, length, width] = tokens.dims();
    let before = before.unwrap_or_else(|| tokens.clone().narrow(1, 0, 1).zeros_like());
    assert_shape!(before, [batch, 1, width]);
    if length == 1 {
        return before;
    }
    Tensor::cat(vec![before, tokens.narrow(1, 0, length - 1)], 1)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::Device;

    #[test]
    fn every_token_meets_the_one_before() {
        let device = Device::flex();
        for (batch, length, width) in [(1, 1, 1), (2, 5, 3), (3, 2, 4)] {
            let all = random([batch, length + 1, width], &device);
            let tokens = all.clone().narrow(1, 1, length);
            let shifted = token_shift(tokens.clone(), Some(all.clone().narrow(1, 0, 1)));
            shifted.into_data().assert_eq(&all.clone().narrow(1, 0, length).into_data(), true);
            let first = token_shift(tokens, None).narrow(1, 0, 1);
            first.clone().into_data().assert_eq(&first.zeros_like().into_data(), true);
        }
    }
}
