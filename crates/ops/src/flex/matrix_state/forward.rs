//! The outputs and the last state.

#![expect(unsafe_code, reason = "tasks write columns of one matrix; bounds are checked once per chunk")]

use super::super::columns::{Columns, LANES, Lanes, load};
use super::super::registers::{Kernel, Registers};
use super::super::vector::Vector;
use super::{Block, CHUNK, Change, Given, Kept, MatrixState, shares};
use rayon::prelude::*;
use std::ops::Range;

impl MatrixState {
    /// The outputs `[batch, heads, length, value]`, and behind them the last state `[batch, heads, key, value]`; and
    /// what the gradient needs, where it is wanted.
    pub(in super::super) fn forward(&self, given: &Given<'_>, keep: bool) -> (Vec<f32>, Kept) {
        self.forward_with(given, keep, Registers::widest())
    }

    fn forward_with(&self, given: &Given<'_>, keep: bool, registers: Registers) -> (Vec<f32>, Kept) {
        let outputs = self.rows() * self.length * self.value;
        let inner = if keep && self.rule.change != Change::Addition { outputs } else { 0 };
        let mut states = Vec::new();
        let fill = |columns: &[Columns; 2]| {
            let task = |task: usize| {
                let block = self.block(task / self.blocks(), task % self.blocks());
                self.run(given, block, keep, registers, columns)
            };
            (0..self.rows() * self.blocks()).into_par_iter().map(task).collect_into_vec(&mut states);
        };
        let lengths = [outputs + self.rows() * self.key * self.value, inner];
        // SAFETY: the blocks are all value channels of all rows, and each stores all its tokens and its state.
        let [values, inner] = unsafe { Columns::fill(lengths, fill) };
        (values, Kept { states, inner })
    }

    /// Runs a block; gives the states before every chunk.
    fn run(
        &self,
        given: &Given<'_>,
        block: Block,
        keep: bool,
        registers: Registers,
        columns: &[Columns; 2],
    ) -> Vec<Lanes> {
        let place = |channel: usize| (block.index * self.key + channel) * self.value + block.first;
        let mut state: Vec<Lanes> =
            (0..self.key).map(|channel| load(given.state, place(channel), block.count)).collect();
        let mut kept = Vec::new();
        let mut decay = vec![1.0; self.key];
        for start in (0..self.length).step_by(CHUNK) {
            if keep {
                kept.extend_from_slice(&state);
            }
            Advance {
                shape: self,
                given,
                block,
                tokens: start..(start + CHUNK).min(self.length),
                keep: keep && self.rule.change != Change::Addition,
                decay: &mut decay,
                state: &mut state,
                columns,
            }
            .compute_with(registers);
        }
        let outputs = self.rows() * self.length * self.value;
        for (channel, lanes) in state.iter().enumerate() {
            // SAFETY: every value channel of every row belongs to one block, and a block is one task.
            unsafe { columns[0].store(outputs + place(channel), &lanes[..block.count]) };
        }
        kept
    }
}

/// Some tokens of a block.
struct Advance<'a> {
    shape: &'a MatrixState,
    given: &'a Given<'a>,
    block: Block,
    tokens: Range<usize>,
    /// Whether what a token finds wrong, or takes, is kept.
    keep: bool,
    /// Room for the shares of one token, `[key]`.
    decay: &'a mut [f32],
    /// `[key]`.
    state: &'a mut [Lanes],
    columns: &'a [Columns; 2],
}

/// Sums that do not wait for each other.
const SUMS: usize = 4;

/// `Σ_c factor_c state_c` of one part of the lanes.
///
/// # Safety
/// The processor has the instructions of `V`; behind `state` lie as many rows of [`LANES`] as there are factors.
#[inline(always)]
unsafe fn read<V: Vector>(state: *const f32, factors: &[f32]) -> V {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [V::zero(); SUMS];
        let term = |channel: usize, sum: V| {
            V::splat(*factors.get_unchecked(channel)).multiply_add(V::load(state.add(channel * LANES)), sum)
        };
        let whole = factors.len() / SUMS * SUMS;
        for first in (0..whole).step_by(SUMS) {
            for (step, sum) in sums.iter_mut().enumerate() {
                *sum = term(first + step, *sum);
            }
        }
        for channel in whole..factors.len() {
            sums[0] = term(channel, sums[0]);
        }
        add(add(sums[0], sums[1]), add(sums[2], sums[3]))
    }
}

/// `state_c ← decay_c state_c + Σ_n factors_nc added_n` of one part of the lanes, and `Σ_c reader_c state_c` behind
/// it. The decay is left out unless it `FADES`.
///
/// # Safety
/// The processor has the instructions of `V`; all slices are as long as the reader, and behind `state` lie as many
/// rows of [`LANES`].
#[inline(always)]
unsafe fn update<V: Vector, const N: usize, const FADES: bool>(
    state: *mut f32,
    decay: &[f32],
    factors: [&[f32]; N],
    added: [V; N],
    reader: &[f32],
) -> V {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [V::zero(); SUMS];
        let term = |channel: usize, sum: V| {
            let place = state.add(channel * LANES);
            let mut value = V::load(place);
            if FADES {
                value = V::splat(*decay.get_unchecked(channel)).multiply_add(value, V::zero());
            }
            for (factors, added) in factors.iter().zip(added) {
                value = V::splat(*factors.get_unchecked(channel)).multiply_add(added, value);
            }
            value.store(place);
            V::splat(*reader.get_unchecked(channel)).multiply_add(value, sum)
        };
        let whole = reader.len() / SUMS * SUMS;
        for first in (0..whole).step_by(SUMS) {
            for (step, sum) in sums.iter_mut().enumerate() {
                *sum = term(first + step, *sum);
            }
        }
        for channel in whole..reader.len() {
            sums[0] = term(channel, sums[0]);
        }
        add(add(sums[0], sums[1]), add(sums[2], sums[3]))
    }
}

