//! The range of a layer's inputs, found beforehand and kept beside its weight.

#[cfg(feature = "flex")]
use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
#[cfg(feature = "flex")]
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, Param, ParamId, Reparameterization, Reparameterizer};
use burn::tensor::Tensor;

use crate::byte_rounding::Range;

/// Beside a weight: between which values its layer's inputs lie. They then become bytes by this range, whatever their own
/// is,
///
/// ```text
/// x ≈ s (q − z),  q = clamp(round(x / s) + z, 0, 255),  s = (largest − least) / 255,  z = round(−least / s)
/// ```
///
/// (Jacob et al. 2018, arXiv:1712.05877, equations 1 and 7, least ≤ 0 ≤ largest). What lies beyond becomes the nearest end;
/// what is not finite is no number in the output. Where no kernel multiplies whole numbers, floats are rounded the same
/// way. The weight itself is not changed, and `materialize` forgets the range.
#[derive(Module, Debug)]
pub struct InputRange {
    /// Least and largest, `[2]`.
    pub bounds: Param<Tensor<1>>,
    #[module(skip)]
    kept: Kept,
}

/// What a kernel has made of the weight beside which it stands, so that it is made once.
#[derive(Clone, Default)]
pub(crate) struct Kept(#[cfg(feature = "flex")] Arc<Mutex<Option<Arc<dyn Any + Send + Sync>>>>);

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Kept")
    }
}

#[cfg(feature = "flex")]
impl Kept {
    /// What is kept, if it `is_current`, or what `make` makes of the weight, kept from now on.
    pub(crate) fn or_made<T: Any + Send + Sync>(
        &self,
        is_current: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.clone().and_then(|kept| kept.downcast::<T>().ok());
        if let Some(found) = found.filter(|found| is_current(found)) {
            return found;
        }
        let made = Arc::new(make());
        *kept = Some(Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
        made
    }
}

impl Reparameterization for InputRange {
    const NAME: &'static str = "input_range";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base
    }
}

thread_local! {
    /// The weights whose inputs were asked a range for, while somebody wants to know.
    static ASKED: RefCell<Option<BTreeSet<ParamId>>> = const { RefCell::new(None) };
}

impl InputRange {
    /// The same module with ranges, least and largest, beside the weights of these dotted paths.
    pub fn beside<M: Module>(module: M, ranges: BTreeMap<String, [f32; 2]>) -> M {
        if ranges.is_empty() { module } else { module.apply_reparameterization(Beside(ranges)) }
    }

    /// The dotted path of the weight whose range a tensor of this path is.
    pub fn weight_of(path: &str) -> Option<&str> {
        path.strip_suffix(".bounds")?.strip_suffix(Self::NAME)?.strip_suffix('.')
    }

    /// Does `forward` and gives the weights, met in this thread, whose layers would have used a range of their inputs.
    pub fn used_by<R>(forward: impl FnOnce() -> R) -> (R, BTreeSet<ParamId>) {
        /// Puts back what was noted before, also where `forward` panics.
        struct Before(Option<BTreeSet<ParamId>>);
        impl Drop for Before {
            fn drop(&mut self) {
                ASKED.replace(self.0.take());
            }
        }
        let _before = Before(ASKED.replace(Some(BTreeSet::new())));
        let result = forward();
        (result, ASKED.take().unwrap_or_default())
    }

    /// What kernels keep of a weight; none where no range stands beside it.
    #[cfg(feature = "flex")]
    pub(crate) fn kept<const D: usize>(weight: &Param<Tensor<D>>) -> Option<&Kept> {
        weight.reparameterization::<Self>().map(|range| &range.kept)
    }

    /// How the inputs of a layer with this weight become bytes.
    pub(crate) fn of<const D: usize>(weight: &Param<Tensor<D>>) -> Range {
        ASKED.with_borrow_mut(|asked| asked.as_mut().map(|asked| asked.insert(weight.id)));
        let Some(range) = weight.reparameterization::<Self>() else { return Range::OfEachRow };
        match range.bounds.val().into_data().try_to_vec_as::<f32>().as_deref() {
            Ok([least, largest]) => Range::Given([*least, *largest]),
            _ => Range::OfEachRow,
        }
    }
}

struct Beside(BTreeMap<String, [f32; 2]>);

