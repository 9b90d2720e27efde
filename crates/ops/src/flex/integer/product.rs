//! Products of rows of activations with a matrix of whole numbers.

#![expect(
    unsafe_code,
    reason = "bounds are checked once per call, and results are made without being zeroed first"
)]

use super::super::buffer::Aligned;
use super::super::vector::Vector;
use super::activations::{Affine, Rows};
use super::dot::{Dots, Integers, Work};
use rayon::prelude::*;
use std::ops::Range;

/// Columns of a block of outputs, so that its sums and a strip of weights stay in the second-level cache.
const COLUMNS: usize = 256;

/// Rows of a block of outputs.
const ROWS: usize = 240;

/// Inputs whose weights are interleaved before they are multiplied with all rows: 32 kB of them in a strip.
const DEPTH: usize = 512;

/// Rows of which few are: the weights come from memory, row by row, and are used right away.
const FEW: usize = 4;

/// Inputs at a time for few rows: as many streams as the processor's prefetcher follows.
const FEW_DEPTH: usize = 32;

/// Products of two bytes that are not worth a second thread.
const SMALL: usize = 1 << 18;

/// The most inputs whose sum cannot overflow: 255 · 128 · inputs < 2³¹.
pub(super) const DEEPEST: usize = 65_536;

/// `y[m, n] = bias[n] + Σ_g scale[m] · scales[g, n] · Σ_k (byte[m, k] − zero[m]) · weight[k, n]`, k over the inputs of
/// group g: the inner sum in whole numbers, the outer in float32.
pub(super) struct Product<'a> {
    pub(super) rows: &'a Rows,
    /// `[inputs, columns]`.
    pub(super) weight: &'a [i8],
    pub(super) inputs: usize,
    pub(super) columns: usize,
    /// `[inputs / group, columns]`.
    pub(super) scales: &'a [f32],
    /// Inputs that share scales: all, or a multiple of four that divides them; at most [`DEEPEST`].
    pub(super) group: usize,
    /// `[columns]`.
    pub(super) bias: Option<&'a [f32]>,
}

/// A place that tasks write different parts of.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: each task writes rows and columns of its own.
unsafe impl Send for Target {}
// SAFETY: the same.
unsafe impl Sync for Target {}

impl Product<'_> {
    /// `[rows, columns]`.
    ///
    /// # Panics
    /// When a slice is shorter than its shape says.
    pub(super) fn compute(&self) -> Vec<f32> {
        self.compute_with(Dots::best())
    }

    fn compute_with(&self, dots: Dots) -> Vec<f32> {
        let Self { rows, inputs, columns, group, .. } = *self;
        let count = rows.affine.len();
        assert!(
            inputs <= rows.pitch && rows.bytes.len() == count * rows.pitch,
            "rows are shorter than the inputs"
        );
        assert!(self.weight.len() == inputs * columns, "weights are not inputs × columns");
        assert!(group <= DEEPEST && (group == inputs || group.is_multiple_of(4)), "groups of {group}");
        assert!(
            group > 0 && self.scales.len() * group == inputs * columns,
            "scales are not groups × columns"
        );
        assert!(self.bias.is_none_or(|bias| bias.len() == columns), "the bias is not one per column");
        let mut output = Vec::with_capacity(count * columns);
        let target = Target(output.as_mut_ptr());
        let blocks = self.blocks();
        let block = |(rows, columns): &(Range<usize>, Range<usize>)| {
            let block = Block { product: self, rows: rows.clone(), columns: columns.clone(), target };
            // SAFETY: the lines above are the bounds of every access, and `dots` are only made where the processor has
            // them.
            unsafe { block.run_with(dots) }
        };
        if count * inputs * columns < SMALL {
            blocks.iter().for_each(block);
        } else {
            blocks.par_iter().for_each(block);
        }
        // SAFETY: the blocks are all of the output, and each has written all that is its own.
        unsafe { output.set_len(count * columns) };
        output
    }

    /// Rows and columns of blocks that cover the output: enough for every thread, and no more columns than cached.
    fn blocks(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let (count, columns) = (self.rows.affine.len(), self.columns);
        // Strips of the widest register, four of which make a strip.
        let share = columns.div_ceil(rayon::current_num_threads()).next_multiple_of(64);
        let width = if count <= FEW { share } else { share.min(COLUMNS) };
        let parts = |length: usize, part: usize| {
            (0..length).step_by(part).map(move |start| start..(start + part).min(length))
        };
        parts(count, ROWS)
            .flat_map(|rows| parts(columns, width).map(move |columns| (rows.clone(), columns)))
            .collect()
    }
}

/// Some rows and columns of the output.
struct Block<'a> {
    product: &'a Product<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    target: Target,
}

