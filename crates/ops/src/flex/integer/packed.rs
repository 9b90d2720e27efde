//! The weights of a convolution in the order of the dot product.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::super::vectorized::vectorized;
use super::correlate::ROWS;

/// The weights as [`Correlate`](super::correlate::Correlate) reads them.
#[derive(Debug)]
pub(super) struct Packed {
    /// `[outputs / ROWS, quads of inputs, taps, ROWS]`, four inputs in each.
    pub(super) quads: Vec<u32>,
    /// The sum of each output's weights; 0 behind the outputs.
    pub(super) sums: Vec<i32>,
}

impl Packed {
    /// Of `weight` `[outputs, inputs, taps]`.
    pub(super) fn new(weight: &[i8], [outputs, inputs, taps]: [usize; 3]) -> Self {
        let (quads, rows) = (inputs.div_ceil(4), outputs.next_multiple_of(ROWS));
        let mut packed = Self { quads: vec![0; rows * quads * taps], sums: vec![0; rows] };
        let none = vec![0; taps];
        for (output, weight) in weight.chunks_exact(inputs * taps).enumerate() {
            packed.sums[output] = sum(weight);
            let target = &mut packed.quads[output / ROWS * ROWS * quads * taps..][..ROWS * quads * taps];
            let targets = target.chunks_exact_mut(ROWS * taps);
            for (weight, target) in weight.chunks(4 * taps).zip(targets) {
                let input = |index: usize| weight.get(index * taps..).and_then(|rest| rest.get(..taps));
                let inputs = [0, 1, 2, 3].map(|index| input(index).unwrap_or(&none));
                let bytes = inputs[0].iter().zip(inputs[1]).zip(inputs[2].iter().zip(inputs[3]));
                for (((&a, &b), (&c, &d)), target) in bytes.zip(target.chunks_exact_mut(ROWS)) {
                    target[output % ROWS] = u32::from_ne_bytes([a, b, c, d].map(i8::cast_unsigned));
                }
            }
        }
        packed
    }
}

vectorized! {
    /// The sum of some weights.
    fn sum(values: &[i8]) -> i32 {
        values.iter().map(|&value| i32::from(value)).sum()
    }
}
