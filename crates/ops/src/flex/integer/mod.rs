//! Products of quantized weights with activations that become bytes on the way.

mod activations;
mod chain;
mod convolve;
mod correlate;
mod dot;
mod packed;
mod product;
mod table;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::borrow::Cow;
use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, QuantizedTensor};
use burn::backend::{BackendTensor, DispatchTensorKind, Flex, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor, TensorData};

use super::extension::values;
use super::plane::Window;
use super::rows::are_rows;
use super::{symmetric, takes, windows};
use crate::byte_rounding::Range;
use crate::input_range::Kept;
use crate::quantized::{Granularity, grid, shared, sides};
use activations::{Affine, Rows};
use chain::Chain;
pub(crate) use chain::Link;
use convolve::Convolve;
use packed::Packed;
use product::{DEEPEST, Product};
use table::Table;

/// The fewest channels of a picture that are worth it: with less, the kernel multiplies mostly by nothing, as it takes
/// four at a time, and floats are as fast.
const FEWEST: usize = 3;

/// `x W + b` with a quantized `weight` `[inputs, outputs]`, where the kernel takes these tensors.
pub(crate) fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    range: Range,
) -> Option<Tensor<D>> {
    let [inputs, columns] = weight.dims();
    if !(takes(x) && bias.is_none_or(takes)) || inputs * columns == 0 {
        return None;
    }
    let (tensor, per, scales) = whole(weight)?;
    let (group, scales) = match per {
        Granularity::Tensor => (inputs, vec![scales[0]; columns]),
        Granularity::Axis(1) => (inputs, scales),
        Granularity::Group(size) if size.is_multiple_of(4) => (size, scales),
        _ => return None,
    };
    if group > DEEPEST {
        return None;
    }
    let activations = activations(x)?;
    let bias = bias.map(read);
    let rows = Rows::new(&values(&activations), inputs, range);
    let product = Product {
        rows: &rows,
        weight: &numbers(&tensor),
        inputs,
        columns,
        scales: &scales,
        group,
        bias: bias.as_deref(),
    };
    let mut shape = x.dims();
    shape[D - 1] = columns;
    Some(Tensor::from_data(TensorData::new(product.compute(), shape), (&x.device(), DType::F32)))
}

/// The rows `indices` of a quantized `table` `[rows, width]` as floats, `scale · code`. None where a row is not there.
pub(crate) fn rows(table: &Tensor<2>, indices: &[i64]) -> Option<Tensor<2>> {
    let ([count, width], device) = (table.dims(), table.device());
    let values = with_table(table, |table| are_rows(indices, count).then(|| table.rows(indices)))?;
    Some(Tensor::from_data(TensorData::new(values, [indices.len(), width]), (&device, DType::F32)))
}

/// `y_b = Σ_t w_bt E[i_bt]` with a quantized `table` `[rows, width]` and `weights` `[batch, count]`. None where a row is not
/// there, or the kernel does not take these tensors.
pub(crate) fn weighted_rows(table: &Tensor<2>, indices: &[i64], weights: &Tensor<2>) -> Option<Tensor<2>> {
    let ([known, width], [batch, count]) = (table.dims(), weights.dims());
    if !takes(weights) || indices.len() != batch * count {
        return None;
    }
    let held = activations(weights)?;
    let sums =
        |table: &Table<'_>| are_rows(indices, known).then(|| table.sums(indices, &values(&held), count));
    let sums = with_table(table, sums)?;
    Some(Tensor::from_data(TensorData::new(sums, [batch, width]), (&weights.device(), DType::F32)))
}

/// Hands the codes of a quantized `table` to `see`.
fn with_table<R>(table: &Tensor<2>, see: impl FnOnce(&Table<'_>) -> Option<R>) -> Option<R> {
    let shape @ [count, width] = table.dims();
    let DispatchTensorKind::Flex(BackendTensor::Quantized(tensor)) = table.clone().into_dispatch().kind
    else {
        return None;
    };
    let DType::QFloat(scheme) = tensor.dtype() else { return None };
    // Scales are looked up in burn's blocks: what they share as a whole would be asked of all of them anew.
    let blocks = scheme.block_size().map_or_else(|| shape.to_vec(), |size| sides(&size, 2));
    let across = grid(&shape, &blocks)[1];
    let (codes, scales) = (numbers(&tensor), tensor.scales());
    if scales.len() < count.div_ceil(blocks[0]) * across {
        return None;
    }
    see(&Table { codes: &codes, scales, width, blocks: [blocks[0], blocks[1]], across })
}

/// How the picture of a convolution becomes bytes, and what follows its sums, in this order.
pub(crate) struct Finish<'a> {
    /// The range of the picture.
    pub(crate) range: Range,
    /// A factor for each output.
    pub(crate) factor: Option<&'a Tensor<1>>,
    /// What is added to each output.
    pub(crate) shift: Option<&'a Tensor<1>>,
    /// What is added to the outputs.
    pub(crate) residual: Option<&'a Tensor<4>>,
    /// Whether negative results become zero.
    pub(crate) rectify: bool,
}