/// What a block is computed in.
struct Scratch {
    /// Interleaved weights of a strip, a lane each: `[inputs / 4, 4 registers]`.
    packed: Aligned,
    /// Sums `[rows, columns]`, columns rounded up to whole strips and within a strip in the order of interleaving.
    sums: Vec<i32>,
    /// The same of one row that is 1 everywhere, which the zeros of the rows are multiplied with.
    ones: Vec<i32>,
    /// Columns rounded up to whole strips.
    pitch: usize,
}

impl Block<'_> {
    /// Interleaves the weights of up to one strip of columns from `column` of the product on.
    ///
    /// # Safety
    /// Inputs and column lie within the weights, and `scratch.packed` has room for the inputs.
    #[inline(always)]
    unsafe fn pack<V: Integers>(&self, inputs: Range<usize>, column: usize, scratch: &mut Scratch) {
        let strip = 4 * V::LANES;
        let (weight, pitch) = (self.product.weight, self.product.columns);
        let width = (self.columns.end - column).min(strip);
        let mut target = scratch.packed.as_mut_ptr().cast::<u8>();
        // SAFETY: whole rows are read where a whole strip of columns is left, copies of what is left elsewhere; one
        // register is written per row of inputs.
        unsafe {
            let ones = scratch.ones.as_mut_ptr().add(column - self.columns.start);
            let one = V::splat(0x0101_0101);
            let mut sums = load::<V>(ones);
            for start in inputs.clone().step_by(4) {
                let mut rows = [V::zero(); 4];
                for (row, register) in rows.iter_mut().enumerate() {
                    let input = start + row;
                    let source = input * pitch + column;
                    if input < inputs.end && width == strip {
                        *register = V::load(weight.as_ptr().add(source).cast());
                    } else if input < inputs.end {
                        let mut copy = [0; 64];
                        copy[..width].copy_from_slice(&weight[source..][..width]);
                        *register = V::load(copy.as_ptr().cast());
                    }
                }
                let quads = V::interleave(rows);
                for (sum, quads) in sums.iter_mut().zip(quads) {
                    *sum = sum.dot(one, quads);
                }
                store(quads, target.cast());
                target = target.add(4 * strip);
            }
            store(sums, ones);
        }
    }

    /// Adds the products of `R` rows from `row` of the block on with the interleaved weights of a strip.
    ///
    /// # Safety
    /// The rows lie in the block, `inputs` within them, and their interleaved weights and the strip's sums in `scratch`.
    #[inline(always)]
    unsafe fn tile<V: Integers, const R: usize>(
        &self,
        inputs: &Range<usize>,
        [row, column]: [usize; 2],
        scratch: &mut Scratch,
    ) {
        let Rows { bytes, pitch, .. } = self.product.rows;
        let strip = 4 * V::LANES;
        // SAFETY: the caller's; rows are read in whole fours, as their pitch is.
        unsafe {
            let left = bytes.as_ptr().add((self.rows.start + row) * pitch + inputs.start);
            let target = scratch.sums.as_mut_ptr().add(row * scratch.pitch + column);
            let mut weight = scratch.packed.as_ptr().cast::<i32>();
            let mut sums = [[V::zero(); 4]; R];
            for (row, sums) in sums.iter_mut().enumerate() {
                *sums = load(target.add(row * scratch.pitch));
            }
            for quad in 0..inputs.len().div_ceil(4) {
                let weights = load::<V>(weight);
                weight = weight.add(strip);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let bits = left.add(row * pitch + 4 * quad).cast::<u32>().read_unaligned();
                    let factor = V::splat(bits);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = sum.dot(factor, weights);
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                store(sums, target.add(row * scratch.pitch));
            }
        }
    }

    /// All rows of a strip, `R` at a time.
    ///
    /// # Safety
    /// As [`Block::tile`].
    #[inline(always)]
    unsafe fn strip<V: Integers, const R: usize>(
        &self,
        inputs: &Range<usize>,
        column: usize,
        scratch: &mut Scratch,
    ) {
        let rows = self.rows.len();
        let whole = rows / R * R;
        // SAFETY: the caller's; no tile has more rows than are left.
        unsafe {
            for row in (0..whole).step_by(R) {
                self.tile::<V, R>(inputs, [row, column], scratch);
            }
            match rows - whole {
                0 => {}
                1 => self.tile::<V, 1>(inputs, [whole, column], scratch),
                2 => self.tile::<V, 2>(inputs, [whole, column], scratch),
                3 => self.tile::<V, 3>(inputs, [whole, column], scratch),
                4 => self.tile::<V, 4>(inputs, [whole, column], scratch),
                _ => self.tile::<V, 5>(inputs, [whole, column], scratch),
            }
        }
    }

    /// Scales the sums of a strip of one group and adds them to the bias or to the groups before, then clears them.
    ///
    /// # Safety
    /// The strip lies in the block; the outputs of earlier groups were written.
    #[inline(always)]
    unsafe fn finish<V: Integers>(&self, group: usize, column: usize, scratch: &mut Scratch) {
        let strip = 4 * V::LANES;
        let Product { columns, scales, bias, rows, .. } = *self.product;
        let start = self.columns.start + column;
        let width = (self.columns.end - start).min(strip);
        let mut padded = [[0.0; 64]; 2];
        padded[0][..width].copy_from_slice(&scales[group * columns + start..][..width]);
        if let Some(bias) = bias {
            padded[1][..width].copy_from_slice(&bias[start..][..width]);
        }
        // SAFETY: a strip of sums is loaded and cleared, and `width` outputs of each row are written.
        unsafe {
            let ones = take::<V>(scratch.ones.as_mut_ptr().add(column));
            for row in 0..self.rows.len() {
                let Affine { scale, zero } = rows.affine[self.rows.start + row];
                let sums = take::<V>(scratch.sums.as_mut_ptr().add(row * scratch.pitch + column));
                let target = self.target.0.add((self.rows.start + row) * columns + start);
                let mut copy = [0.0; 64];
                if width < strip && group > 0 {
                    std::ptr::copy_nonoverlapping(target, copy.as_mut_ptr(), width);
                }
                let place = if width < strip { copy.as_mut_ptr() } else { target };
                for (register, (sum, ones)) in sums.into_iter().zip(ones).enumerate() {
                    let lane = register * V::LANES;
                    let sum = sum.minus_product(ones, V::splat(zero.cast_unsigned())).floats();
                    let scales = V::Floats::load(padded[0].as_ptr().add(lane));
                    let factor = V::Floats::splat(scale).multiply_add(scales, V::Floats::zero());
                    let before = if group > 0 { place.cast_const() } else { padded[1].as_ptr() };
                    let before = V::Floats::load(before.add(lane));
                    sum.multiply_add(factor, before).store(place.add(lane));
                }
                if width < strip {
                    std::ptr::copy_nonoverlapping(copy.as_ptr(), target, width);
                }
            }
        }
    }

    /// All groups, a few inputs at a time.
    ///
    /// # Safety
    /// As [`Product::compute_with`] checked.
    #[inline(always)]
    unsafe fn sweep<V: Integers, const R: usize>(&self) {
        let strip = 4 * V::LANES;
        let pitch = self.columns.len().next_multiple_of(strip);
        let depth = if self.rows.len() <= FEW { FEW_DEPTH } else { DEPTH };
        let Product { inputs, group, .. } = *self.product;
        let mut scratch = Scratch {
            packed: Aligned::zeros(depth * V::LANES),
            sums: vec![0; self.rows.len() * pitch],
            ones: vec![0; pitch],
            pitch,
        };
        for start in (0..inputs).step_by(group) {
            let end = start + group;
            for from in (start..end).step_by(depth) {
                let inputs = from..(from + depth).min(end);
                for column in (0..pitch).step_by(strip) {
                    // SAFETY: inputs and columns lie within the product, as `compute_with` checked.
                    unsafe {
                        self.pack::<V>(inputs.clone(), self.columns.start + column, &mut scratch);
                        self.strip::<V, R>(&inputs, column, &mut scratch);
                    }
                }
            }
            for column in (0..pitch).step_by(strip) {
                // SAFETY: the same.
                unsafe { self.finish::<V>(start / group, column, &mut scratch) }
            }
        }
    }
}

