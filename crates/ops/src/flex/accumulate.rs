//! The inner loop of convolution's weight gradient: inner products with shifted rows.

#![expect(unsafe_code, reason = "bounds are checked once per call instead of once per load")]

use super::correlate::POSITIONS;
use super::registers::{Kernel, Registers};
use super::vector::Vector;

/// `sums[r, t] += Σ_p left[r, p] · right[offset[t] + p]` for `p` in `0..positions`.
pub(super) struct Accumulate<'a> {
    /// `[rows, pitch]`, zero behind `positions` up to a multiple of [`POSITIONS`].
    pub(super) left: &'a [f32],
    /// Cells per row of `left`.
    pub(super) pitch: usize,
    /// Finite values, with [`POSITIONS`] readable cells behind the last that is needed.
    pub(super) right: &'a [f32],
    /// Where each tap's row begins in `right`.
    pub(super) offsets: &'a [usize],
    /// `[rows, taps]`.
    pub(super) sums: &'a mut [f32],
    /// Positions to sum over; rounded up to [`POSITIONS`].
    pub(super) positions: usize,
}

impl Accumulate<'_> {
    /// Adds to all of `sums`.
    ///
    /// # Panics
    /// When a slice is shorter than its shape says.
    pub(super) fn compute(self) {
        self.compute_with(Registers::widest());
    }

    fn compute_with(self, registers: Registers) {
        let tiles = self.positions.div_ceil(POSITIONS) * POSITIONS;
        let last = self.offsets.iter().max().copied().unwrap_or(0);
        assert!(tiles <= self.pitch && self.left.len().is_multiple_of(self.pitch), "left is not whole rows");
        assert!(last + tiles <= self.right.len(), "right ends before the last tap's row");
        let sums = self.left.len() / self.pitch * self.offsets.len();
        assert!(sums == self.sums.len(), "there is not one sum for each row and tap");
        // SAFETY: the lines above are the bounds of every access in `run`, and `Registers` are only made
        // where the processor has them.
        unsafe { self.run_with(registers) }
    }

    /// One register tile: `A` rows by `B` taps from `row` and `tap` on.
    ///
    /// # Safety
    /// The processor has the instructions of `V`; `row + A` and `tap + B` are at most the rows and taps.
    #[inline(always)]
    unsafe fn tile<V: Vector, const A: usize, const B: usize>(&mut self, row: usize, tap: usize) {
        let taps = self.offsets.len();
        // SAFETY: `compute` checked the bounds of rows, taps and whole tiles of positions, of which the
        // lanes are a divisor.
        unsafe {
            let left = self.left.as_ptr().add(row * self.pitch);
            let right = self.right.as_ptr();
            let offsets: [usize; B] = std::array::from_fn(|column| self.offsets[tap + column]);
            let mut sums = [[V::zero(); B]; A];
            let mut position = 0;
            while position < self.positions {
                let mut values = [V::zero(); B];
                for (value, offset) in values.iter_mut().zip(offsets) {
                    *value = V::load(right.add(offset + position));
                }
                for (lane, sums) in sums.iter_mut().enumerate() {
                    let factor = V::load(left.add(lane * self.pitch + position));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = factor.multiply_add(value, *sum);
                    }
                }
                position += V::LANES;
            }
            for (lane, sums) in sums.into_iter().enumerate() {
                for (column, sum) in sums.into_iter().enumerate() {
                    self.sums[(row + lane) * taps + tap + column] += sum.sum();
                }
            }
        }
    }

    /// All taps for `A` rows from `row` on.
    ///
    /// # Safety
    /// As for [`Accumulate::tile`].
    #[inline(always)]
    unsafe fn rows<V: Vector, const A: usize, const B: usize>(&mut self, row: usize) {
        let taps = self.offsets.len();
        let whole = taps / B * B;
        // SAFETY: both loops stay below the number of taps.
        unsafe {
            for tap in (0..whole).step_by(B) {
                self.tile::<V, A, B>(row, tap);
            }
            for tap in whole..taps {
                self.tile::<V, A, 1>(row, tap);
            }
        }
    }
}

impl Kernel for Accumulate<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector, const R: usize, const C: usize>(mut self) {
        let rows = self.left.len() / self.pitch;
        let whole = rows / R * R;
        // SAFETY: both loops stay below the number of rows.
        unsafe {
            for row in (0..whole).step_by(R) {
                self.rows::<V, R, C>(row);
            }
            for row in whole..rows {
                self.rows::<V, 1, C>(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, small enough for exact sums.
    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919 + 13) % 31) as f32 - 15.0).collect()
    }

    #[test]
    fn every_kind_of_register_takes_inner_products() {
        for (rows, offsets, positions) in
            [(3, vec![0, 5, 1], 10usize), (16, vec![7], 48), (9, vec![0, 1, 2, 30, 31], 97), (8, vec![], 5)]
        {
            let pitch = positions.div_ceil(POSITIONS) * POSITIONS;
            let right = values(pitch + 31);
            let mut left = values(rows * pitch);
            for row in left.chunks_mut(pitch) {
                row[positions..].fill(0.0);
            }
            for registers in Registers::available() {
                let mut sums = vec![1.0; rows * offsets.len()];
                Accumulate {
                    left: &left,
                    pitch,
                    right: &right,
                    offsets: &offsets,
                    sums: &mut sums,
                    positions,
                }
                .compute_with(registers);
                for row in 0..rows {
                    for (tap, offset) in offsets.iter().enumerate() {
                        let products = (0..positions).map(|p| left[row * pitch + p] * right[offset + p]);
                        let expected = 1.0 + products.sum::<f32>();
                        assert_eq!(sums[row * offsets.len() + tap], expected, "{registers:?}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "right")]
    fn a_row_that_ends_too_early_is_refused() {
        let (left, right) = (values(POSITIONS), values(POSITIONS + 3));
        let mut sums = [0.0];
        let offsets = [4];
        Accumulate {
            left: &left,
            pitch: POSITIONS,
            right: &right,
            offsets: &offsets,
            sums: &mut sums,
            positions: 1,
        }
        .compute();
    }
}
