//! Convolutions one behind the other, in stages that end with pooling.

use burn::tensor::Tensor;
use burn::tensor::ops::MaxPoolOptions;

use crate::conv_norm::ConvNorm;
#[cfg(feature = "flex")]
use crate::observe::is_observed;
use crate::pooling::max_pool;

/// Some convolutions, one behind the other, and the side of the squares of pixels whose maximum ends them; 1: no pooling.
pub type ConvStage<'a> = (&'a [ConvNorm], usize);

/// `[batch, channels, height, width]` through all stages.
///
/// Where every convolution has a quantized weight and a range of its inputs ([`InputRange`](crate::InputRange)), the fast
/// form takes each picture through all of them at once, and what goes from one to the next are bytes: the very bytes that
/// the next would make of floats, since the maximum of bytes is the byte of the maximum.
///
/// # Panics
/// When the channels do not fit.
pub fn conv_stages(picture: Tensor<4>, stages: &[ConvStage<'_>]) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(y) = in_bytes(&picture, stages) {
        return y;
    }
    stages.iter().fold(picture, |picture, (convolutions, pool)| {
        pooled(convolutions.iter().fold(picture, |picture, layer| layer.forward(picture)), *pool)
    })
}

fn pooled(picture: Tensor<4>, pool: usize) -> Tensor<4> {
    if pool == 1 { picture } else { max_pool(picture, MaxPoolOptions::new([pool; 2])) }
}

/// The fast form, where it can be used.
#[cfg(feature = "flex")]
fn in_bytes(picture: &Tensor<4>, stages: &[ConvStage<'_>]) -> Option<Tensor<4>> {
    if !crate::flex::takes(picture) || picture.device().is_autodiff() || is_observed() {
        return None;
    }
    let mut links = Vec::new();
    for (convolutions, pool) in stages {
        let (last, others) = convolutions.split_last()?;
        for layer in others {
            links.push(layer.link(1)?);
        }
        links.push(last.link(*pool)?);
    }
    let (_, pool) = stages.last()?;
    Some(pooled(crate::flex::integer::chain(picture, &links)?, *pool))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random};
    use crate::{ConvNormConfig, Granularity, InputRange, quantized};
    use burn::module::{Module, Param};
    use burn::tensor::Device;
    use std::collections::BTreeMap;

    /// A convolution with running statistics, a quantized weight and a range of its inputs.
    fn layer(config: ConvNormConfig, largest: f32, device: &Device) -> ConvNorm {
        let mut layer = config.init(device);
        let outputs = config.channels[1];
        let vector = || random([1, outputs], device).reshape([outputs]);
        layer.norm.running_mean.update(vector() * 0.1);
        layer.norm.gamma = Param::from_tensor(vector().abs() + 0.3);
        layer.norm.beta = Param::from_tensor(vector() * 0.2);
        layer.conv.weight = layer.conv.weight.map(|weight| {
            let (shape, per) = (weight.dims(), Granularity::output(4));
            let values = weight.to_data().try_into_vec::<f32>().expect("float32");
            let codes = crate::round(&values, &shape, crate::Levels::symmetric(8), per);
            quantized(&codes.codes, shape, &codes.scales, per, device)
        });
        InputRange::beside(layer, BTreeMap::from([("conv.weight".to_owned(), [-0.4, largest])]))
    }

    fn one_by_one(picture: Tensor<4>, stages: &[ConvStage<'_>]) -> Tensor<4> {
        stages.iter().fold(picture, |picture, (layers, pool)| {
            pooled(layers.iter().fold(picture, |picture, layer| layer.forward(picture)), *pool)
        })
    }

    #[test]
    fn all_at_once_is_layer_by_layer() {
        let device = Device::flex();
        let same = |channels| ConvNormConfig::same(channels, 3, 1);
        let first = [layer(same([3, 10]), 2.0, &device), layer(same([10, 8]), 3.0, &device)];
        let second = [layer(ConvNormConfig::same([8, 6], 3, 2).linear(), 2.5, &device)];
        for batch in [1, 4] {
            let picture = random([batch, 3, 21, 18], &device);
            for pool in [1, 2, 3] {
                let stages: [ConvStage<'_>; 2] = [(&first, 2), (&second, pool)];
                assert!(in_bytes(&picture, &stages).is_some());
                let expected = one_by_one(picture.clone(), &stages);
                assert_close(&conv_stages(picture.clone(), &stages), &expected, "bytes");
            }
        }
    }

    #[test]
    fn a_convolution_without_a_range_or_with_floats_leaves_all_to_themselves() {
        let device = Device::flex();
        let config = ConvNormConfig::same([3, 3], 3, 1);
        let ranged = layer(config, 2.0, &device);
        let picture = random([2, 3, 8, 8], &device);
        for other in [[ranged.clone().materialize()], [config.init(&device)]] {
            let stages: [ConvStage<'_>; 2] = [(std::slice::from_ref(&ranged), 2), (&other, 1)];
            assert!(in_bytes(&picture, &stages).is_none());
            let expected = one_by_one(picture.clone(), &stages);
            assert_close(&conv_stages(picture.clone(), &stages), &expected, "floats between");
        }
        let tracked = Tensor::from_inner(picture);
        assert!(in_bytes(&tracked, &[(std::slice::from_ref(&ranged), 1)]).is_none());
    }
}
