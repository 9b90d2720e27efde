//! A linear map along time.

use ansatz_ops::dense;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

/// `y_c = x_c W_c + b_c` for the steps x of each channel c; one W and b serve all channels, or each has its
/// own.
///
/// # Shapes
/// `[batch, length, channels]` → `[batch, horizon, channels]`
#[derive(Module, Debug)]
pub struct LinearAlongTime {
    /// W `[maps, length, horizon]`, with as many maps as channels, or one.
    pub weight: Param<Tensor<3>>,
    /// b `[maps, horizon]`.
    pub bias: Param<Tensor<2>>,
}

impl LinearAlongTime {
    /// Maps of `length` steps to `horizon`, which begin as the mean of all steps, as DLinear does; the bias
    /// is drawn from U(−1/√length, 1/√length).
    pub(crate) fn new(maps: usize, [length, horizon]: [usize; 2], device: &Device) -> Self {
        let bound = (length as f64).sqrt().recip();
        let mean = Initializer::Constant { value: (length as f64).recip() };
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Self {
            weight: mean.init([maps, length, horizon], device),
            bias: uniform.init([maps, horizon], device),
        }
    }

    /// `x` of all channels.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, length, channels] = x.dims();
        let weight = dense(self.weight.val());
        let [maps, known, horizon] = weight.dims();
        assert_eq!(known, length, "a map of {known} steps is given {length}");
        let bias = self.bias.val();
        let y = if maps == 1 {
            let rows = x.swap_dims(1, 2).reshape([batch * channels, length]);
            let y = rows.matmul(weight.reshape([length, horizon])) + bias;
            y.reshape([batch, channels, horizon]).swap_dims(1, 2)
        } else {
            // [channels, batch, length] by [channels, length, horizon]
            let y = x.permute([2, 0, 1]).matmul(weight) + bias.reshape([maps, 1, horizon]);
            y.permute([1, 2, 0])
        };
        assert_shape!(y, [batch, horizon, channels]);
        y
    }

    /// Floating-point operations for one example of `channels` channels.
    pub(crate) fn flops(&self, channels: usize) -> u64 {
        let [_, length, horizon] = self.weight.lazy_shape().dims();
        (2 * channels * length * horizon) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn every_channel_goes_through_its_map() {
        let device = ansatz_device::open("cpu").unwrap();
        let normal = Distribution::Normal(0.0, 1.0);
        for maps in [1, 3] {
            let mut map = LinearAlongTime::new(maps, [5, 2], &device);
            map.weight = Param::from_tensor(Tensor::random([maps, 5, 2], normal, &device));
            let x = Tensor::<3>::random([4, 5, 3], normal, &device);
            let found = map.forward(x.clone());
            for channel in 0..3 {
                let own = channel % maps;
                let weight = map.weight.val().narrow(0, own, 1).reshape([5, 2]);
                let steps = x.clone().narrow(2, channel, 1).reshape([4, 5]);
                let expected = steps.matmul(weight) + map.bias.val().narrow(0, own, 1);
                let found = found.clone().narrow(2, channel, 1).reshape([4, 2]);
                found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
            }
        }
    }
}
