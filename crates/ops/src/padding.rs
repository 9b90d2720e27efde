//! Padding put aside: what a mixer that looks back makes of the real tokens alone.

use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor, assert_shape};

/// What `mix` makes of the real tokens, as if no padding stood between them.
///
/// A recurrence would have to pass over padding in every part: the token before, the decay, the update. Instead
/// the real tokens of each example are moved in front of its padding, where a mixer that only looks back cannot
/// see it, and what comes of them is moved back. Without a mask nothing is moved.
///
/// # Shapes
/// - `tokens`: `[batch, length, width]`
/// - `mask`: `[batch, length]`, true where a token is real
/// - result: `[batch, length, …]` as `mix` makes it; behind padding stands what `mix` made of it
///
/// # Panics
/// When the shapes do not fit each other.
pub fn without_padding(
    tokens: Tensor<3>,
    mask: Option<&Tensor<2, Bool>>,
    mix: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let Some(mask) = mask else { return mix(tokens) };
    let [batch, length, width] = tokens.dims();
    assert_shape!(mask, [batch, length]);
    let places = places(mask);
    let at = |width: usize| places.clone().unsqueeze_dim::<3>(2).expand([batch, length, width]);
    // Every place is taken once, so that adding to zeros is moving.
    let moved = tokens.zeros_like().scatter(1, at(width), tokens, IndexingUpdateOp::Add);
    let mixed = mix(moved);
    let [_, _, width] = mixed.dims();
    mixed.gather(1, at(width))
}

/// Where each token goes, `[batch, length]`: real ones first, each kind in its order.
fn places(mask: &Tensor<2, Bool>) -> Tensor<2, Int> {
    let real = mask.clone().int();
    let padding = mask.clone().bool_not().int();
    let count = real.clone().sum_dim(1);
    let behind = count + padding.clone().cumsum(1) - 1;
    (real.clone().cumsum(1) - 1) * real + behind * padding
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::token_shift;
    use burn::tensor::Device;

    fn mask(device: &Device) -> Tensor<2, Bool> {
        let rows = [[true, false, true, true], [false, false, true, true], [false, false, false, false]];
        Tensor::from_data(rows, device)
    }

    #[test]
    fn real_tokens_come_first_and_everything_returns() {
        let device = Device::flex();
        let tokens = Tensor::<1, Int>::arange(0..12, &device).float().reshape([3, 4, 1]);
        let mut seen = None;
        let back = without_padding(tokens.clone(), Some(&mask(&device)), |moved| {
            seen = Some(moved.clone());
            moved
        });
        back.into_data().assert_eq(&tokens.into_data(), true);
        let expected = [0.0f32, 2.0, 3.0, 1.0, 6.0, 7.0, 4.0, 5.0, 8.0, 9.0, 10.0, 11.0];
        let seen = seen.expect("`mix` was called").into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_token_before_is_the_last_real_one() {
        let device = Device::flex();
        let tokens = Tensor::<1, Int>::arange(1..13, &device).float().reshape([3, 4, 1]);
        let before = without_padding(tokens, Some(&mask(&device)), |moved| token_shift(moved, None));
        let before = before.into_data().try_to_vec::<f32>().unwrap();
        // Of the first example the real tokens are 1, 3 and 4; of the second 7 and 8.
        assert_eq!([before[0], before[2], before[3]], [0.0, 1.0, 3.0]);
        assert_eq!([before[6], before[7]], [0.0, 7.0]);
    }

    #[test]
    fn gradients_return_to_where_the_tokens_stood() {
        let device = Device::flex().autodiff();
        let tokens = Tensor::<3>::ones([3, 4, 2], &device).require_grad();
        let weight = Tensor::<1, Int>::arange(0..24, &device).float().reshape([3, 4, 2]);
        let mixed = without_padding(tokens.clone(), Some(&mask(&device)), |moved| moved * 2.0);
        let gradients = (mixed * weight.clone()).sum().backward();
        let found = tokens.grad(&gradients).expect("tokens have a gradient");
        found.into_data().assert_eq(&(weight * 2.0).inner().into_data(), true);
    }
}
