//! Products of matrices by the crate `gemm`, into memory that is not zeroed first.

#![expect(
    unsafe_code,
    reason = "a library's kernel takes pointers, and results are made without being zeroed first"
)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use gemm::Parallelism;
use rayon::prelude::*;
use std::borrow::Cow;
use std::mem::MaybeUninit;

use crate::flex::buffer::fill_chunks;
use crate::flex::extension::values;

/// Rows that one task takes, whatever the number of threads.
const ROWS: usize = 128;
/// The fewest multiplications that are worth more than one thread.
const WORTH_THREADS: usize = 192 * 192 * 192;

/// A matrix in order, or turned round.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Values from row to row and from column to column.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Rows that lie behind each other.
    ///
    /// # Panics
    /// When there are not `rows × columns` values.
    pub(super) fn new(values: &'a [f32], [rows, columns]: [usize; 2]) -> Self {
        assert_eq!(values.len(), rows * columns, "{rows} rows of {columns} values");
        Self { values, rows, columns, strides: [columns, 1] }
    }

    /// Rows become columns; nothing is moved.
    pub(super) fn transposed(self) -> Self {
        let Self { values, rows, columns, strides: [down, across] } = self;
        Self { values, rows: columns, columns: rows, strides: [across, down] }
    }

    /// `A B`, and `start` added to each row, as rows that lie behind each other.
    ///
    /// # Panics
    /// When A's columns are not B's rows, or `start` is no row of the result.
    pub(super) fn times(self, other: Matrix<'_>, start: Option<&[f32]>) -> Vec<f32> {
        assert_eq!(self.columns, other.rows, "columns of the left matrix, rows of the right one");
        assert!(start.is_none_or(|start| start.len() == other.columns), "one start for each column");
        let (rows, columns) = (self.rows, other.columns);
        let work = rows.saturating_mul(columns).saturating_mul(self.columns);
        let (chunk, parallelism) = match work {
            ..WORTH_THREADS => (rows, Parallelism::None),
            // Each task takes some rows, and finds their start still in its cache.
            _ if rows >= 2 * ROWS => (ROWS, Parallelism::None),
            _ => (rows, Parallelism::Rayon(0)),
        };
        // SAFETY: `product` writes every value of its chunk.
        unsafe {
            fill_chunks(rows * columns, chunk * columns, |index, chunk| {
                if let Some(start) = start {
                    chunk.chunks_exact_mut(columns).for_each(|row| {
                        row.write_copy_of_slice(start);
                    });
                }
                self.product(other, index * ROWS, chunk, start.is_some(), parallelism);
            })
        }
    }

    /// The rows of `A B` from `first` on, as many as fill `output`, added to what is there or written.
    ///
    /// # Safety
    /// With `add`, `output` was written.
    unsafe fn product(
        self,
        other: Matrix<'_>,
        first: usize,
        output: &mut [MaybeUninit<f32>],
        add: bool,
        parallelism: Parallelism,
    ) {
        let rows = output.len() / other.columns;
        assert!(first + rows <= self.rows, "no more rows than there are");
        let [left, right] =
            [self.strides, other.strides].map(|strides| strides.map(|stride| stride as isize));
        let values = &self.values[first * self.strides[0]..];
        // SAFETY: both matrices hold `rows × columns` values in either order (see `Matrix::new`), of the left one
        // `first` rows are skipped and `rows` taken, which are there, and `output` holds `rows` rows of the right
        // one's columns. It is only read where the caller wrote it.
        unsafe {
            gemm::gemm(
                rows,
                other.columns,
                self.columns,
                output.as_mut_ptr().cast::<f32>(),
                1,
                other.columns as isize,
                add,
                values.as_ptr(),
                left[1],
                left[0],
                other.values.as_ptr(),
                right[1],
                right[0],
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

/// The sum of all rows of `columns` values.
pub(super) fn sum_of_rows(values: &[f32], columns: usize) -> Vec<f32> {
    let add = |mut sums: Vec<f32>, row: &[f32]| {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        sums
    };
    let parts: Vec<Vec<f32>> = values
        .par_chunks(ROWS * columns)
        .map(|part| part.chunks_exact(columns).fold(vec![0.0; columns], add))
        .collect();
    parts.iter().fold(vec![0.0; columns], |sums, part| add(sums, part))
}

/// The values of a weight, which may have been turned round: tied embeddings are, and need not be copied for it.
pub(super) struct Weight<'a> {
    values: Cow<'a, [f32]>,
    shape: [usize; 2],
    turned: bool,
}

impl<'a> Weight<'a> {
    pub(super) fn new(tensor: &'a FloatTensor<Flex>) -> Self {
        let [rows, columns] = tensor.shape().dims();
        let layout = tensor.layout();
        let whole = tensor.storage::<f32>();
        let turned = layout.start_offset() == 0
            && layout.strides() == [1, rows as isize]
            && whole.len() == rows * columns;
        match turned {
            true => Self { values: Cow::Borrowed(whole), shape: [columns, rows], turned },
            false => Self { values: values(tensor), shape: [rows, columns], turned },
        }
    }

    pub(super) fn matrix(&self) -> Matrix<'_> {
        let matrix = Matrix::new(&self.values, self.shape);
        if self.turned { matrix.transposed() } else { matrix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(length: usize, seed: usize) -> Vec<f32> {
        (0..length).map(|index| ((index * 7 + seed * 13) % 23) as f32 - 11.0).collect()
    }

    fn check([rows, depth, columns]: [usize; 3], turned: [bool; 2], start: bool) {
        let (a, b, row) = (ramp(rows * depth, 1), ramp(depth * columns, 2), ramp(columns, 3));
        let matrix = |values, [rows, columns]: [usize; 2], turned| match turned {
            true => Matrix::new(values, [columns, rows]).transposed(),
            false => Matrix::new(values, [rows, columns]),
        };
        let left = matrix(&a, [rows, depth], turned[0]);
        let right = matrix(&b, [depth, columns], turned[1]);
        let found = left.times(right, start.then_some(&row[..]));
        let at = |matrix: &Matrix<'_>, row: usize, column: usize| {
            matrix.values[row * matrix.strides[0] + column * matrix.strides[1]]
        };
        for i in 0..rows {
            for j in 0..columns {
                let sum: f32 = (0..depth).map(|k| at(&left, i, k) * at(&right, k, j)).sum();
                let begin = if start { row[j] } else { 0.0 };
                // Whole numbers this small are exact.
                assert_eq!(found[i * columns + j], begin + sum, "{rows} {depth} {columns} at {i}, {j}");
            }
        }
    }

    #[test]
    fn many_rows_and_much_work_are_shared_out() {
        for start in [false, true] {
            for turned in [[false, false], [true, false], [false, true], [true, true]] {
                check([3 * ROWS + 5, 150, 130], turned, start);
                check([64, 700, 170], turned, start);
            }
        }
    }

    #[test]
    fn products_are_their_sums() {
        for size in [[1, 1, 1], [1, 19, 7], [7, 1, 19], [19, 7, 1], [16, 16, 16], [5, 17, 33]] {
            for turned in [[false, false], [true, false], [false, true], [true, true]] {
                check(size, turned, false);
                check(size, turned, true);
            }
        }
    }

    #[test]
    fn rows_are_summed() {
        for (rows, columns) in [(1, 1), (3, 5), (ROWS, 2), (2 * ROWS + 1, 7)] {
            let values = ramp(rows * columns, 4);
            let sums: Vec<f32> =
                (0..columns).map(|column| values.iter().skip(column).step_by(columns).sum()).collect();
            assert_eq!(sum_of_rows(&values, columns), sums);
        }
    }
}
