//! The inner loop of convolution: weighted sums of shifted rows.

#![expect(unsafe_code, reason = "bounds are checked once per call instead of once per load")]

use super::registers::{Kernel, Registers};
use super::vector::Vector;

/// Rows of output that the weights are packed for at a time.
pub(super) const ROWS: usize = 8;

/// Positions are computed in whole tiles of this many, a multiple of every register tile.
pub(super) const POSITIONS: usize = 48;

/// `output[r, p] = Σ_t weight[t, r] · source[offset[t] + p]` for `p` in `0..positions`.
pub(super) struct Correlate<'a> {
    /// Values, with `POSITIONS` readable cells behind the last that is needed.
    pub(super) source: &'a [f32],
    /// Where each tap's row begins in `source`.
    pub(super) offsets: &'a [usize],
    /// `[rows / ROWS, taps, ROWS]`, see [`pack`].
    pub(super) weight: &'a [f32],
    /// `[rows, pitch]`, rows a multiple of [`ROWS`], pitch a multiple of [`POSITIONS`].
    pub(super) output: &'a mut [f32],
    /// Cells per row of `output`.
    pub(super) pitch: usize,
    /// Positions to compute; rounded up to [`POSITIONS`].
    pub(super) positions: usize,
}

impl Correlate<'_> {
    /// Computes the first `positions` columns of `output`, and what is left of their last tile.
    ///
    /// # Panics
    /// When a slice is shorter than its shape says.
    pub(super) fn compute(self) {
        self.compute_with(Registers::widest());
    }

    fn compute_with(self, registers: Registers) {
        let tiles = self.positions.div_ceil(POSITIONS) * POSITIONS;
        let last = self.offsets.iter().max().copied().unwrap_or(0);
        let rows = self.output.len() / self.pitch;
        assert!(tiles <= self.pitch && rows * self.pitch == self.output.len(), "output is not whole rows");
        assert!(rows.is_multiple_of(ROWS), "rows are not padded");
        assert!(last + tiles <= self.source.len(), "source ends before the last tap's row");
        assert!(rows * self.offsets.len() == self.weight.len(), "weights are not packed for these rows");
        // SAFETY: the lines above are the bounds of every access in `run`, and `Registers` are only made
        // where the processor has them.
        unsafe { self.run_with(registers) }
    }
}

impl Kernel for Correlate<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector, const R: usize, const C: usize>(self) {
        let taps = self.offsets.len();
        let rows = self.output.len() / self.pitch;
        let width = C * V::LANES;
        let output = self.output.as_mut_ptr();
        let mut position = 0;
        while position < self.positions {
            for row in (0..rows).step_by(R) {
                // SAFETY: `compute` checked that rows, taps and whole tiles of positions lie in the slices;
                // `R` divides `ROWS` and `width` divides `POSITIONS`.
                unsafe {
                    let mut weight = self.weight.as_ptr().add((row / ROWS) * ROWS * taps + row % ROWS);
                    let source = self.source.as_ptr().add(position);
                    let mut sums = [[V::zero(); C]; R];
                    for &offset in self.offsets {
                        let mut values = [V::zero(); C];
                        for (column, value) in values.iter_mut().enumerate() {
                            *value = V::load(source.add(offset + column * V::LANES));
                        }
                        for (lane, sums) in sums.iter_mut().enumerate() {
                            let factor = V::splat(*weight.add(lane));
                            for (sum, value) in sums.iter_mut().zip(values) {
                                *sum = factor.multiply_add(value, *sum);
                            }
                        }
                        weight = weight.add(ROWS);
                    }
                    for (lane, sums) in sums.into_iter().enumerate() {
                        let target = output.add((row + lane) * self.pitch + position);
                        for (column, sum) in sums.into_iter().enumerate() {
                            sum.store(target.add(column * V::LANES));
                        }
                    }
                }
            }
            position += width;
        }
    }
}

/// Packs `rows × taps` weights for [`Correlate`], with zero rows up to a multiple of [`ROWS`].
pub(super) fn pack(rows: usize, taps: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut packed = vec![0.0; rows.div_ceil(ROWS) * ROWS * taps];
    for row in 0..rows {
        for tap in 0..taps {
            packed[(row / ROWS) * ROWS * taps + tap * ROWS + row % ROWS] = weight(row, tap);
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, small enough for exact sums.
    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919 + 13) % 31) as f32 - 15.0).collect()
    }

    fn naive(source: &[f32], offsets: &[usize], weight: impl Fn(usize, usize) -> f32, at: [usize; 2]) -> f32 {
        offsets.iter().enumerate().map(|(tap, offset)| weight(at[0], tap) * source[offset + at[1]]).sum()
    }

    #[test]
    fn every_kind_of_register_sums_shifted_rows() {
        for (rows, offsets, positions) in
            [(3, vec![0, 5, 1], 10usize), (16, vec![7], 48), (9, vec![0, 1, 2, 30, 31], 97), (8, vec![], 5)]
        {
            let pitch = positions.div_ceil(POSITIONS) * POSITIONS;
            let source = values(pitch + 31);
            let weights = values(rows * offsets.len());
            let weight = |row: usize, tap: usize| weights[row * offsets.len() + tap];
            let packed = pack(rows, offsets.len(), weight);
            for registers in Registers::available() {
                let mut output = vec![f32::NAN; rows.div_ceil(ROWS) * ROWS * pitch];
                Correlate {
                    source: &source,
                    offsets: &offsets,
                    weight: &packed,
                    output: &mut output,
                    pitch,
                    positions,
                }
                .compute_with(registers);
                for row in 0..rows {
                    for position in 0..positions {
                        let expected = naive(&source, &offsets, weight, [row, position]);
                        assert_eq!(output[row * pitch + position], expected, "{registers:?}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "source")]
    fn a_source_that_ends_too_early_is_refused() {
        let mut output = vec![0.0; ROWS * POSITIONS];
        Correlate {
            source: &values(POSITIONS + 3),
            offsets: &[4],
            weight: &[1.0; ROWS],
            output: &mut output,
            pitch: POSITIONS,
            positions: 1,
        }
        .compute();
    }
}