impl Reparameterizer for Beside {
    type Reparam = InputRange;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<InputRange>) {
        let Some([least, largest]) = self.0.remove(path) else { return (param, None) };
        let device = param.lazy_device().inner();
        let bounds = Tensor::<1>::from_floats([least.min(0.0), largest.max(0.0)], &device);
        let bounds = Param::initialized(ParamId::new(), bounds);
        (param, Some(InputRange { bounds, kept: Kept::default() }))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::byte_rounding::rounded;
    use crate::quantized::{Granularity, quantized};
    use crate::testing::{assert_close, random};
    use crate::{ConvNormConfig, Linear, LinearConfig, convolve};
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, module};

    const RANGE: [f32; 2] = [-0.7, 1.1];

    fn whole<const D: usize>(weight: Param<Tensor<D>>) -> Param<Tensor<D>> {
        weight.map(|weight| {
            let shape = weight.dims();
            let values = weight.to_data().try_into_vec::<f32>().expect("float32");
            let per = Granularity::output(D);
            let codes = crate::round(&values, &shape, crate::Levels::symmetric(8), per);
            quantized(&codes.codes, shape, &codes.scales, per, &weight.device())
        })
    }

    fn ranged<M: Module>(module: M, path: &str) -> M {
        InputRange::beside(module, BTreeMap::from([(path.to_owned(), RANGE)]))
    }

    fn layer(device: &Device) -> Linear {
        let mut layer = LinearConfig::new(12, 5).init(device);
        layer.weight = whole(layer.weight);
        ranged(layer, "weight")
    }

    #[test]
    fn inputs_of_a_linear_layer_become_bytes_by_the_range() {
        let device = Device::flex();
        let layer = layer(&device);
        let x = random([2, 3, 12], &device);
        let seen = rounded(x.clone(), 2, Range::Given(RANGE));
        let bias = layer.bias.as_ref().map(Param::val);
        let expected = module::linear(seen, layer.dense_weight(), bias);
        assert_close(&layer.forward(x.clone()), &expected, "whole numbers");
        // Gradients are asked for: floats, rounded alike.
        let weight = Param::initialized(ParamId::new(), Tensor::from_inner(layer.weight.val()));
        let tracked = ranged(Linear { weight, bias: None }, "weight");
        let x = Tensor::from_inner(x).require_grad();
        let y = tracked.forward(x.clone());
        let bias = layer.bias.as_ref().map(|bias| bias.val().reshape([1, 1, 5])).expect("a bias");
        assert_close(&(y.clone().inner() + bias), &expected, "floats");
        let gradient = x.grad(&y.sum().backward()).expect("tracked");
        let sums = layer.dense_weight().sum_dim(1).reshape([1, 1, 12]).expand([2, 3, 12]);
        assert_close(&gradient, &sums, "gradient");
        // A weight of groups that no kernel takes.
        let mut groups = layer;
        let floats = groups.dense_weight().into_data().try_into_vec::<f32>().expect("float32");
        let codes = crate::round(&floats, &[12, 5], crate::Levels::symmetric(8), Granularity::Group(3));
        let grouped = quantized(&codes.codes, [12, 5], &codes.scales, Granularity::Group(3), &device);
        groups.weight = ranged(groups.weight.map(|_| grouped), "");
        let x = random([4, 12], &device);
        let seen = rounded(x.clone(), 1, Range::Given(RANGE));
        let expected = module::linear(seen, groups.dense_weight(), groups.bias.as_ref().map(Param::val));
        assert_close(&groups.forward(x), &expected, "groups");
    }

    #[test]
    fn pictures_become_bytes_by_the_range_with_and_without_a_kernel() {
        let device = Device::flex();
        // One channel is too few for the kernel.
        for inputs in [1, 5] {
            let mut norm = ConvNormConfig::same([inputs, 4], 3, 2).init(&device);
            norm.norm.running_mean.update(random([1, 4], &device).reshape([4]) * 0.1);
            let mut floats = norm.clone();
            norm.conv.weight = whole(norm.conv.weight);
            floats.conv.weight = norm.conv.weight.clone().map(crate::dense);
            let norm = ranged(norm, "conv.weight");
            let x = random([3, inputs, 9, 7], &device);
            let seen = rounded(x.clone(), 1, Range::Given(RANGE));
            assert_close(&norm.forward(x.clone()), &floats.forward(seen.clone()), "normed");

            let mut plain = Conv2dConfig::new([inputs, 4], [3, 3]).init(&device);
            plain.weight = whole(plain.weight);
            let weight = crate::dense(plain.weight.val());
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let bias = plain.bias.as_ref().map(Param::val);
            let expected = module::conv2d(seen, weight, bias, options.clone());
            let plain = ranged(plain, "weight");
            assert_close(&convolve(x, &plain, options), &expected, "plain");
        }
    }

    #[test]
    fn a_range_is_found_by_the_path_of_its_bounds_and_lost_in_materializing() {
        let device = Device::flex();
        let layer = layer(&device);
        let range = layer.weight.reparameterization::<InputRange>().expect("a range");
        assert_eq!(range.bounds.val().into_data().try_to_vec::<f32>().expect("float32"), RANGE);
        assert_eq!(InputRange::weight_of("head.weight.input_range.bounds"), Some("head.weight"));
        assert_eq!(InputRange::weight_of("head.weight"), None);
        assert!(layer.materialize().weight.reparameterization::<InputRange>().is_none());
    }

    #[test]
    fn layers_that_would_use_a_range_are_told() {
        let device = Device::flex();
        let (layer, other) = (LinearConfig::new(3, 2).init(&device), LinearConfig::new(3, 2).init(&device));
        let x = random([4, 3], &device);
        let (y, used) = InputRange::used_by(|| layer.forward(x.clone()));
        assert_close(&y, &layer.forward(x.clone()), "the work itself");
        other.forward(x);
        assert_eq!(used, BTreeSet::from([layer.weight.id]));
    }
}
