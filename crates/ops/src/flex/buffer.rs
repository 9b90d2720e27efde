//! Buffers: results filled in parallel without being zeroed first, and scratch space that tasks hand on.

#![expect(unsafe_code, reason = "results are made without being zeroed first")]

use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

/// A vector of `length` floats made in parallel: `fill(i, chunk)` writes the `i`-th chunk of `chunk` floats
/// (the last may be shorter).
///
/// # Safety
/// `fill` writes every float of its chunk, unless it panics.
pub(super) unsafe fn fill_chunks(
    length: usize,
    chunk: usize,
    fill: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    let spare = &mut values.spare_capacity_mut()[..length];
    if length <= chunk {
        // Another thread would take longer to wake than most such chunks to fill.
        fill(0, spare);
    } else {
        spare.par_chunks_mut(chunk.max(1)).enumerate().for_each(|(index, chunk)| fill(index, chunk));
    }
    // SAFETY: the capacity is at least `length`, and `fill` has written every chunk; a fill that panics
    // does not come here.
    unsafe { values.set_len(length) };
    values
}

/// Scratch space made when none is free and kept for the next task.
pub(super) struct Pool<T, F> {
    free: Mutex<Vec<T>>,
    make: F,
}

impl<T, F: Fn() -> T> Pool<T, F> {
    /// An empty pool.
    pub(super) fn new(make: F) -> Self {
        Self { free: Mutex::new(Vec::new()), make }
    }

    /// Lends scratch space, in the state in which the last borrower left it, to `task`.
    pub(super) fn with<R>(&self, task: impl FnOnce(&mut T) -> R) -> R {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = free.unwrap_or_else(&self.make);
        let result = task(&mut scratch);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        result
    }
}

/// Zeros that begin at a cache line, so that aligned rows are read without crossing lines.
pub(super) struct Aligned {
    values: Vec<f32>,
    start: usize,
}

/// Bytes in a cache line, and in the widest register.
const LINE: usize = 64;

impl Aligned {
    /// `length` zeros.
    pub(super) fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + LINE / size_of::<f32>()];
        let start = values.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Self { values, start }
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..self.values.len() - LINE / size_of::<f32>() + self.start]
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        let end = self.values.len() - LINE / size_of::<f32>() + self.start;
        &mut self.values[self.start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_filled_in_their_places() {
        // SAFETY: the whole chunk is written.
        let values = unsafe {
            fill_chunks(7, 3, |index, chunk| {
                chunk.iter_mut().for_each(|value| {
                    value.write(index as f32);
                });
            })
        };
        assert_eq!(values, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn aligned_zeros_begin_at_a_line_and_have_their_length() {
        for length in [1, 16, 33] {
            let zeros = Aligned::zeros(length);
            assert_eq!((zeros.len(), zeros.as_ptr().align_offset(LINE)), (length, 0));
        }
    }

    #[test]
    fn scratch_space_is_handed_on() {
        let pool = Pool::new(|| 0);
        pool.with(|count| *count += 1);
        assert_eq!(pool.with(|count| *count), 1);
    }
}
