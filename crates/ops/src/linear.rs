//! The linear map, in floats or, where its weight is quantized, in whole numbers.

use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay, Param};
use burn::tensor::{DType, Device, Tensor, assert_shape, module};

use crate::byte_rounding::Range;
use crate::fake_quantization::FakeQuantization;
use crate::input_range::InputRange;
use crate::observe::{Observed, observe};
use crate::quantized::{dense, is_quantized};
#[cfg(feature = "flex")]
use crate::zero_points::ZeroPoints;

/// `y = x W + b`.
///
/// A quantized weight (see [`quantized`](crate::quantized())) is multiplied as it is. On the processor each row of x then
/// becomes bytes with a scale and a zero of its own, found from the row,
/// `x[k] ≈ s (q[k] − z)`, `s = (max x − min x) / 255`, 0 counted to the values (Jacob et al. 2018, arXiv:1712.05877,
/// equations 1 and 7), and with weights `w[k, n] = t[n] v[k, n]`
///
/// `y[n] = b[n] + s t[n] Σ_k (q[k] − z) v[k, n]`,
///
/// the sum in whole numbers of 32 bits; of a [`Linear`] beside whose weight [`ZeroPoints`](crate::ZeroPoints) stand, these
/// take their part away. A row with a value that is not finite gives NaN. This takes one scale per tensor,
/// per output, or per group of inputs whose number is a multiple of four; other weights are first made floats, as they
/// are where gradients are asked for: these reach x and b, not the weight.
///
/// # Shapes
/// - `x`: `[…, inputs]`
/// - `weight`: `[inputs, outputs]`
/// - `bias`: `[outputs]`
/// - result: `[…, outputs]`
///
/// # Panics
/// When the shapes do not fit each other.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    linear_within(x, weight, bias, Range::OfEachRow)
}

/// The same where the range of x may be given.
fn linear_within<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    range: Range,
) -> Tensor<D> {
    if !is_quantized(&weight) {
        return of_floats(range.seen(x, D - 1), weight, bias);
    }
    let [inputs, outputs] = weight.dims();
    assert_shape!(x, [.., inputs]);
    let bias = bias.map(dense);
    if let Some(bias) = &bias {
        assert_shape!(bias, [outputs]);
    }
    if x.device().is_autodiff() {
        return of_floats(range.seen(x, D - 1), dense(weight), bias);
    }
    #[cfg(feature = "flex")]
    if crate::flex::is_flex(&x) {
        return match crate::flex::integer::linear(&x, &weight, bias.as_ref(), range) {
            Some(y) => y,
            None => of_floats(range.seen(x, D - 1), dense(weight), bias),
        };
    }
    module::linear(range.seen(x, D - 1), weight, bias)
}

/// The same where the weight is of floats.
fn of_floats<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::linear(&x, &weight, bias.as_ref()) {
        return y;
    }
    module::linear(x, weight, bias)
}

/// Shape of a [`Linear`].
#[derive(Debug, Clone)]
pub struct LinearConfig {
    inputs: usize,
    outputs: usize,
    bias: bool,
    initializer: Option<Initializer>,
}

impl LinearConfig {
    /// A map with a bias, both drawn evenly from `−k` to `k`, `k = 1 / √inputs`.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, bias: true, initializer: None }
    }

    /// Whether there is a bias.
    pub fn with_bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// What weight and bias are drawn from.
    pub fn with_initializer(self, initializer: Initializer) -> Self {
        Self { initializer: Some(initializer), ..self }
    }

    /// A module with weights that are drawn when first asked for, the same that burn's own module draws.
    pub fn init(&self, device: &Device) -> Linear {
        let mut config = burn::nn::LinearConfig::new(self.inputs, self.outputs).with_bias(self.bias);
        if let Some(initializer) = &self.initializer {
            config = config.with_initializer(initializer.clone());
        }
        let burn::nn::Linear { weight, bias } = config.init(device);
        Linear { weight, bias }
    }
}

