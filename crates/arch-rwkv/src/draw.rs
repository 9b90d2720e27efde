//! How the parameters are drawn, by place along the depth and by channel.

use ansatz_core::Depth;
use ansatz_ops::Linear;
use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// A linear map `[inputs, outputs]` without bias.
pub(crate) fn linear([inputs, outputs]: [usize; 2], initializer: &Initializer, device: &Device) -> Linear {
    let weight = initializer.init_with([inputs, outputs], Some(inputs), Some(outputs), device);
    Linear { weight, bias: None }
}

/// An orthogonal map, stretched where it has more outputs than inputs, so that values keep their scale.
pub(crate) fn orthogonal([inputs, outputs]: [usize; 2], gain: f64) -> Initializer {
    Initializer::Orthogonal { gain: gain * (outputs as f64 / inputs as f64).sqrt().max(1.0) }
}

/// A parameter of `count` values, of which `value` makes each from its place.
pub(crate) fn vector(count: usize, value: impl Fn(usize) -> f64, device: &Device) -> Param<Tensor<1>> {
    let values: Vec<f32> = (0..count).map(|channel| value(channel) as f32).collect();
    Param::from_tensor(Tensor::from_data(values.as_slice(), device))
}

/// 0 at the first block and 1 at the last.
pub(crate) fn rising(depth: Depth) -> f64 {
    depth.index as f64 / depth.blocks.saturating_sub(1).max(1) as f64
}

/// 1 at the first block and 1/blocks at the last.
pub(crate) fn falling(depth: Depth) -> f64 {
    1.0 - depth.index as f64 / depth.blocks as f64
}

/// 0 at the first channel of `count` and 1 at the last.
pub(crate) fn along(channel: usize, count: usize) -> f64 {
    channel as f64 / count.saturating_sub(1).max(1) as f64
}