/// `x` ∗ `weight` with a quantized weight, where the kernel takes these tensors and knows this kind of convolution.
pub(crate) fn convolution(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    options: &ConvOptions<2>,
    finish: &Finish<'_>,
) -> Option<Tensor<4>> {
    let ([batch, inputs, height, width], [outputs, ..]) = (x.dims(), weight.dims());
    let windows = windows(x, weight, options)?;
    let Finish { range, factor, shift, residual, rectify } = *finish;
    let floats = [factor, shift].into_iter().flatten().all(takes) && residual.is_none_or(takes);
    let depth = inputs * windows[0].kernel * windows[1].kernel;
    if !(takes(x) && floats) || outputs == 0 || inputs < FEWEST || depth > DEEPEST {
        return None;
    }
    let (tensor, per, scales) = whole(weight)?;
    let scales = match per {
        Granularity::Tensor => vec![scales[0]; outputs],
        Granularity::Axis(0) => scales,
        _ => return None,
    };
    let input = activations(x)?;
    let residual = residual.map(activations);
    let factor = match factor {
        Some(factor) => scales.iter().zip(read(factor)).map(|(scale, factor)| scale * factor).collect(),
        None => scales,
    };
    let shift = shift.map_or_else(|| vec![0.0; outputs], read);
    let residual = match &residual {
        Some(residual) => Some(values(residual.as_ref()?)),
        None => None,
    };
    let shape = Convolve {
        batch,
        inputs,
        outputs,
        size: [height, width],
        windows,
        range,
        factor: &factor,
        shift: &shift,
        residual: residual.as_deref(),
        rectify,
    };
    let [height, width] = shape.output_size();
    let output = shape.compute(&values(&input), &numbers(&tensor));
    let data = TensorData::new(output, [batch, outputs, height, width]);
    Some(Tensor::from_data(data, (&x.device(), DType::F32)))
}

impl Link {
    /// The convolution with a quantized `weight`, of which something is `kept`, its input within `bounds`, its sums
    /// multiplied with and added to `factor` and `shift`; nothing is rectified or pooled. None where the kernel does not
    /// take it.
    pub(crate) fn new(
        weight: &Tensor<4>,
        kept: &Kept,
        options: &ConvOptions<2>,
        bounds: [f32; 2],
        [factor, shift]: [Vec<f32>; 2],
    ) -> Option<Self> {
        let [outputs, inputs, down, across] = weight.dims();
        let padding = symmetric(options.padding)?;
        let known = options.groups == 1 && outputs * inputs > 0 && inputs * down * across <= DEEPEST;
        if !(known && factor.len() == outputs && shift.len() == outputs) {
            return None;
        }
        let windows = [(down, 0), (across, 1)].map(|(kernel, axis)| Window {
            kernel,
            stride: options.stride[axis],
            padding: padding[axis],
            dilation: options.dilation[axis],
        });
        let (tensor, per, scales) = whole(weight)?;
        let scales = match per {
            Granularity::Tensor => vec![scales[0]; outputs],
            Granularity::Axis(0) => scales,
            _ => return None,
        };
        let factor: Vec<f32> = scales.iter().zip(factor).map(|(scale, factor)| scale * factor).collect();
        // What is not finite must be seen, and bytes do not show it.
        if !factor.iter().chain(&shift).all(|value| value.is_finite()) {
            return None;
        }
        let weight = kept.or_made(
            |kept: &OfWeight| kept.is_of(&tensor),
            || OfWeight {
                packed: Arc::new(Packed::new(&numbers(&tensor), [outputs, inputs, down * across])),
                weight: tensor.clone(),
            },
        );
        Some(Self {
            channels: [inputs, outputs],
            windows,
            input: Affine::within(bounds),
            weight: Arc::clone(&weight.packed),
            factor,
            shift,
            rectify: false,
            pool: 1,
        })
    }
}

/// What is kept of a weight.
struct OfWeight {
    /// The weight: as long as it is held here its values stay where they are, and as they are.
    weight: QuantizedTensor<Flex>,
    packed: Arc<Packed>,
}

impl OfWeight {
    /// Whether it is of `other`: both are the same values in memory, in order.
    fn is_of(&self, other: &QuantizedTensor<Flex>) -> bool {
        let [one, other] = [&self.weight, other].map(|tensor| tensor.tensor().as_slice::<i8>());
        one.zip(other).is_some_and(|(one, other)| std::ptr::eq(one, other))
    }
}

/// `picture` through convolutions one behind the other, where the kernel takes it. The last one's squares are left as
/// they are.
///
/// # Panics
/// When the channels do not fit.
pub(crate) fn chain(picture: &Tensor<4>, links: &[Link]) -> Option<Tensor<4>> {
    let [batch, channels, height, width] = picture.dims();
    let mut left = channels;
    for link in links {
        assert_eq!(link.channels[0], left, "channels that go into a convolution");
        left = link.channels[1];
    }
    let input = activations(picture)?;
    let (output, [height, width]) = Chain { batch, size: [height, width], links }.compute(&values(&input))?;
    let data = TensorData::new(output, [batch, left, height, width]);
    Some(Tensor::from_data(data, (&picture.device(), DType::F32)))
}

/// The primitive of a float tensor of the backend.
pub(super) fn activations<const D: usize>(x: &Tensor<D>) -> Option<FloatTensor<Flex>> {
    match x.clone().into_dispatch().kind {
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Some(tensor),
        _ => None,
    }
}

/// The values of a float32 tensor.
fn read<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_into_vec().expect("callers checked that the tensor is float32")
}

/// A quantized tensor of the backend, which values share a scale, and the scales.
fn whole<const D: usize>(tensor: &Tensor<D>) -> Option<(QuantizedTensor<Flex>, Granularity, Vec<f32>)> {
    let DispatchTensorKind::Flex(BackendTensor::Quantized(tensor)) = tensor.clone().into_dispatch().kind
    else {
        return None;
    };
    let DType::QFloat(scheme) = tensor.dtype() else { return None };
    let (per, scales) = shared(&scheme, tensor.shape().as_slice(), tensor.scales())?;
    Some((tensor, per, scales))
}

/// The values of a quantized tensor, copied only where they are not in order.
fn numbers(tensor: &QuantizedTensor<Flex>) -> Cow<'_, [i8]> {
    match tensor.tensor().as_slice::<i8>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(tensor.tensor().to_contiguous().storage::<i8>().to_vec()),
    }
}