/// A linear map: burn's [`Linear`](burn::nn::Linear), parameter by parameter, whose weight may be quantized; see
/// [`linear`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// `[…, inputs]` → `[…, outputs]`.
    ///
    /// # Panics
    /// When the last axis is not the inputs.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let [inputs, _] = self.weight.dims();
        assert_shape!(x, [.., inputs]);
        observe(self.weight.id, || {
            let rows = x.shape().num_elements() / inputs.max(1);
            Observed::Rows(x.clone().reshape([rows, inputs]))
        });
        #[cfg(feature = "flex")]
        if let Some(y) = self.of_codes(&x) {
            return y;
        }
        let x = FakeQuantization::inputs(&self.weight, x, D - 1);
        linear_within(x, self.weight.val(), self.bias.as_ref().map(Param::val), InputRange::of(&self.weight))
    }

    /// The map where a kernel multiplies codes that have [`ZeroPoints`]; none elsewhere.
    #[cfg(feature = "flex")]
    fn of_codes<const D: usize>(&self, x: &Tensor<D>) -> Option<Tensor<D>> {
        let points = ZeroPoints::of(&self.weight)?;
        if x.device().is_autodiff() || !crate::flex::is_flex(x) {
            return None;
        }
        let (codes, bias) = (self.weight.base(), self.bias.as_ref().map(|bias| dense(bias.val())));
        let y = crate::flex::integer::linear(x, &codes, bias.as_ref(), Range::OfEachRow)?;
        Some(y + points.of_rows(x.clone(), codes.dims()[1]))
    }

    /// The weight as floats `[inputs, outputs]`.
    pub fn dense_weight(&self) -> Tensor<2> {
        dense(self.weight.val())
    }

    /// The type of the floats that come out.
    pub fn dtype(&self) -> DType {
        let weight = self.weight.val();
        if is_quantized(&weight) { DType::F32 } else { weight.dtype() }
    }
}

