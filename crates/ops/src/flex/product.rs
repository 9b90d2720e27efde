//! Products of matrices too small to be worth a library's preparations.

#![expect(unsafe_code, reason = "bounds are checked once per call instead of once per load")]

use super::registers::{Kernel, Registers};
use super::vector::Vector;

/// Columns come in multiples of this, the floats of the widest register.
pub(super) const LANES: usize = 16;

/// `columns` rounded up to whole registers.
pub(super) fn pitch(columns: usize) -> usize {
    columns.div_ceil(LANES) * LANES
}

/// `c[i, j] = Σ_k a[i, k] · b[k, j]`, or added to what is in `c`.
pub(super) struct Product<'a> {
    /// Factors at `i · strides[0] + k · strides[1]`.
    pub(super) a: &'a [f32],
    /// Floats from row to row and from column to column of `a`.
    pub(super) strides: [usize; 2],
    /// Row `k` begins at `k · pitches[0]`.
    pub(super) b: &'a [f32],
    /// Row `i` begins at `i · pitches[1]`.
    pub(super) c: &'a mut [f32],
    /// Floats from row to row of `b` and `c`.
    pub(super) pitches: [usize; 2],
    /// Rows of `c`, its columns (a multiple of [`LANES`]), and the columns of `a`.
    pub(super) size: [usize; 3],
    /// Whether to add to `c` instead of writing over it.
    pub(super) add: bool,
}

impl Product<'_> {
    /// Computes all of `c`.
    ///
    /// # Panics
    /// When a slice is shorter than its shape says.
    pub(super) fn compute(self) {
        self.compute_with(Registers::widest());
    }

    fn compute_with(self, registers: Registers) {
        let [rows, columns, depth] = self.size;
        if rows == 0 || columns == 0 {
            return;
        }
        assert!(columns.is_multiple_of(LANES), "{columns} columns are not whole registers");
        assert!((rows - 1) * self.pitches[1] + columns <= self.c.len(), "c ends before its last row");
        if depth > 0 {
            let last = (rows - 1) * self.strides[0] + (depth - 1) * self.strides[1];
            assert!(last < self.a.len(), "a ends before its last factor");
            assert!((depth - 1) * self.pitches[0] + columns <= self.b.len(), "b ends before its last row");
        }
        // SAFETY: the lines above are the bounds of every access in `run`, and `Registers` are only made
        // where the processor has them.
        unsafe { self.run_with(registers) }
    }

    /// One register tile: `R` rows by `C` registers from `row` and `column` on.
    ///
    /// # Safety
    /// The processor has the instructions of `V`; `row + R` and `column + C · LANES` are at most the rows and
    /// columns.
    #[inline(always)]
    unsafe fn tile<V: Vector, const R: usize, const C: usize>(&mut self, row: usize, column: usize) {
        let [_, _, depth] = self.size;
        // SAFETY: `compute` checked the bounds of rows, columns and depth.
        unsafe {
            let a = self.a.as_ptr().wrapping_add(row * self.strides[0]);
            let b = self.b.as_ptr().wrapping_add(column);
            let c = self.c.as_mut_ptr().add(row * self.pitches[1] + column);
            let mut sums = [[V::zero(); C]; R];
            for k in 0..depth {
                let b = b.add(k * self.pitches[0]);
                let mut values = [V::zero(); C];
                for (register, value) in values.iter_mut().enumerate() {
                    *value = V::load(b.add(register * V::LANES));
                }
                let a = a.add(k * self.strides[1]);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*a.add(row * self.strides[0]));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = factor.multiply_add(value, *sum);
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                for (register, sum) in sums.into_iter().enumerate() {
                    let c = c.add(row * self.pitches[1] + register * V::LANES);
                    let sum = if self.add { V::splat(1.0).multiply_add(V::load(c), sum) } else { sum };
                    sum.store(c);
                }
            }
        }
    }

    /// All rows of `C` registers from `column` on.
    ///
    /// # Safety
    /// As [`Product::tile`].
    #[inline(always)]
    unsafe fn strip<V: Vector, const ROWS: usize, const C: usize>(&mut self, column: usize) {
        let [rows, _, _] = self.size;
        let mut row = 0;
        // SAFETY: no tile begins where fewer rows are left than it has.
        unsafe {
            while row + ROWS <= rows {
                self.tile::<V, ROWS, C>(row, column);
                row += ROWS;
            }
            while row < rows {
                self.tile::<V, 1, C>(row, column);
                row += 1;
            }
        }
    }
}

impl Kernel for Product<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector, const ROWS: usize, const COLUMNS: usize>(mut self) {
        let [_, columns, _] = self.size;
        let mut column = 0;
        // SAFETY: the columns are whole registers, and no strip begins where fewer are left than it has.
        unsafe {
            while column + 2 * V::LANES <= columns {
                self.strip::<V, ROWS, 2>(column);
                column += 2 * V::LANES;
            }
            while column < columns {
                self.strip::<V, ROWS, 1>(column);
                column += V::LANES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(length: usize, seed: usize) -> Vec<f32> {
        (0..length).map(|index| ((index * 7 + seed * 13) % 23) as f32 - 11.0).collect()
    }

    #[test]
    fn products_are_their_sums() {
        for [rows, columns, depth] in [[1, 16, 1], [9, 48, 5], [17, 32, 3], [4, 16, 0], [13, 80, 20]] {
            for (transposed, add) in [(false, false), (true, false), (false, true)] {
                let strides = if transposed { [1, rows] } else { [depth, 1] };
                let (a, b, before) =
                    (ramp(rows * depth, 1), ramp(depth * columns, 2), ramp(rows * columns, 3));
                for registers in Registers::available() {
                    let mut c = before.clone();
                    let pitches = [columns; 2];
                    let product = Product {
                        a: &a,
                        strides,
                        b: &b,
                        c: &mut c,
                        pitches,
                        size: [rows, columns, depth],
                        add,
                    };
                    product.compute_with(registers);
                    for i in 0..rows {
                        for j in 0..columns {
                            let sum: f32 = (0..depth)
                                .map(|k| a[i * strides[0] + k * strides[1]] * b[k * columns + j])
                                .sum();
                            let start = if add { before[i * columns + j] } else { 0.0 };
                            // Whole numbers this small are exact.
                            assert_eq!(c[i * columns + j], start + sum, "{registers:?} {rows} {i} {j}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "b ends before its last row")]
    fn bounds_are_checked() {
        let (a, b, mut c) = ([1.0; 2], [1.0; 31], [0.0; 16]);
        let (strides, pitches) = ([2, 1], [16; 2]);
        Product { a: &a, strides, b: &b, c: &mut c, pitches, size: [1, 16, 2], add: false }.compute();
    }
}
