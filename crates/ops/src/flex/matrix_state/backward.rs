//! The gradients.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::super::columns::{LANES, Lanes, product};
use super::super::vectorized::vectorized;
use super::passes::{
    Added, AddedBefore, Answered, Corrected, Moved, Scratch, Taken, Values, Vectors, along, sweep,
};
use super::{Block, CHUNK, Change, Given, Keeps, Kept, MatrixState, Row, shares};
use rayon::prelude::*;

/// What [`MatrixState::backward`] makes: `[batch, heads, length, width]` in order, and the state's
/// `[batch, heads, key, value]`.
#[derive(Debug, Default)]
pub(in super::super) struct Gradients {
    pub(in super::super) query: Vec<f32>,
    pub(in super::super) key: Vec<f32>,
    pub(in super::super) value: Vec<f32>,
    /// Of d, or of its logarithm where that was given; empty where all is kept.
    pub(in super::super) decay: Vec<f32>,
    /// Empty where nothing was given.
    pub(in super::super) first: Vec<f32>,
    /// Empty where nothing was given.
    pub(in super::super) second: Vec<f32>,
    pub(in super::super) state: Vec<f32>,
}

/// The gradients of one row.
pub(super) struct Parts<'a> {
    query: &'a mut [f32],
    key: &'a mut [f32],
    value: &'a mut [f32],
    decay: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    state: &'a mut [f32],
}

impl MatrixState {
    /// The gradients, given those of the outputs and of the last state, one behind the other.
    ///
    /// With G what reaches a state, from the last token to the first, where T is the state before the token:
    ///
    /// ```text
    /// G ← G + q ∂oᵀ                       ∂q = S ∂o
    /// addition     ∂k = G v,  ∂v = Gᵀ k,  ∂d = (G ⊙ T) 1                        G ← Diag(d) G
    /// correction   e = v − Tᵀ(d ⊙ k),  ∂u = Gᵀ k,  ∂v = β ∂u,  ∂β = ∂uᵀ e,  G' = G − k ∂vᵀ
    ///              ∂k = β G e − Diag(d) T ∂v,  ∂d = (G' ⊙ T) 1                  G ← Diag(d) G'
    /// rank one     c = Tᵀ a,  ∂b = G c,  ∂c = Gᵀ b,  ∂a = T ∂c, others as added  G ← Diag(d) G + a ∂cᵀ
    /// ```
    ///
    /// The states are computed again, a chunk at a time, from those that were kept.
    pub(in super::super) fn backward(&self, given: &Given<'_>, kept: &Kept, gradient: &[f32]) -> Gradients {
        let tokens = self.rows() * self.length;
        let decays = if self.rule.keeps == Keeps::All { 0 } else { given.decay.width };
        let (first, second) = match self.rule.change {
            Change::Addition => (0, 0),
            Change::Correction => (1, 0),
            Change::RankOne => (self.key, self.key),
        };
        let mut made = Gradients {
            query: vec![0.0; tokens * self.key],
            key: vec![0.0; tokens * self.key],
            value: vec![0.0; tokens * self.value],
            decay: vec![0.0; tokens * decays],
            first: vec![0.0; tokens * first],
            second: vec![0.0; tokens * second],
            state: vec![0.0; self.rows() * self.key * self.value],
        };
        let mut parts = Vec::with_capacity(self.rows());
        let mut rest = Parts {
            query: &mut made.query,
            key: &mut made.key,
            value: &mut made.value,
            decay: &mut made.decay,
            first: &mut made.first,
            second: &mut made.second,
            state: &mut made.state,
        };
        for _ in 0..self.rows() {
            parts.push(Parts {
                query: front(&mut rest.query, self.length * self.key),
                key: front(&mut rest.key, self.length * self.key),
                value: front(&mut rest.value, self.length * self.value),
                decay: front(&mut rest.decay, self.length * decays),
                first: front(&mut rest.first, self.length * first),
                second: front(&mut rest.second, self.length * second),
                state: front(&mut rest.state, self.key * self.value),
            });
        }
        parts.into_par_iter().enumerate().for_each(|(index, mut parts)| {
            self.row_backward(given, kept, gradient, index, &mut parts);
        });
        made
    }