impl ModuleDisplay for Linear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [inputs, outputs] = self.weight.shape().dims();
        content.add("d_input", &inputs).add("d_output", &outputs).add("bias", &self.bias.is_some()).optional()
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::quantized::{Granularity, quantized};
    use crate::testing::{assert_close, random};
    use burn::module::Quantizer;
    use burn::tensor::TensorData;
    use burn::tensor::quantization::{Calibration, QuantScheme, QuantValue, ScaleDtype};

    fn weights(inputs: usize, outputs: usize, per: Granularity, device: &Device) -> Tensor<2> {
        let values: Vec<i8> = (0..inputs * outputs)
            .map(|index| ((index * 7919 + 13) % 255) as i16 - 127)
            .map(|value| value as i8)
            .collect();
        let count = match per {
            Granularity::Tensor => 1,
            Granularity::Axis(axis) => [inputs, outputs][axis],
            Granularity::Group(size) => inputs / size * outputs,
        };
        let scales: Vec<f32> = (0..count).map(|index| (1.0 + (index % 7) as f32) / 1000.0).collect();
        quantized(&values, [inputs, outputs], &scales, per, device)
    }

    /// What the values of each row are after they were bytes.
    fn rounded(x: &Tensor<2>) -> Tensor<2> {
        let [rows, inputs] = x.dims();
        let values: Vec<f32> = x.to_data().try_into_vec().expect("float32");
        let rounded = values.chunks(inputs).flat_map(|row| {
            let least = row.iter().copied().fold(0.0, f32::min);
            let largest = row.iter().copied().fold(0.0, f32::max);
            let scale = largest / 255.0 - least / 255.0;
            let zero = (-least / scale).round_ties_even();
            let byte = move |x: &f32| ((x * (1.0 / scale)).round_ties_even() + zero).clamp(0.0, 255.0);
            row.iter().map(move |x| scale * (byte(x) - zero))
        });
        Tensor::from_data(TensorData::new(rounded.collect::<Vec<f32>>(), [rows, inputs]), &x.device())
    }

    #[test]
    fn whole_numbers_give_what_rounded_floats_give() {
        let device = Device::flex();
        for [rows, inputs, outputs] in [[1, 64, 64], [1, 300, 77], [5, 128, 10], [65, 200, 129], [3, 4, 1]] {
            let x = random([rows, inputs], &device);
            let bias = random([1, outputs], &device).reshape([outputs]);
            for per in [Granularity::Tensor, Granularity::Axis(1), Granularity::Group(4)] {
                let weight = weights(inputs, outputs, per, &device);
                let found = linear(x.clone(), weight.clone(), Some(bias.clone()));
                let expected = module::linear(rounded(&x), weight.dequantize(), Some(bias.clone()));
                assert_close(&found, &expected, &format!("{rows} {inputs} {outputs} {per:?}"));
            }
        }
    }

    #[test]
    fn leading_axes_are_kept() {
        let device = Device::flex();
        let weight = weights(6, 5, Granularity::output(2), &device);
        let x = random([4, 6], &device);
        let rows = linear(x.clone(), weight.clone(), None);
        let found = linear(x.clone().reshape([2, 1, 2, 6]), weight.clone(), None);
        assert_close(&found, &rows.clone().reshape([2, 1, 2, 5]), "four axes");
        let found = linear(x.clone().slice([0..1, 0..6]).reshape([6]), weight.clone(), None);
        assert_close(&found, &rows.clone().slice([0..1, 0..5]).reshape([5]), "one axis");
        let turned = x.swap_dims(0, 1).reshape([4, 6]).reshape([6, 4]).swap_dims(0, 1);
        let copy = Tensor::from_data(turned.to_data(), &device);
        assert_close(&linear(turned, weight.clone(), None), &linear(copy, weight, None), "a view");
    }

    #[test]
    fn a_weight_that_was_turned_round_is_read_in_its_order() {
        let device = Device::flex();
        let (x, weight) =
            (random([3, 70], &device), weights(9, 70, Granularity::Tensor, &device).transpose());
        let floats = Tensor::from_data(weight.clone().dequantize().to_data(), &device);
        let expected = module::linear(rounded(&x), floats, None);
        assert_close(&linear(x, weight, None), &expected, "transposed");
    }

    #[test]
    fn weights_that_no_kernel_takes_are_made_floats() {
        let device = Device::flex();
        let x = random([3, 6], &device);
        let scheme = QuantScheme::default().with_value(QuantValue::Q8S).per_block([1, 2], ScaleDtype::F32);
        for weight in [
            weights(6, 4, Granularity::Axis(0), &device),
            weights(6, 4, Granularity::Group(3), &device),
            random([6, 4], &device).quantize_dynamic(&scheme),
        ] {
            let found = linear(x.clone(), weight.clone(), None);
            assert_close(&found, &x.clone().matmul(weight.dequantize()), "floats");
        }
    }

    #[test]
    fn a_module_quantized_by_burn_is_multiplied_in_whole_numbers() {
        let device = Device::flex();
        let layer = LinearConfig::new(64, 32).init(&device);
        let x = random([7, 64], &device);
        let expected = layer.forward(x.clone());
        let scheme = QuantScheme::default().with_value(QuantValue::Q8S);
        let layer = layer.quantize_weights(&mut Quantizer::new(Calibration::MinMax, scheme));
        assert!(is_quantized(&layer.weight.val()));
        assert_eq!(layer.dtype(), DType::F32);
        let found = layer.forward(x);
        let error = (found - expected.clone()).abs().max().into_scalar::<f32>();
        let size = expected.abs().max().into_scalar::<f32>();
        assert!(error < 0.02 * size, "{error} of {size}");
    }

    #[test]
    fn floats_and_their_gradients_are_those_of_burns_own_module() {
        let device = Device::flex().autodiff();
        for ([batch, length, inputs, outputs], bias) in [
            ([4, 1, 9, 5], true),
            ([1, 1, 1, 1], false),
            ([3, 200, 70, 90], true),
            ([2, 40, 300, 330], false),
        ] {
            let ours = LinearConfig::new(inputs, outputs).with_bias(bias).init(&device);
            let theirs = burn::nn::Linear { weight: ours.weight.clone(), bias: ours.bias.clone() };
            let x = random([batch, length, inputs], &device).require_grad();
            let run = |y: Tensor<3>| {
                let gradients = y.clone().powi_scalar(2).sum().backward();
                let of_bias = ours.bias.as_ref().map(|bias| bias.val().grad(&gradients).expect("tracked"));
                let of_x = x.grad(&gradients).expect("tracked");
                (y.inner(), of_x, ours.weight.val().grad(&gradients).expect("tracked"), of_bias)
            };
            let (found, expected) = (run(ours.forward(x.clone())), run(theirs.forward(x.clone())));
            let what = format!("{batch} {length} {inputs} {outputs}");
            assert_close(&found.0, &expected.0, &what);
            assert_close(&found.1, &expected.1, &format!("{what}: x"));
            assert_close(&found.2, &expected.2, &format!("{what}: weight"));
            assert_eq!(found.3.is_some(), bias);
            if let (Some(found), Some(expected)) = (found.3, expected.3) {
                assert_close(&found, &expected, &format!("{what}: bias"));
            }
        }
    }

    #[test]
    fn a_tied_weight_learns_from_both_its_uses() {
        let device = Device::flex().autodiff();
        let (x, table) = (random([6, 4], &device), random([7, 4], &device).require_grad());
        let run = |y: Tensor<2>| {
            let gradients = (y + table.clone().sum_dim(1).transpose()).powi_scalar(2).sum().backward();
            table.grad(&gradients).expect("tracked")
        };
        let found = run(linear(x.clone(), table.clone().transpose(), None));
        let expected = run(x.matmul(table.clone().transpose()));
        assert_close(&found, &expected, "table");
    }

    #[test]
    fn a_weight_that_does_not_learn_lets_gradients_through() {
        let device = Device::flex().autodiff();
        let (x, weight) = (random([6, 4], &device).require_grad(), random([4, 3], &device));
        let gradients = linear(x.clone(), weight.clone(), None).sum().backward();
        let expected = Tensor::<2>::ones([6, 3], &device).matmul(weight.clone().transpose()).inner();
        assert_close(&x.grad(&gradients).expect("tracked"), &expected, "x");
        assert!(weight.grad(&gradients).is_none());
    }

    #[test]
    fn gradients_pass_through_a_quantized_weight() {
        let device = Device::flex().autodiff();
        let weight = weights(9, 5, Granularity::output(2), &device);
        let (x, bias) =
            (random([4, 9], &device).require_grad(), random([1, 5], &device).reshape([5]).require_grad());
        let upstream = random([4, 5], &device);
        let y = linear(x.clone(), weight.clone(), Some(bias.clone()));
        let gradients = (y * upstream.clone()).sum().backward();
        let floats = weight.dequantize().inner();
        let expected = upstream.clone().inner().matmul(floats.transpose());
        assert_close(&x.grad(&gradients).expect("tracked"), &expected, "x");
        let expected = upstream.inner().sum_dim(0).reshape([5]);
        assert_close(&bias.grad(&gradients).expect("tracked"), &expected, "bias");
    }

    #[test]
    fn weights_are_drawn_as_burn_draws_them() {
        let device = Device::flex();
        let draw = |constant: Initializer| {
            let layer = LinearConfig::new(3, 2).with_initializer(constant).with_bias(false).init(&device);
            assert!(layer.bias.is_none());
            layer.weight.val().into_data().try_into_vec::<f32>().expect("float32")
        };
        assert_eq!(draw(Initializer::Constant { value: 0.5 }), [0.5; 6]);
        assert_eq!(
            LinearConfig::new(3, 2).init(&device).to_string(),
            burn::nn::LinearConfig::new(3, 2).init(&device).to_string()
        );
    }
}
