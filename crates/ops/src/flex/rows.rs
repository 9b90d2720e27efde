//! Weighted sums of the rows of a table of floats.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use burn::tensor::{DType, Tensor, TensorData};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::integer::activations;
use super::vectorized::vectorized;
use super::{extension::values, takes};

/// `y_b = Σ_t w_bt E[i_bt]` with `table` `[rows, width]` and `weights` `[batch, count]`. None where a row is not there, or
/// the kernel does not take these tensors.
pub(crate) fn weighted_rows(table: &Tensor<2>, indices: &[i64], weights: &Tensor<2>) -> Option<Tensor<2>> {
    let ([known, width], [batch, count]) = (table.dims(), weights.dims());
    let fits = takes(table) && takes(weights) && indices.len() == batch * count && are_rows(indices, known);
    if !fits {
        return None;
    }
    let (table, held) = (activations(table)?, activations(weights)?);
    let (table, held) = (values(&table), values(&held));
    let mut sums = vec![0.0; batch * width];
    let parts = sums.par_chunks_mut(width).zip(indices.par_chunks(count)).zip(held.par_chunks(count));
    parts.for_each(|((sum, indices), weights)| add_up(sum, indices, weights, &table));
    Some(Tensor::from_data(TensorData::new(sums, [batch, width]), (&weights.device(), DType::F32)))
}

/// Whether all `indices` are below `count`.
pub(super) fn are_rows(indices: &[i64], count: usize) -> bool {
    indices.iter().all(|index| usize::try_from(*index).is_ok_and(|row| row < count))
}

vectorized! {
    /// Adds `weight · row` of the rows `indices`; what weighs nothing is not looked up.
    fn add_up(sum: &mut [f32], indices: &[i64], weights: &[f32], table: &[f32]) {
        let width = sum.len();
        for (index, weight) in indices.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
            let row = &table[*index as usize * width..][..width];
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
    }
}
