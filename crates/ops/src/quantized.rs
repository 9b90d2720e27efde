//! Weights as whole numbers: 8-bit values with float32 scales, in burn's quantized tensors.
//!
//! A quantized weight stays in its ordinary `Param<Tensor<D>>`; its dtype says that it is quantized. burn's schemes know
//! one scale per tensor, or one per block of at most 255 values a side. One scale per output is therefore written as
//! blocks that are one wide along the outputs and as long as the other sides; a side longer than 255 becomes several
//! blocks with the same scale, equally long where a whole number of them fits. That costs four bytes per block, at most
//! 4 % of the values where the side has a divisor between 100 and 255.

use burn::tensor::quantization::{
    BlockSize, QuantScheme, QuantValue, QuantizedBytes, ScaleDtype, global_scale_dtype,
};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// The most values that a block of burn's spans along a side.
const LONGEST: usize = 255;

/// Which values of a weight share a scale.
///
/// Outputs are the last axis of a matrix `[inputs, outputs]` and the first of a kernel `[outputs, inputs, …]`, inputs the
/// other of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// All.
    Tensor,
    /// Those with the same index along this axis: one scale per index.
    Axis(usize),
    /// As many consecutive inputs of each output (1 to 255, a divisor of the inputs): scales
    /// `[inputs / size, outputs]` of a matrix, `[outputs, inputs / size]` of a kernel, in row-major order.
    Group(usize),
}

impl Granularity {
    /// One scale per output of a weight of this rank.
    pub const fn output(rank: usize) -> Self {
        Self::Axis(axes(rank)[0])
    }
}

/// How the values of a weight belong to inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The matrix of a linear layer, `[inputs, outputs]`, of which a table whose weighted rows are summed is one.
    Matrix,
    /// The kernel of a convolution, `[outputs, inputs, …]`.
    Kernel,
}

impl Kind {
    /// Of a parameter in the field `name` of a struct `container`, as visitors have them: that of burn's and our linear
    /// layers, of their convolutions, and of a sum of terms, whose inputs are mostly 0.
    pub fn of(name: &str, container: &str) -> Option<Self> {
        match (name, container) {
            ("weight", "Struct:Linear") | ("table", "Struct:TermSum") => Some(Self::Matrix),
            ("weight", "Struct:Conv1d" | "Struct:Conv2d" | "Struct:Conv3d") => Some(Self::Kernel),
            _ => None,
        }
    }

    /// The axis of the inputs.
    pub fn input_axis(self) -> usize {
        match self {
            Self::Matrix => 0,
            Self::Kernel => 1,
        }
    }

    /// The axis of the outputs.
    pub fn output_axis(self) -> usize {
        1 - self.input_axis()
    }
}

/// The axes of outputs and inputs.
pub(crate) const fn axes(rank: usize) -> [usize; 2] {
    if rank == 2 { [1, 0] } else { [0, 1] }
}

/// What a quantized tensor is made of: each value is `scale · value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// In row-major order.
    pub values: Vec<i8>,
    /// See [`Granularity`].
    pub scales: Vec<f32>,
    /// Which values share a scale.
    pub per: Granularity,
}

impl Quantized {
    /// The parts of a quantized tensor; none of a float tensor, nor of one whose blocks no [`Granularity`] names.
    pub fn read<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let DType::QFloat(_) = tensor.dtype() else { return None };
        let data = tensor.to_data();
        let DType::QFloat(scheme) = data.dtype() else { return None };
        let shape = data.shape().clone();
        let (values, scales) = QuantizedBytes { bytes: data.into_bytes(), scheme, shape }.into_vec_i8();
        let (per, scales) = shared(&scheme, &tensor.dims(), &scales.block)?;
        Some(Self { values, scales, per })
    }
}