/// `left + right`.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn add<V: Vector>(left: V, right: V) -> V {
    // SAFETY: the caller's.
    unsafe { V::splat(1.0).multiply_add(left, right) }
}

impl Advance<'_> {
    fn compute_with(self, registers: Registers) {
        let key = self.shape.key;
        assert!(self.state.len() == key && self.decay.len() == key, "the state is of another width");
        assert!(self.given.query.width == key && self.given.key.width == key, "keys are of another width");
        if self.shape.rule.change == Change::RankOne {
            assert!(
                self.given.first.width == key && self.given.second.width == key,
                "rank one is of another width"
            );
        }
        // SAFETY: the lines above are the bounds of every access in `run`, and `Registers` are only made where the
        // processor has them.
        unsafe { self.run_with(registers) }
    }
}

impl Kernel for Advance<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector, const R: usize, const C: usize>(self) {
        let Self { shape, given, block, tokens, keep, decay, state, columns } = self;
        let Block { row, index, first, count } = block;
        let state: *mut f32 = state.as_mut_ptr().cast();
        for token in tokens {
            let (query, key) = (given.query.at(row, token), given.key.at(row, token));
            let value = load(given.value.at(row, token), first, count);
            shares(shape.rule.keeps, given.decay.at(row, token), decay);
            let (mut output, mut inner) = ([0.0f32; LANES], [0.0f32; LANES]);
            for part in (0..LANES).step_by(V::LANES) {
                // SAFETY: `compute_with` saw that all slices are as wide as the key; a part lies inside the lanes.
                unsafe {
                    let state = state.add(part);
                    let value = V::load(value.as_ptr().add(part));
                    let read = match shape.rule.change {
                        Change::Addition if shape.rule.reads_before => {
                            let output = read(state, query);
                            update::<V, 1, true>(state, decay, [key], [value], query);
                            output
                        }
                        Change::Addition => update::<V, 1, true>(state, decay, [key], [value], query),
                        Change::Correction => {
                            let strength = V::splat(given.first.at(row, token)[0]);
                            let answer = update::<V, 0, true>(state, decay, [], [], key);
                            let wrong = V::splat(-1.0).multiply_add(answer, value);
                            wrong.store(inner.as_mut_ptr().add(part));
                            let correction = strength.multiply_add(wrong, V::zero());
                            update::<V, 1, false>(state, decay, [key], [correction], query)
                        }
                        Change::RankOne => {
                            let taken: V = read(state, given.first.at(row, token));
                            taken.store(inner.as_mut_ptr().add(part));
                            let write = given.second.at(row, token);
                            update::<V, 2, true>(state, decay, [write, key], [taken, value], query)
                        }
                    };
                    read.store(output.as_mut_ptr().add(part));
                }
            }
            let place = (index * shape.length + token) * shape.value + first;
            // SAFETY: every value channel of every row belongs to one block, and a block is one task.
            unsafe {
                columns[0].store(place, &output[..count]);
                if keep {
                    columns[1].store(place, &inner[..count]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Keeps, Rule, Tokens};
    use super::*;

    /// `count` values that look random, between −1 and 1.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919 + seed * 104_729) as f32 * 0.618).sin()).collect()
    }

    #[test]
    fn every_kind_of_register_gives_the_same() {
        let [batch, heads, length] = [2, 1, 70];
        for (key, value) in [(1, 1), (5, 16), (17, 35)] {
            let widths = [key, key, value, key, key, key];
            let given = widths.map(|width| values(batch * heads * length * width, width));
            // Shares are below 1, so that nothing grows.
            let shares: Vec<f32> = given[3].iter().map(|share| 0.5 + 0.4 * share).collect();
            let small: Vec<f32> = given[5].iter().map(|write| 0.1 * write).collect();
            let state = values(batch * heads * key * value, 3);
            let tokens = |values, width| Tokens {
                values,
                offset: 0,
                strides: [heads * length * width, length * width, width],
                width,
            };
            let strength = values(batch * heads * length, 9);
            for change in [Change::Addition, Change::Correction, Change::RankOne] {
                let first = if change == Change::Correction { (&strength, 1) } else { (&given[4], key) };
                let given = Given {
                    query: tokens(&given[0], key),
                    key: tokens(&small, key),
                    value: tokens(&given[2], value),
                    decay: tokens(&shares, key),
                    first: tokens(first.0, first.1),
                    second: tokens(&small, key),
                    state: &state,
                };
                let rule = Rule { change, keeps: Keeps::Shares, reads_before: false };
                let shape = MatrixState { batch, heads, length, key, value, rule };
                let (expected, _) = shape.forward_with(&given, false, Registers::Portable);
                assert!(
                    expected.iter().any(|value| value.abs() > 0.1)
                        && expected.iter().all(|value| value.is_finite())
                );
                for registers in Registers::available() {
                    let (found, kept) = shape.forward_with(&given, true, registers);
                    let close = |(found, expected): (&f32, &f32)| {
                        (found - expected).abs() <= 1e-4 * expected.abs().max(1.0)
                    };
                    assert!(
                        found.iter().zip(&expected).all(close),
                        "{change:?}, {key} × {value}, {registers:?}"
                    );
                    assert_eq!(kept.states.len(), batch * heads * value.div_ceil(LANES));
                }
            }
        }
    }
}