    fn row_backward(
        &self,
        given: &Given<'_>,
        kept: &Kept,
        gradient: &[f32],
        index: usize,
        parts: &mut Parts<'_>,
    ) {
        let mut scratch = Scratch::new(self.key);
        let registers = scratch.registers;
        let outputs = self.rows() * self.length * self.value;
        for number in 0..self.blocks() {
            let block = self.block(index, number);
            let Block { first, count, .. } = block;
            let last = &gradient[outputs + index * self.key * self.value..][..self.key * self.value];
            scratch.carried.fill([0.0; LANES]);
            for channel in 0..self.key {
                for column in 0..count {
                    scratch.carried[column * registers + channel / LANES][channel % LANES] =
                        last[channel * self.value + first + column];
                }
            }
            let states = &kept.states[index * self.blocks() + number];
            for (chunk, state) in states.chunks_exact(self.key).enumerate().rev() {
                let start = chunk * CHUNK;
                let tokens = [start, CHUNK.min(self.length - start)];
                again(self, given, kept, block, tokens, state, &mut scratch);
                retreat(self, given, (kept, gradient), block, tokens, &mut scratch, parts);
            }
            for channel in 0..self.key {
                for column in 0..count {
                    parts.state[channel * self.value + first + column] =
                        scratch.carried[column * registers + channel / LANES][channel % LANES];
                }
            }
        }
    }

    /// The values of a token in a block.
    #[inline(always)]
    fn values(&self, given: &Given<'_>, kept: &Kept, gradient: &[f32], block: Block, token: usize) -> Values {
        let Block { row, index, first, count } = block;
        let place = (index * self.length + token) * self.value + first;
        let part = |values: &[f32], from: usize| {
            let mut lanes = [0.0; LANES];
            lanes[..count].copy_from_slice(&values[from..from + count]);
            lanes
        };
        Values {
            value: part(given.value.at(row, token), first),
            inner: if kept.inner.is_empty() { [0.0; LANES] } else { part(&kept.inner, place) },
            upstream: if gradient.is_empty() { [0.0; LANES] } else { part(gradient, place) },
        }
    }

    /// The key's side of a token.
    #[inline(always)]
    fn vectors(&self, given: &Given<'_>, row: Row, token: usize, into: &mut Vectors) {
        fill(given.query.at(row, token), &mut into.query);
        fill(given.key.at(row, token), &mut into.key);
        let decay = &mut into.decay.as_flattened_mut()[..self.key];
        shares(self.rule.keeps, given.decay.at(row, token), decay);
        if self.rule.change == Change::RankOne {
            fill(given.first.at(row, token), &mut into.read);
            fill(given.second.at(row, token), &mut into.write);
        }
    }
}

/// Takes the first values off.
fn front<'a>(rest: &mut &'a mut [f32], length: usize) -> &'a mut [f32] {
    let (front, behind) = std::mem::take(rest).split_at_mut(length);
    *rest = behind;
    front
}

#[inline(always)]
fn fill(values: &[f32], into: &mut [Lanes]) {
    into.as_flattened_mut()[..values.len()].copy_from_slice(values);
}

/// `factor · values`.
#[inline(always)]
fn times(factor: f32, values: &Lanes) -> Lanes {
    product(&[factor; LANES], values)
}

/// `into += added`, channel by channel.
#[inline(always)]
fn add(into: &mut [f32], added: &[Lanes]) {
    into.iter_mut().zip(added.as_flattened()).for_each(|(into, added)| *into += added);
}