/// The lanes of a strip.
///
/// # Safety
/// There are four registers of them.
#[inline(always)]
unsafe fn load<V: Integers>(source: *const i32) -> [V; 4] {
    // SAFETY: the caller's.
    unsafe {
        let at = |register: usize| source.add(register * V::LANES).cast();
        [V::load(at(0)), V::load(at(1)), V::load(at(2)), V::load(at(3))]
    }
}

/// Writes the lanes of a strip.
///
/// # Safety
/// There is room for four registers of them.
#[inline(always)]
unsafe fn store<V: Integers>(lanes: [V; 4], target: *mut i32) {
    for (register, lanes) in lanes.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { lanes.store(target.add(register * V::LANES).cast()) }
    }
}

/// The lanes of a strip in the order of the columns; zeros are left behind.
///
/// # Safety
/// There are four registers of them.
#[inline(always)]
unsafe fn take<V: Integers>(sums: *mut i32) -> [V; 4] {
    // SAFETY: the caller's.
    unsafe {
        let taken = load(sums);
        store([V::zero(); 4], sums);
        V::in_order(taken)
    }
}

impl Work for Block<'_> {
    #[inline(always)]
    unsafe fn run<V: Integers, const ROWS: usize, const COLUMNS: usize>(self) {
        // SAFETY: the caller's. Six rows of four registers leave room for the weights and the factor.
        unsafe {
            if V::WIDE {
                self.sweep::<V, 6>();
            } else {
                self.sweep::<V, 2>();
            }
        }
    }
}

#[cfg(test)]
mod tests;