/// A quantized tensor on `device`: `scale · value`, values from −127 to 127.
///
/// # Panics
/// When there are not as many values and scales as `shape` and `per` say, or a group does not divide the inputs.
pub fn quantized<const D: usize>(
    values: &[i8],
    shape: [usize; D],
    scales: &[f32],
    per: Granularity,
    device: &Device,
) -> Tensor<D> {
    let scheme = QuantScheme::default().with_value(QuantValue::Q8S);
    let (scheme, scales) = match per {
        Granularity::Tensor => {
            assert_eq!(scales.len(), 1, "one scale per tensor");
            (scheme.per_tensor(ScaleDtype::F32), scales.to_vec())
        }
        Granularity::Axis(axis) => {
            assert_eq!(scales.len(), shape[axis], "one scale per index of axis {axis} of {shape:?}");
            let blocks: [usize; D] =
                std::array::from_fn(|side| if side == axis { 1 } else { block(shape[side]) });
            let grid = grid(&shape, &blocks);
            let behind: usize = grid[axis + 1..].iter().product();
            let count: usize = grid.iter().product();
            let scales = (0..count).map(|index| scales[index / behind % shape[axis]]).collect();
            (scheme.per_block(blocks.map(|side| side as u8), ScaleDtype::F32), scales)
        }
        Granularity::Group(size) => {
            let [output, input] = axes(D);
            let blocks: [usize; D] = std::array::from_fn(|side| match side {
                side if side == output => 1,
                side if side == input => size,
                side => shape[side],
            });
            let whole = (1..=LONGEST).contains(&size) && shape[input].is_multiple_of(size);
            assert!(whole, "a group of {size} is not from 1 to {LONGEST} or does not divide {shape:?}");
            assert!(blocks.iter().all(|&side| side <= LONGEST), "a kernel of {shape:?} is too large");
            let count: usize = grid(&shape, &blocks).iter().product();
            assert_eq!(scales.len(), count, "one scale per group of {size} inputs of {shape:?}");
            (scheme.per_block(blocks.map(|side| side as u8), ScaleDtype::F32), scales.to_vec())
        }
    };
    Tensor::from_data(TensorData::quantized(values.to_vec(), shape, scheme, &scales, None), device)
}

/// Whether a tensor is quantized.
pub fn is_quantized<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.dtype(), DType::QFloat(_))
}

/// A tensor's values as floats, whether it is quantized or not.
pub fn dense<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if is_quantized(&tensor) { tensor.dequantize() } else { tensor }
}

/// Which values share a scale, and each scale once, given those of all blocks.
pub(crate) fn shared(
    scheme: &QuantScheme,
    shape: &[usize],
    scales: &[f32],
) -> Option<(Granularity, Vec<f32>)> {
    if global_scale_dtype(scheme).is_some() || scales.is_empty() {
        return None;
    }
    let Some(size) = scheme.block_size() else { return Some((Granularity::Tensor, scales.to_vec())) };
    let blocks = sides(&size, shape.len());
    let grid = grid(shape, &blocks);
    let [output, input] = axes(shape.len());
    let along = |axis: usize| {
        let behind: usize = grid[axis + 1..].iter().product();
        let first = scales.chunks(behind).take(grid[axis]).map(|scales| scales[0]);
        let first: Vec<f32> = first.collect();
        let same = |row: &[f32]| match behind {
            // No early end, so that this is compared a register at a time.
            1 => row.iter().zip(&first).fold(true, |same, (scale, first)| same & (scale == first)),
            _ => row.chunks(behind).zip(&first).all(|(row, first)| row.iter().all(|scale| scale == first)),
        };
        (blocks[axis] == 1 && scales.chunks(behind * grid[axis]).all(same)).then_some(first)
    };
    let others = (0..shape.len()).filter(|&axis| axis != output);
    let found = std::iter::once(output).filter(|&axis| axis < shape.len()).chain(others);
    if let Some((axis, scales)) = found.into_iter().find_map(|axis| along(axis).map(|scales| (axis, scales)))
    {
        return Some((Granularity::Axis(axis), scales));
    }
    if let [scale] = scales {
        return Some((Granularity::Tensor, vec![*scale]));
    }
    let grouped = shape.len() > 1
        && blocks[output] == 1
        && shape[input].is_multiple_of(blocks[input])
        && (0..shape.len()).all(|side| side == output || side == input || grid[side] == 1);
    grouped.then(|| (Granularity::Group(blocks[input]), scales.to_vec()))
}

/// The length of the fewest equal blocks of a side, or of the fewest of which the last is shorter.
fn block(side: usize) -> usize {
    let fewest = side.div_ceil(LONGEST).max(1);
    let whole = (fewest..=2 * fewest).find(|blocks| side.is_multiple_of(*blocks)).unwrap_or(fewest);
    side.div_ceil(whole).max(1)
}

/// A block's sides.
pub(crate) fn sides(size: &BlockSize, rank: usize) -> Vec<usize> {
    size.to_dim_vec(rank).into_iter().map(usize::from).collect()
}