vectorized! {
    /// The states before `tokens[1]` tokens from `tokens[0]` on.
    fn again(
        shape: &MatrixState, given: &Given<'_>, kept: &Kept, block: Block, tokens: [usize; 2],
        state: &[Lanes], scratch: &mut Scratch,
    ) {
        let registers = scratch.registers;
        let row = block.row;
        for (channel, lanes) in state.iter().enumerate() {
            for (column, value) in lanes.iter().enumerate() {
                scratch.before[column * registers + channel / LANES][channel % LANES] = *value;
            }
        }
        for offset in 0..tokens[1] - 1 {
            let token = tokens[0] + offset;
            shape.vectors(given, row, token, &mut scratch.given);
            let values = shape.values(given, kept, &[], block, token);
            let strength = match shape.rule.change {
                Change::Correction => given.first.at(row, token)[0],
                _ => 1.0,
            };
            let added = match shape.rule.change {
                Change::Correction => times(strength, &values.inner),
                _ => values.value,
            };
            let (before, after) = scratch.before.split_at_mut((offset + 1) * LANES * registers);
            let before = &before[offset * LANES * registers..];
            let vectors = &scratch.given;
            for register in 0..registers {
                let (key, decay, write) = (vectors.key[register], vectors.decay[register], vectors.write[register]);
                for column in 0..LANES {
                    let (before, after) =
                        (&before[column * registers + register], &mut after[column * registers + register]);
                    for lane in 0..LANES {
                        after[lane] = key[lane].mul_add(added[column], decay[lane] * before[lane]);
                    }
                    if shape.rule.change == Change::RankOne {
                        for lane in 0..LANES {
                            after[lane] = write[lane].mul_add(values.inner[column], after[lane]);
                        }
                    }
                }
            }
        }
    }

    /// The gradients of a chunk of a block, from its last token to its first.
    fn retreat(
        shape: &MatrixState, given: &Given<'_>, known: (&Kept, &[f32]), block: Block,
        tokens: [usize; 2], scratch: &mut Scratch, parts: &mut Parts<'_>,
    ) {
        let (kept, gradient) = known;
        let Block { row, first, count, .. } = block;
        let key = shape.key;
        for offset in (0..tokens[1]).rev() {
            let token = tokens[0] + offset;
            shape.vectors(given, row, token, &mut scratch.given);
            let values = shape.values(given, kept, gradient, block, token);
            let mut of_value = [0.0; LANES];
            match shape.rule.change {
                Change::Addition if shape.rule.reads_before => {
                    sweep(scratch, offset, &AddedBefore(&values));
                    of_value = along(&scratch.along);
                }
                Change::Addition => {
                    sweep(scratch, offset, &Added(&values));
                    of_value = along(&scratch.along);
                }
                Change::Correction => {
                    let strength = given.first.at(row, token)[0];
                    let correction = times(strength, &values.inner);
                    sweep(scratch, offset, &Corrected { values: &values, correction: &correction });
                    let of_correction = along(&scratch.along);
                    for lane in 0..LANES {
                        of_value[lane] = strength * of_correction[lane];
                        parts.first[token] += of_correction[lane] * values.inner[lane];
                    }
                    sweep(scratch, offset, &Answered { of_value: &of_value });
                }
                Change::RankOne => {
                    sweep(scratch, offset, &Moved(&values));
                    of_value = along(&scratch.along);
                    let of_taken = along(&scratch.across);
                    sweep(scratch, offset, &Taken { of_taken: &of_taken });
                    add(&mut parts.first[token * key..][..key], &scratch.made.read);
                    add(&mut parts.second[token * key..][..key], &scratch.made.write);
                }
            }
            add(&mut parts.query[token * key..][..key], &scratch.made.query);
            add(&mut parts.key[token * key..][..key], &scratch.made.key);
            parts.value[token * shape.value + first..][..count].copy_from_slice(&of_value[..count]);
            let factors = scratch.given.decay.as_flattened();
            let of_decay = scratch.made.decay.as_flattened();
            let made = of_decay.iter().zip(factors).take(key).map(|(made, factor)| match shape.rule.keeps {
                Keeps::Logarithms => made * factor,
                _ => *made,
            });
            match (shape.rule.keeps, given.decay.width) {
                (Keeps::All, _) => {}
                (_, 1) => parts.decay[token] += made.sum::<f32>(),
                _ => parts.decay[token * key..][..key].iter_mut().zip(made).for_each(|(sum, made)| *sum += made),
            }
        }
    }
}
