//! Quantized weights whose codes are not symmetric about 0.

use std::collections::BTreeMap;

use burn::module::{Module, Param, ParamId, Reparameterization, Reparameterizer};
#[cfg(feature = "flex")]
use burn::tensor::{Device, module, ops::ConvOptions};
use burn::tensor::{Tensor, TensorData};

use crate::quantized::{Granularity, dense};
use crate::rounding::scale_index;

/// Beside a quantized weight: what the codes that stand for 0 take away. Whoever asks for the weight's value gets
///
/// ```text
/// w = scale · (code − zero point)
/// ```
///
/// (Jacob et al. 2018, arXiv:1712.05877, equation 1), as floats; [`Param::base`] is `scale · code`, whole numbers that the
/// kernels multiply. The rest of the product is one number for all inputs that share a scale,
///
/// ```text
/// Σ_k x_k w_kn = Σ_k x_k scale_gn code_kn − Σ_g (scale_gn zero_gn) Σ_{k in g} x_k
/// ```
///
/// (equation 7). `materialize` leaves floats.
#[derive(Module, Debug)]
pub struct ZeroPoints {
    /// `−scale · zero point`, one per scale.
    shifts: Param<Tensor<1>>,
    #[module(skip)]
    per: Granularity,
}

impl ZeroPoints {
    /// The same module with these zero points beside the quantized weights of these dotted paths: one per scale of the
    /// weight, and the scales themselves.
    ///
    /// # Panics
    /// When there is not one per scale.
    pub fn beside<M: Module>(module: M, points: BTreeMap<String, (Vec<i8>, Vec<f32>, Granularity)>) -> M {
        if points.is_empty() { module } else { module.apply_reparameterization(Beside(points)) }
    }

    /// The dotted path of the weight whose shifts, `−scale · zero point`, a tensor of this path is.
    pub fn weight_of(path: &str) -> Option<&str> {
        path.strip_suffix(".shifts")?.strip_suffix(Self::NAME)?.strip_suffix('.')
    }

    /// The shifts, one per scale, or one alone.
    fn values(&self) -> Vec<f32> {
        self.shifts.val().into_data().try_into_vec_as().unwrap_or_default()
    }

    /// The zero points that make these shifts with these scales.
    pub fn of_shifts(shifts: &[f32], scales: &[f32]) -> Vec<i8> {
        shifts.iter().zip(scales).map(|(shift, scale)| (-shift / scale).round() as i8).collect()
    }
}

#[cfg(feature = "flex")]
impl ZeroPoints {
    /// What stands beside a weight.
    pub(crate) fn of<const D: usize>(weight: &Param<Tensor<D>>) -> Option<&Self> {
        weight.reparameterization::<Self>()
    }

    /// The shifts of a weight of so many outputs and groups of inputs, in the order of the scales: `[groups, outputs]` of a
    /// matrix, `[outputs, groups]` of a kernel.
    fn shifts(&self, shape: [usize; 2]) -> Tensor<2> {
        let shifts = self.shifts.val();
        match shifts.dims() {
            [1] => shifts.reshape([1, 1]).expand(shape),
            _ => shifts.reshape(shape),
        }
    }

    /// What the zero points add to the rows `indices` of a table of this shape.
    pub(crate) fn of_table(&self, shape: [usize; 2], indices: &[i64], device: &Device) -> Tensor<2> {
        let [_, width] = shape;
        let (shifts, place) = (self.values(), scale_index(&shape, self.per));
        let row = |index: &i64| *index as usize * width;
        let values =
            indices.iter().flat_map(|index| (row(index)..row(index) + width).map(|at| shifts[place(at)]));
        Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), [indices.len(), width]), device)
    }

    /// How many of `inputs` share a scale.
    fn size(&self, inputs: usize) -> usize {
        if let Granularity::Group(size) = self.per { size } else { inputs }
    }

    /// What the zero points of a matrix add to its product with x: `[…, inputs]` → `[…, outputs]`.
    pub(crate) fn of_rows<const D: usize>(&self, x: Tensor<D>, outputs: usize) -> Tensor<D> {
        let mut shape = x.dims();
        let inputs = shape[D - 1];
        shape[D - 1] = outputs;
        let size = self.size(inputs);
        let (rows, groups) = (x.shape().num_elements() / inputs, inputs / size);
        let shifts = self.shifts([groups, outputs]);
        let sums: Tensor<2> = x.reshape([rows, groups, size]).sum_dim(2).reshape([rows, groups]);
        sums.matmul(shifts).reshape(shape)
    }

    /// What the zero points of a kernel `[outputs, inputs, height, width]` add to the convolution of x with it.
    pub(crate) fn of_pictures(
        &self,
        x: Tensor<4>,
        kernel: [usize; 4],
        options: &ConvOptions<2>,
    ) -> Tensor<4> {
        let ([outputs, group, height, width], [batch, inputs, rows, columns]) = (kernel, x.dims());
        let size = self.size(group);
        let sums = x.reshape([batch * inputs / size, size, rows * columns]).sum_dim(1);
        let sums = sums.reshape([batch * inputs / size, 1, rows, columns]);
        let windows = ConvOptions { groups: 1, ..options.clone() };
        let sums =
            module::conv2d(sums.clone(), Tensor::ones([1, 1, height, width], &sums.device()), None, windows);
        let [_, _, rows, columns] = sums.dims();
        let sums = sums.reshape([batch, inputs / size, rows, columns]);
        let shifts = self.shifts([outputs, group / size]);
        let shifts = shifts.reshape([outputs, group / size, 1, 1]);
        module::conv2d(sums, shifts, None, ConvOptions::new([1; 2], [0; 2], [1; 2], options.groups))
    }
}

