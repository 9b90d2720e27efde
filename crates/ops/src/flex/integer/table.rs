//! Rows of a quantized table.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::super::vectorized::vectorized;

/// Rows that a thread looks up at once.
const TOGETHER: usize = 1024;

/// A quantized table.
pub(super) struct Table<'a> {
    pub(super) codes: &'a [i8],
    /// Of each block, row by row.
    pub(super) scales: &'a [f32],
    /// Codes of a row.
    pub(super) width: usize,
    /// Rows and columns that share a scale.
    pub(super) blocks: [usize; 2],
    /// Blocks beside each other.
    pub(super) across: usize,
}

impl Table<'_> {
    /// The rows `indices`, all of which are there, as floats.
    pub(super) fn rows(&self, indices: &[i64]) -> Vec<f32> {
        let mut values = vec![0.0; indices.len() * self.width];
        let parts = values.par_chunks_mut((TOGETHER * self.width).max(1)).zip(indices.par_chunks(TOGETHER));
        parts.for_each(|(values, indices)| look_up(values, indices, self));
        values
    }
}

impl Table<'_> {
    /// `Σ_t w_t E[i_t]` for each row of `weights`, which are as many as `indices`, `count` in each.
    pub(super) fn sums(&self, indices: &[i64], weights: &[f32], count: usize) -> Vec<f32> {
        let mut sums = vec![0.0; indices.len() / count * self.width];
        let parts =
            sums.par_chunks_mut(self.width).zip(indices.par_chunks(count)).zip(weights.par_chunks(count));
        parts.for_each(|((sum, indices), weights)| add_up(sum, indices, weights, self));
        sums
    }
}

vectorized! {
    /// Adds `weight · scale · code` of the rows `indices`; what weighs nothing is not looked up.
    fn add_up(sum: &mut [f32], indices: &[i64], weights: &[f32], table: &Table<'_>) {
        let Table { codes, scales, width, blocks, across } = *table;
        for (index, weight) in indices.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
            let row = *index as usize;
            let codes = &codes[row * width..][..width];
            let scales = &scales[row / blocks[0] * across..][..across];
            if across == width {
                let scaled = sum.iter_mut().zip(codes).zip(scales);
                scaled.for_each(|((sum, code), scale)| *sum += weight * scale * f32::from(*code));
                continue;
            }
            let parts = sum.chunks_mut(blocks[1]).zip(codes.chunks(blocks[1])).zip(scales);
            for ((sum, codes), scale) in parts {
                let factor = weight * scale;
                sum.iter_mut().zip(codes).for_each(|(sum, code)| *sum += factor * f32::from(*code));
            }
        }
    }

    /// `scale · code` of the rows `indices`.
    fn look_up(values: &mut [f32], indices: &[i64], table: &Table<'_>) {
        let Table { codes, scales, width, blocks, across } = *table;
        for (index, values) in indices.iter().zip(values.chunks_exact_mut(width)) {
            let row = *index as usize;
            let codes = &codes[row * width..][..width];
            let scales = &scales[row / blocks[0] * across..][..across];
            if across == width {
                let scaled = values.iter_mut().zip(codes).zip(scales);
                scaled.for_each(|((value, code), scale)| *value = scale * f32::from(*code));
                continue;
            }
            let parts = values.chunks_mut(blocks[1]).zip(codes.chunks(blocks[1])).zip(scales);
            for ((values, codes), scale) in parts {
                values.iter_mut().zip(codes).for_each(|(value, code)| *value = scale * f32::from(*code));
            }
        }
    }
}
