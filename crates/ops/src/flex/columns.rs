//! Matrices of which each task writes some columns.

#![expect(
    unsafe_code,
    reason = "tasks write columns of one matrix, whose rows the borrow checker cannot split"
)]

use std::mem::MaybeUninit;

/// Channels that are computed side by side.
pub(super) const LANES: usize = 16;

/// One value for each of [`LANES`] channels.
pub(super) type Lanes = [f32; LANES];

/// The values from `first` on, and zeros behind the last of `count`.
#[inline(always)]
pub(super) fn load(values: &[f32], first: usize, count: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    if count == LANES {
        lanes.copy_from_slice(&values[first..first + LANES]);
    } else {
        lanes[..count].copy_from_slice(&values[first..first + count]);
    }
    lanes
}

/// `left · right`, lane by lane.
#[inline(always)]
pub(super) fn product(left: &Lanes, right: &Lanes) -> Lanes {
    let mut product = *left;
    for lane in 0..LANES {
        product[lane] *= right[lane];
    }
    product
}

/// The sum of all lanes, in a fixed order.
#[inline(always)]
pub(super) fn sum(lanes: &Lanes) -> f32 {
    let mut half = [0.0; LANES / 2];
    for (lane, half) in half.iter_mut().enumerate() {
        *half = lanes[lane] + lanes[lane + LANES / 2];
    }
    let quarter: [f32; 4] = std::array::from_fn(|lane| half[lane] + half[lane + 4]);
    (quarter[0] + quarter[2]) + (quarter[1] + quarter[3])
}

/// Values that are being written, by several tasks at once.
pub(super) struct Columns {
    values: *mut MaybeUninit<f32>,
    length: usize,
}

// SAFETY: a value is only written through `store`, whose callers see to it that no two tasks write the same one.
unsafe impl Sync for Columns {}

impl Columns {
    /// Makes vectors of as many floats as `lengths` says: `fill` writes every one of them.
    ///
    /// # Safety
    /// `fill` stores every value, and each in one task alone, unless it panics.
    pub(super) unsafe fn fill<const N: usize>(
        lengths: [usize; N],
        fill: impl FnOnce(&[Self; N]),
    ) -> [Vec<f32>; N] {
        let mut vectors = lengths.map(Vec::<f32>::with_capacity);
        let mut columns = vectors
            .iter_mut()
            .zip(lengths)
            .map(|(vector, length)| Self { values: vector.spare_capacity_mut().as_mut_ptr(), length });
        fill(&std::array::from_fn(|_| columns.next().expect("there are as many as lengths")));
        for (vector, length) in vectors.iter_mut().zip(lengths) {
            // SAFETY: the capacity is at least `length`, and the caller vouches that `fill` wrote all of it.
            unsafe { vector.set_len(length) };
        }
        vectors
    }

    /// Writes `values` from `first` on.
    ///
    /// # Panics
    /// When they end behind the last.
    ///
    /// # Safety
    /// No other task writes these values at the same time.
    #[inline(always)]
    pub(super) unsafe fn store(&self, first: usize, values: &[f32]) {
        assert!(first + values.len() <= self.length, "a task writes behind the last value");
        // SAFETY: the range was just checked, `fill` made room for it, and the caller vouches that it is ours.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr(), self.values.add(first).cast(), values.len())
        };
    }
}