impl Reparameterization for ZeroPoints {
    const NAME: &'static str = "zero_points";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let (shape, device) = (base.dims(), base.device());
        let place = scale_index(&shape, self.per);
        let shifts = self.values();
        let values: Vec<f32> = (0..shape.iter().product()).map(|index| shifts[place(index)]).collect();
        dense(base) + Tensor::from_data(TensorData::new(values, shape), &device)
    }
}

struct Beside(BTreeMap<String, (Vec<i8>, Vec<f32>, Granularity)>);

impl Reparameterizer for Beside {
    type Reparam = ZeroPoints;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<ZeroPoints>) {
        let Some((points, scales, per)) = self.0.remove(path) else { return (param, None) };
        assert_eq!(points.len(), scales.len(), "one zero point per scale of `{path}`");
        let shifts: Vec<f32> =
            points.iter().zip(&scales).map(|(point, scale)| -scale * f32::from(*point)).collect();
        let shifts = Tensor::<1>::from_floats(&shifts[..], &param.lazy_device().inner());
        (param, Some(ZeroPoints { shifts: Param::initialized(ParamId::new(), shifts), per }))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::quantized::{is_quantized, quantized};
    use crate::rounding::{Levels, Mapping, Rounded, round};
    use crate::testing::{assert_close, random};
    use crate::{ConvNormConfig, Linear, LinearConfig, convolve, linear};
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Device;

    const AFFINE: Levels = Levels { bits: 4, mapping: Mapping::Affine };

    /// Codes of a weight, and the weight as codes.
    fn codes<const D: usize>(weight: &Tensor<D>, per: Granularity) -> (Rounded, Tensor<D>) {
        let values: Vec<f32> = (weight.clone() + 0.3).into_data().try_into_vec().expect("float32");
        let rounded = round(&values, &weight.dims(), AFFINE, per);
        assert!(rounded.zero_points.iter().any(|point| *point != 0));
        let tensor = quantized(&rounded.codes, weight.dims(), &rounded.scales, per, &weight.device());
        (rounded, tensor)
    }

    fn beside<M: Module>(module: M, name: &str, rounded: &Rounded, per: Granularity) -> M {
        let points = (rounded.zero_points.clone(), rounded.scales.clone(), per);
        ZeroPoints::beside(module, [(name.to_owned(), points)].into())
    }

    #[test]
    fn a_weight_is_what_it_was_rounded_to_and_its_codes_are_multiplied() {
        let device = Device::flex();
        for per in [Granularity::Tensor, Granularity::Axis(1), Granularity::Group(4)] {
            for (inputs, outputs, rows) in [(64, 32, 1), (300, 77, 5), (8, 3, 70)] {
                let mut layer = LinearConfig::new(inputs, outputs).init(&device);
                let (rounded, tensor) = codes(&layer.weight.val(), per);
                layer.weight = layer.weight.map(|_| tensor.clone());
                let layer = beside(layer, "weight", &rounded, per);
                assert!(is_quantized(&layer.weight.base()));
                let shifts = ZeroPoints::of(&layer.weight).expect("zero points").shifts.val();
                let shifts: Vec<f32> = shifts.into_data().try_into_vec().expect("float32");
                assert_eq!(ZeroPoints::of_shifts(&shifts, &rounded.scales), rounded.zero_points);
                let values: Vec<f32> = layer.weight.val().into_data().try_into_vec().expect("float32");
                assert_eq!(values, rounded.values(&[inputs, outputs], per));
                let x = random([rows, inputs], &device);
                // The kernel's product of codes, and for each zero point what it takes away.
                let zeros = Rounded {
                    codes: (0..inputs * outputs)
                        .map(|index| rounded.zero_points[scale_index(&[inputs, outputs], per)(index)])
                        .collect(),
                    zero_points: Vec::new(),
                    ..rounded.clone()
                };
                let zeros = TensorData::new(zeros.values(&[inputs, outputs], per), [inputs, outputs]);
                let expected = linear(x.clone(), tensor, layer.bias.as_ref().map(Param::val))
                    - x.clone().matmul(Tensor::from_data(zeros, &device));
                assert_close(&layer.forward(x), &expected, &format!("{inputs} {outputs} {rows} {per:?}"));
            }
        }
    }

    #[test]
    fn a_layer_that_is_materialized_has_floats_and_nearly_the_same_outputs() {
        let device = Device::flex();
        let mut layer: Linear = LinearConfig::new(40, 9).init(&device);
        let (rounded, tensor) = codes(&layer.weight.val(), Granularity::Axis(1));
        layer.weight = layer.weight.map(|_| tensor);
        let layer = beside(layer, "weight", &rounded, Granularity::Axis(1));
        let x = random([2, 3, 40], &device);
        let floats = layer.clone().materialize();
        assert!(!is_quantized(&floats.weight.base()) && ZeroPoints::of(&floats.weight).is_none());
        let (found, expected) = (layer.forward(x.clone()), floats.forward(x));
        let error = (found - expected.clone()).abs().max().into_scalar::<f32>();
        assert!(error < 0.02 * expected.abs().max().into_scalar::<f32>(), "{error}");
    }

    #[test]
    fn gradients_reach_the_inputs() {
        let device = Device::flex().autodiff();
        let mut layer: Linear = LinearConfig::new(6, 5).init(&device);
        let (rounded, tensor) = codes(&layer.weight.val().inner(), Granularity::Axis(1));
        layer.weight = layer.weight.map(|_| Tensor::from_inner(tensor));
        let layer = beside(layer, "weight", &rounded, Granularity::Axis(1));
        let (x, upstream) = (random([4, 6], &device).require_grad(), random([4, 5], &device));
        let gradients = (layer.forward(x.clone()) * upstream.clone()).sum().backward();
        let expected = upstream.inner().matmul(layer.weight.val().inner().transpose());
        assert_close(&x.grad(&gradients).expect("tracked"), &expected, "x");
    }

    /// What a convolution of codes with zero points is beside one with the floats that they stand for.
    #[track_caller]
    fn near(found: Tensor<4>, expected: Tensor<4>, what: &str) {
        assert_eq!(found.dims(), expected.dims());
        let error = (found - expected.clone()).abs().max().into_scalar::<f32>();
        assert!(error < 0.02 * expected.abs().max().into_scalar::<f32>(), "{what}: {error}");
    }

    #[test]
    fn convolutions_are_those_of_the_floats_but_for_the_bytes_of_pictures() {
        let device = Device::flex();
        for (inputs, groups, stride, per) in [
            (6, 1, 1, Granularity::Axis(0)),
            (4, 1, 2, Granularity::Tensor),
            (6, 2, 1, Granularity::Axis(0)),
            (8, 2, 1, Granularity::Group(2)),
            (8, 1, 2, Granularity::Group(4)),
        ] {
            let config = Conv2dConfig::new([inputs, 10], [3, 3]).with_groups(groups);
            let mut layer = config.init(&device);
            let (rounded, tensor) = codes(&layer.weight.val(), per);
            layer.weight = layer.weight.map(|_| tensor.clone());
            let layer = beside(layer, "weight", &rounded, per);
            let x = random([3, inputs, 9, 8], &device);
            let options = ConvOptions::new([stride; 2], [1; 2], [1; 2], groups);
            let floats = module::conv2d(
                x.clone(),
                layer.weight.val(),
                layer.bias.as_ref().map(Param::val),
                options.clone(),
            );
            let what = format!("{inputs} {groups} {stride} {per:?}");
            near(convolve(x.clone(), &layer, options.clone()), floats, &what);
            // Exactly what is missing beside the codes.
            let points = ZeroPoints::of(&layer.weight).expect("zero points");
            let missing = layer.weight.val() - dense(tensor);
            let expected = module::conv2d(x.clone(), missing, None, options.clone());
            assert_close(&points.of_pictures(x, layer.weight.dims(), &options), &expected, &what);
        }
    }

    #[test]
    fn a_convolution_with_a_norm_rectifies_behind_all_of_it() {
        let device = Device::flex();
        let mut layer = ConvNormConfig::same([5, 7], 3, 1).init(&device);
        let (rounded, tensor) = codes(&layer.conv.weight.val(), Granularity::Axis(0));
        layer.conv.weight = layer.conv.weight.map(|_| tensor);
        let layer = beside(layer, "conv.weight", &rounded, Granularity::Axis(0));
        let (x, residual) = (random([2, 5, 6, 6], &device), random([2, 7, 6, 6], &device));
        let floats = layer.clone().materialize();
        near(layer.forward(x.clone()), floats.forward(x.clone()), "alone");
        let (found, expected) =
            (layer.forward_sum(x.clone(), residual.clone()), floats.forward_sum(x, residual));
        near(found, expected, "with a residual");
    }
}
