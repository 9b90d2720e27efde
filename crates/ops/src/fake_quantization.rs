//! Weights and activations that are seen rounded while the floats behind them learn.

use std::collections::BTreeMap;

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::{Tensor, TensorData};

use crate::byte_rounding::{Range, rounded, straight_through};
use crate::quantized::Granularity;
use crate::rounding::{Levels, round};

/// Beside a weight: whoever asks for its value gets it rounded as [`round`] rounds it symmetrically, and the gradient of what was
/// rounded is that of the weight itself,
///
/// ```text
/// w′ = scale · round(w / scale),  ∂L/∂w = ∂L/∂w′
/// ```
///
/// (quantization-aware training: Jacob et al. 2018, arXiv:1712.05877, section 3; the straight-through estimator: Bengio,
/// Léonard, Courville 2013, arXiv:1308.3432, section 4). A weight that is not finite stays as it is. `materialize` leaves
/// the rounded values.
#[derive(Module, Debug)]
pub struct FakeQuantization {
    #[module(skip)]
    bits: u32,
    #[module(skip)]
    per: Granularity,
    #[module(skip)]
    activations: bool,
}

impl FakeQuantization {
    /// Codes of `bits` bits, 2 to 8, that share scales `per`; with `activations`, the layer's inputs are seen as bytes too,
    /// as [`linear`](crate::linear()) and [`convolution`](crate::convolution()) make them.
    ///
    /// # Panics
    /// When `bits` is not 2 to 8.
    pub fn new(bits: u32, per: Granularity, activations: bool) -> Self {
        assert!((2..=8).contains(&bits), "{bits} bits");
        Self { bits, per, activations }
    }

    /// The same module with roundings beside the weights of these dotted paths.
    pub fn beside<M: Module>(module: M, roundings: BTreeMap<String, Self>) -> M {
        module.apply_reparameterization(Beside(roundings))
    }

    /// What a layer with this weight sees of `x`, of which all that lies behind the first `rows` axes becomes bytes together.
    pub(crate) fn inputs<const D: usize, const W: usize>(
        weight: &Param<Tensor<W>>,
        x: Tensor<D>,
        rows: usize,
    ) -> Tensor<D> {
        match weight.reparameterization::<Self>() {
            Some(fake) if fake.activations => straight_through(x, |x| rounded(x, rows, Range::OfEachRow)),
            _ => x,
        }
    }
}

impl Reparameterization for FakeQuantization {
    const NAME: &'static str = "fake_quantization";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        straight_through(base, |base| {
            let data = base.to_data().convert::<f32>();
            match data.try_to_vec::<f32>() {
                Ok(values) if values.iter().all(|value| value.is_finite()) => {
                    let shape = base.dims();
                    let values = round(&values, &shape, Levels::symmetric(self.bits), self.per)
                        .values(&shape, self.per);
                    Tensor::from_data(TensorData::new(values, shape), (&base.device(), base.dtype()))
                }
                _ => base,
            }
        })
    }
}

struct Beside(BTreeMap<String, FakeQuantization>);

impl Reparameterizer for Beside {
    type Reparam = FakeQuantization;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<FakeQuantization>) {
        (param, self.0.remove(path))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::quantized::{dense, quantized};
    use crate::testing::{assert_close, random};
    use crate::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn seen_rounded(layer: Linear, activations: bool) -> Linear {
        let fake = FakeQuantization::new(3, Granularity::output(2), activations);
        FakeQuantization::beside(layer, [("weight".to_owned(), fake)].into())
    }

    fn layers(activations: bool, device: &Device) -> [Linear; 2] {
        let layer = LinearConfig::new(9, 5).init(device);
        [layer.clone(), seen_rounded(layer, activations)]
    }

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("float32")
    }

    #[test]
    fn the_weight_is_seen_as_quantizing_leaves_it_and_kept_as_it_is() {
        let [plain, fake] = layers(false, &Device::flex().autodiff());
        let codes = round(&floats(plain.weight.val()), &[9, 5], Levels::symmetric(3), Granularity::output(2));
        let expected =
            quantized(&codes.codes, [9, 5], &codes.scales, Granularity::output(2), &Device::flex());
        assert_eq!(floats(fake.weight.val()), floats(dense(expected)));
        assert_eq!(floats(fake.weight.base()), floats(plain.weight.val()));
        let kept = fake.valid().materialize();
        assert_eq!(floats(kept.weight.base()), floats(fake.weight.val()));
    }

    #[test]
    fn gradients_pass_straight_through() {
        let device = Device::flex().autodiff();
        for activations in [false, true] {
            let [_, fake] = layers(activations, &device);
            let (x, upstream) = (random([4, 9], &device).require_grad(), random([4, 5], &device));
            let gradients = (fake.forward(x.clone()) * upstream.clone()).sum().backward();
            // Those of a layer whose weight and inputs are what the rounding left.
            let seen = match activations {
                true => rounded(x.clone().inner(), 1, Range::OfEachRow),
                false => x.clone().inner(),
            };
            let of_weight = seen.transpose().matmul(upstream.clone().inner());
            let found = fake.weight.base().grad(&gradients).expect("tracked");
            assert_close(&found, &of_weight, "weight");
            let of_x = upstream.inner().matmul(fake.weight.val().inner().transpose());
            assert_close(&x.grad(&gradients).expect("tracked"), &of_x, "x");
        }
    }

    #[test]
    fn activations_are_seen_as_the_kernel_makes_them() {
        let device = Device::flex();
        let [plain, fake] = layers(true, &device);
        let x = random([7, 9], &device);
        let codes = round(&floats(plain.weight.val()), &[9, 5], Levels::symmetric(3), Granularity::output(2));
        let whole = quantized(&codes.codes, [9, 5], &codes.scales, Granularity::output(2), &device);
        let bias = plain.bias.as_ref().map(Param::val);
        assert_close(&fake.forward(x.clone()), &crate::linear(x, whole, bias), "bytes");
    }

    #[test]
    fn a_weight_that_is_not_finite_shows_it() {
        let device = Device::flex();
        let mut plain = LinearConfig::new(2, 2).with_bias(false).init(&device);
        plain.weight = plain.weight.map(|weight| weight * f32::NAN);
        let fake = seen_rounded(plain, false);
        assert!(floats(fake.weight.val()).iter().all(|value| value.is_nan()));
    }
}
