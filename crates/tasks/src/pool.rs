//! How the tokens of an example become one.

use ansatz_core::Features;
use burn::tensor::{Bool, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the tokens of an example become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The mean over all real tokens; of an example without any, zeros.
    Mean,
    /// The largest of each value over all real tokens; of an example without any, zeros.
    Max,
    /// The first real token.
    First,
    /// The last real token, which in a causal network has seen all others.
    Last,
}

impl Pool {
    /// `[batch, length, width]` → `[batch, width]`.
    pub fn forward(self, features: Features) -> Tensor<2> {
        let Features { tokens, mask, .. } = features;
        let [batch, length, width] = tokens.dims();
        if let Some(mask) = &mask {
            assert_shape!(mask, [batch, length]);
        }
        let pooled = match (mask, self) {
            (None, Self::Mean) => tokens.mean_dim(1),
            (None, Self::Max) => tokens.max_dim(1),
            (None, Self::First) => tokens.narrow(1, 0, 1),
            (None, Self::Last) => tokens.narrow(1, length - 1, 1),
            (Some(mask), Self::Mean) => {
                let real = mask.float();
                weighted(tokens, real.clone() / real.sum_dim(1).clamp_min(1.0))
            }
            (Some(mask), Self::Max) => largest(tokens, mask),
            (Some(mask), Self::First) => weighted(tokens, first(mask.float())),
            (Some(mask), Self::Last) => weighted(tokens, first(mask.float().flip([1])).flip([1])),
        };
        pooled.reshape([batch, width])
    }
}

/// The sum of the tokens, `[batch, 1, width]`, each times its share, `[batch, length]`.
fn weighted(tokens: Tensor<3>, shares: Tensor<2>) -> Tensor<3> {
    let [batch, length] = shares.dims();
    shares.cast(tokens.dtype()).reshape([batch, 1, length]).matmul(tokens)
}

/// 1 at the first 1 of each row of `real`, else 0: counted from the first, it is where the count is 1 and it
/// is real.
fn first(real: Tensor<2>) -> Tensor<2> {
    real.clone().cumsum(1).equal_elem(1.0).float() * real
}

/// The largest of each value over the real tokens, `[batch, 1, width]`; zeros where none is real.
fn largest(tokens: Tensor<3>, real: Tensor<2, Bool>) -> Tensor<3> {
    let [batch, length, width] = tokens.dims();
    let none = real.clone().any_dim(1).bool_not().reshape([batch, 1, 1]).expand([batch, 1, width]);
    let padding = real.bool_not().reshape([batch, length, 1]).expand([batch, length, width]);
    tokens.mask_fill(padding, f32::MIN).max_dim(1).mask_fill(none, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn pooled(pool: Pool, real: Option<[[bool; 3]; 3]>) -> Vec<f32> {
        let device: Device = ansatz_device::open("cpu").unwrap();
        let example = |first: f32| [[first], [first + 1.0], [first + 5.0]];
        let tokens = Tensor::<3>::from_data([example(0.0), example(10.0), example(20.0)], &device);
        let mask = real.map(|real| Tensor::from_data(real, &device));
        pool.forward(Features { mask, ..Features::row(tokens) }).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn without_a_mask_all_tokens_count() {
        assert_eq!(pooled(Pool::Mean, None), [2.0, 12.0, 22.0]);
        assert_eq!(pooled(Pool::First, None), [0.0, 10.0, 20.0]);
        assert_eq!(pooled(Pool::Last, None), [5.0, 15.0, 25.0]);
        assert_eq!(pooled(Pool::Max, None), [5.0, 15.0, 25.0]);
    }

    #[test]
    fn padding_does_not_count() {
        // Padding behind, in front, and nothing else.
        let real = Some([[true, true, false], [false, true, true], [false, false, false]]);
        assert_eq!(pooled(Pool::Mean, real), [0.5, 13.0, 0.0]);
        assert_eq!(pooled(Pool::First, real), [0.0, 11.0, 0.0]);
        assert_eq!(pooled(Pool::Last, real), [1.0, 15.0, 0.0]);
        assert_eq!(pooled(Pool::Max, real), [1.0, 15.0, 0.0]);
    }
}