/// Blocks along each axis.
pub(crate) fn grid(shape: &[usize], blocks: &[usize]) -> Vec<usize> {
    shape.iter().zip(blocks).map(|(&side, &block)| side.div_ceil(block)).collect()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<i8> {
        (0..count).map(|index| ((index * 7919 + 13) % 255) as i8).map(|value| value.max(-127)).collect()
    }

    fn scales(count: usize) -> Vec<f32> {
        (0..count).map(|index| 0.01 + index as f32 * 0.003).collect()
    }

    #[track_caller]
    fn comes_back<const D: usize>(shape: [usize; D], count: usize, per: Granularity) {
        let (values, scales) = (values(shape.iter().product()), scales(count));
        let tensor = quantized(&values, shape, &scales, per, &Device::flex());
        assert!(is_quantized(&tensor));
        assert_eq!(tensor.dims(), shape);
        let read = Quantized::read(&tensor).expect("the blocks are ours");
        assert_eq!(read, Quantized { values, scales, per }, "{shape:?} {per:?}");
    }

    #[test]
    fn values_and_scales_come_back() {
        for inputs in [1, 3, 255, 256, 257, 784, 1021] {
            comes_back([inputs, 5], 1, Granularity::Tensor);
            comes_back([inputs, 5], 5, Granularity::Axis(1));
            comes_back([inputs, 300], 300, Granularity::output(2));
        }
        comes_back([7, 300], 7, Granularity::Axis(0));
        comes_back([256, 5], 8 * 5, Granularity::Group(32));
        comes_back([6, 300, 3, 3], 6, Granularity::output(4));
        comes_back([6, 4, 3, 3], 4, Granularity::Axis(1));
        comes_back([6, 8, 3, 3], 6 * 2, Granularity::Group(4));
        comes_back([9, 4, 5], 9, Granularity::output(3));
    }

    #[test]
    fn a_dense_tensor_is_scale_times_value() {
        let device = Device::flex();
        let (inputs, outputs) = (514, 3);
        let (values, scales) = (values(inputs * outputs), scales(2 * outputs));
        for (per, count) in
            [(Granularity::Tensor, 1), (Granularity::Axis(1), outputs), (Granularity::Group(2), outputs)]
        {
            let count = if let Granularity::Group(size) = per { inputs / size * count } else { count };
            let scales: Vec<f32> = scales.iter().cycle().take(count).copied().collect();
            let tensor = quantized(&values, [inputs, outputs], &scales, per, &device);
            let floats: Vec<f32> = dense(tensor).into_data().try_into_vec().expect("float32");
            for (index, (&value, float)) in values.iter().zip(floats).enumerate() {
                let (input, output) = (index / outputs, index % outputs);
                let scale = match per {
                    Granularity::Tensor => scales[0],
                    Granularity::Axis(_) => scales[output],
                    Granularity::Group(size) => scales[input / size * outputs + output],
                };
                assert_eq!(float, scale * f32::from(value), "{per:?} {index}");
            }
        }
    }

    #[test]
    fn blocks_are_few_and_equal_where_they_can_be() {
        for (side, expected) in
            [(1, 1), (255, 255), (256, 128), (784, 196), (1024, 128), (257, 129), (510, 255)]
        {
            assert_eq!(block(side), expected, "{side}");
        }
    }

    #[test]
    fn blocks_of_burns_own_are_read_where_they_have_a_name() {
        let device = Device::flex();
        let x = crate::testing::random([8, 6], &device);
        let scheme = QuantScheme::default().with_value(QuantValue::Q8S);
        let per =
            |scheme: QuantScheme| Quantized::read(&x.clone().quantize_dynamic(&scheme)).map(|read| read.per);
        assert_eq!(per(scheme), Some(Granularity::Tensor));
        assert_eq!(per(scheme.per_block([4, 1], ScaleDtype::F32)), Some(Granularity::Group(4)));
        assert_eq!(per(scheme.per_block([1, 6], ScaleDtype::F32)), Some(Granularity::Axis(0)));
        assert_eq!(per(scheme.per_block([8, 6], ScaleDtype::F32)), Some(Granularity::Tensor));
        assert_eq!(per(scheme.per_block([2, 3], ScaleDtype::F32)), None);
        assert_eq!(Quantized::read(&x), None);
    }

    #[test]
    #[should_panic(expected = "one scale per index of axis 1")]
    fn scales_must_fit() {
        quantized(&[0; 6], [2, 3], &[1.0; 2], Granularity::Axis(1), &Device::flex());
    }

    #[test]
    #[should_panic(expected = "does not divide")]
    fn groups_must_divide_the_inputs() {
        quantized(&[0; 6], [2, 3], &[1.0; 3], Granularity::Group(4), &Device::flex());
    }
}
