//! The inner loop of convolution in whole numbers: weighted sums of shifted rows of bytes.

#![expect(unsafe_code, reason = "bounds are checked once per call instead of once per load")]

use super::super::vector::Vector;
use super::dot::{Dots, Integers, Work};

/// Rows of output that the weights are packed for at a time.
pub(super) const ROWS: usize = 8;

/// Positions are computed in whole registers of up to this many.
const POSITIONS: usize = 16;

/// Where results go.
#[derive(Debug)]
pub(super) enum Output<'a> {
    /// As they are, `[rows, pitch]`.
    Floats(&'a mut [f32]),
    /// As bytes, `round(inverse · x) + zero` within 0 to 255: four rows in each cell, `[rows / 4, pitch]`.
    Bytes { cells: &'a mut [u32], inverse: f32, zero: i32 },
}

impl Output<'_> {
    /// Values that there is room for.
    fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.len(),
            Self::Bytes { cells, .. } => 4 * cells.len(),
        }
    }
}

/// `output[r, p] = shift[r] + factor[r] · (start[r] + Σ_t weight[t, r] · source[offset[t] + p])` for `p` in
/// `0..positions`, the product that of four bytes with four bytes.
pub(super) struct Correlate<'a> {
    /// Four unsigned bytes per cell, with [`POSITIONS`] readable cells behind the last that is needed.
    pub(super) source: &'a [u32],
    /// Where each tap's row begins in `source`.
    pub(super) offsets: &'a [usize],
    /// Four signed bytes each, `[rows / ROWS, taps, ROWS]`.
    pub(super) weight: &'a [u32],
    /// `[rows]`, rows a multiple of [`ROWS`].
    pub(super) start: &'a [i32],
    /// `[rows]`.
    pub(super) factor: &'a [f32],
    /// Of the real rows; those behind are of no use to anybody.
    pub(super) shift: &'a [f32],
    /// Whether negative results become zero.
    pub(super) rectify: bool,
    /// Rows of results.
    pub(super) output: Output<'a>,
    /// Cells per row of `output`, at least the positions rounded up to [`POSITIONS`].
    pub(super) pitch: usize,
    /// Positions to compute.
    pub(super) positions: usize,
}

impl Correlate<'_> {
    /// Computes the first `positions` columns of `output`, and what is left of their last register.
    ///
    /// # Panics
    /// When a slice is shorter than its shape says.
    pub(super) fn compute(self) {
        self.compute_with(Dots::best());
    }

    fn compute_with(self, dots: Dots) {
        let positions = self.positions.next_multiple_of(POSITIONS);
        let last = self.offsets.iter().max().copied().unwrap_or(0);
        let rows = self.start.len();
        assert!(
            positions <= self.pitch && rows * self.pitch == self.output.len(),
            "output is not whole rows"
        );
        assert!(rows.is_multiple_of(ROWS), "rows are not padded");
        assert!(self.factor.len() == rows, "factors are not one per row");
        assert!(last + positions <= self.source.len(), "source ends before the last tap's row");
        assert!(rows * self.offsets.len() == self.weight.len(), "weights are not packed for these rows");
        // SAFETY: the lines above are the bounds of every access in `run`, and `dots` are only made where the
        // processor has them.
        unsafe { self.run_with(dots) }
    }

    /// `R` rows from `row` on at `C` registers of positions from `position` on.
    ///
    /// # Safety
    /// The rows lie within one pack, and rows and positions within the output.
    #[inline(always)]
    unsafe fn tile<V: Integers, const R: usize, const C: usize>(&mut self, row: usize, position: usize) {
        let taps = self.offsets.len();
        // SAFETY: the caller's, and what `compute_with` checked.
        unsafe {
            let mut weight = self.weight.as_ptr().add(row / ROWS * ROWS * taps + row % ROWS);
            let source = self.source.as_ptr().add(position);
            let mut sums = [[V::zero(); C]; R];
            for (lane, sums) in sums.iter_mut().enumerate() {
                *sums = [V::splat(self.start[row + lane].cast_unsigned()); C];
            }
            for &offset in self.offsets {
                let mut values = [V::zero(); C];
                for (column, value) in values.iter_mut().enumerate() {
                    *value = V::load(source.add(offset + column * V::LANES).cast());
                }
                for (lane, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*weight.add(lane));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = sum.dot(value, factor);
                    }
                }
                weight = weight.add(ROWS);
            }
            let mut results = [[V::Floats::zero(); C]; R];
            for (lane, (results, sums)) in results.iter_mut().zip(sums).enumerate() {
                let row = row + lane;
                let factor = V::Floats::splat(self.factor[row]);
                let shift = V::Floats::splat(self.shift.get(row).copied().unwrap_or(0.0));
                for (result, sum) in results.iter_mut().zip(sums) {
                    *result = sum.floats().multiply_add(factor, shift);
                    *result = if self.rectify { V::rectified(*result) } else { *result };
                }
            }
            match &mut self.output {
                Output::Floats(floats) => {
                    for (lane, results) in results.into_iter().enumerate() {
                        let target = floats.as_mut_ptr().add((row + lane) * self.pitch + position);
                        for (column, result) in results.into_iter().enumerate() {
                            result.store(target.add(column * V::LANES));
                        }
                    }
                }
                Output::Bytes { cells, inverse, zero } => {
                    let (inverse, zero) = (V::Floats::splat(*inverse), V::splat(zero.cast_unsigned()));
                    for (quad, results) in results.as_chunks::<4>().0.iter().enumerate() {
                        let target = cells.as_mut_ptr().add((row / 4 + quad) * self.pitch + position);
                        for column in 0..C {
                            let mut bytes = [V::zero(); 4];
                            for (byte, results) in bytes.iter_mut().zip(results) {
                                *byte =
                                    V::byte(results[column].multiply_add(inverse, V::Floats::zero()), zero);
                            }
                            V::quad(bytes).store(target.add(column * V::LANES).cast());
                        }
                    }
                }
            }
        }
    }

    /// All rows at `C` registers of positions.
    ///
    /// # Safety
    /// As [`Correlate::tile`].
    #[inline(always)]
    unsafe fn column<V: Integers, const R: usize, const C: usize>(&mut self, position: usize) {
        for row in (0..self.start.len()).step_by(R) {
            // SAFETY: the caller's; `R` divides `ROWS`, which divides the rows.
            unsafe { self.tile::<V, R, C>(row, position) }
        }
    }
}

impl Work for Correlate<'_> {
    #[inline(always)]
    unsafe fn run<V: Integers, const R: usize, const C: usize>(mut self) {
        let registers = self.positions.div_ceil(V::LANES);
        let whole = registers / C * C;
        // SAFETY: registers divide `POSITIONS`, and no tile has more of them than are left.
        unsafe {
            for register in (0..whole).step_by(C) {
                self.column::<V, R, C>(register * V::LANES);
            }
            for register in whole..registers {
                self.column::<V, R, 1>(register * V::LANES);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without a pattern.
    fn cells(count: usize) -> Vec<u32> {
        (0..count).map(|index| (index as u32 + 13).wrapping_mul(0x9e37_79b9)).collect()
    }

    fn dot(unsigned: u32, signed: u32) -> i32 {
        let (unsigned, signed) = (unsigned.to_ne_bytes(), signed.to_ne_bytes());
        unsigned.into_iter().zip(signed).map(|(u, s)| i32::from(u) * i32::from(s.cast_signed())).sum()
    }

    #[test]
    fn every_kind_of_register_sums_shifted_rows() {
        for (packs, offsets, positions) in
            [(1, vec![0, 5, 1], 10usize), (2, vec![7], 48), (1, vec![0, 1, 2, 30, 31], 97), (1, vec![], 5)]
        {
            let (rows, taps) = (packs * ROWS, offsets.len());
            let pitch = positions.next_multiple_of(POSITIONS);
            let (source, weight) = (cells(pitch + 31), cells(rows * taps + 7)[7..].to_vec());
            let start: Vec<i32> = (0..rows as i32).map(|row| 1000 * row - 5000).collect();
            for dots in Dots::available() {
                for rectify in [false, true] {
                    let compute = |output: Output<'_>| {
                        Correlate {
                            source: &source,
                            offsets: &offsets,
                            weight: &weight,
                            start: &start,
                            factor: &vec![0.5; rows],
                            shift: &vec![2.0; rows],
                            rectify,
                            output,
                            pitch,
                            positions,
                        }
                        .compute_with(dots);
                    };
                    let mut output = vec![f32::NAN; rows * pitch];
                    compute(Output::Floats(&mut output));
                    let mut cells = vec![0; rows / 4 * pitch];
                    compute(Output::Bytes { cells: &mut cells, inverse: 0.01, zero: 30 });
                    for row in 0..rows {
                        for position in 0..positions {
                            let products = offsets.iter().enumerate().map(|(tap, offset)| {
                                let at = (row / ROWS * taps + tap) * ROWS + row % ROWS;
                                dot(source[offset + position], weight[at])
                            });
                            let sum = start[row] + products.sum::<i32>();
                            let expected = sum as f32 * 0.5 + 2.0;
                            let expected = if rectify { expected.max(0.0) } else { expected };
                            assert_eq!(output[row * pitch + position], expected, "{dots:?}");
                            let byte = cells[row / 4 * pitch + position].to_ne_bytes()[row % 4];
                            let expected = ((expected * 0.01).round_ties_even() + 30.0).clamp(0.0, 255.0);
                            assert_eq!(f32::from(byte), expected, "{dots:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "source")]
    fn a_source_that_ends_too_early_is_refused() {
        Correlate {
            source: &cells(POSITIONS + 3),
            offsets: &[4],
            weight: &cells(ROWS),
            start: &[0; ROWS],
            factor: &[1.0; ROWS],
            shift: &[0.0; ROWS],
            rectify: false,
            output: Output::Floats(&mut [0.0; ROWS * POSITIONS]),
            pitch: POSITIONS,
            positions: 1,
        }
        .compute();
    }
}
