//! The gradients.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::super::columns::{LANES, Lanes, product, sum};
use super::super::vectorized::vectorized;
use super::{CHUNK, Change, Given, Keeps, Kept, MatrixState, Row, shares};
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

/// One token's vectors in whole registers, zeros behind the last channel.
#[derive(Debug, Clone)]
struct Vectors {
    query: Vec<Lanes>,
    key: Vec<Lanes>,
    decay: Vec<Lanes>,
    /// a and b of rank one.
    read: Vec<Lanes>,
    write: Vec<Lanes>,
}

/// Values of a block of one token.
struct Values {
    value: Lanes,
    inner: Lanes,
    /// What reaches the output.
    upstream: Lanes,
}

/// Where a row's block of value channels is computed.
pub(super) struct Bench {
    /// Registers of a key.
    registers: usize,
    /// The states before the tokens of a chunk, `[tokens, LANES, registers]`: a row of key channels for each value
    /// channel.
    before: Vec<Lanes>,
    /// What reaches the state from later tokens, `[LANES, registers]`.
    carried: Vec<Lanes>,
    /// Sums over key channels that are still spread over a register, for each value channel.
    along: [Lanes; LANES],
    across: [Lanes; LANES],
    given: Vectors,
    /// The gradients of `given`.
    made: Vectors,
}

impl Vectors {
    fn zeros(registers: usize) -> Self {
        let zeros = || vec![[0.0; LANES]; registers];
        Self { query: zeros(), key: zeros(), decay: zeros(), read: zeros(), write: zeros() }
    }
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
        let rows = rows(&mut made.query, self.length * self.key)
            .zip(rows(&mut made.key, self.length * self.key))
            .zip(rows(&mut made.value, self.length * self.value))
            .zip(rows(&mut made.decay, self.length * decays))
            .zip(rows(&mut made.first, self.length * first))
            .zip(rows(&mut made.second, self.length * second))
            .zip(rows(&mut made.state, self.key * self.value))
            .map(|((((((query, key), value), decay), first), second), state)| Parts {
                query,
                key,
                value,
                decay,
                first,
                second,
                state,
            });
        let parts: Vec<Parts<'_>> = rows.take(self.rows()).collect();
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
        let registers = self.key.div_ceil(LANES);
        let mut bench = Bench {
            registers,
            before: vec![[0.0; LANES]; CHUNK * LANES * registers],
            carried: vec![[0.0; LANES]; LANES * registers],
            along: [[0.0; LANES]; LANES],
            across: [[0.0; LANES]; LANES],
            given: Vectors::zeros(registers),
            made: Vectors::zeros(registers),
        };
        let outputs = self.rows() * self.length * self.value;
        for block in 0..self.blocks() {
            let (first, count) = (block * LANES, self.count(block));
            let last = &gradient[outputs + index * self.key * self.value..][..self.key * self.value];
            bench.carried.fill([0.0; LANES]);
            for channel in 0..self.key {
                for column in 0..count {
                    bench.carried[column * registers + channel / LANES][channel % LANES] =
                        last[channel * self.value + first + column];
                }
            }
            let states = &kept.states[index * self.blocks() + block];
            for (number, state) in states.chunks_exact(self.key).enumerate().rev() {
                let start = number * CHUNK;
                let tokens = [start, CHUNK.min(self.length - start)];
                again(self, given, kept, (index, first, count), tokens, state, &mut bench);
                retreat(self, given, (kept, gradient), (index, first, count), tokens, &mut bench, parts);
            }
            for channel in 0..self.key {
                for column in 0..count {
                    parts.state[channel * self.value + first + column] =
                        bench.carried[column * registers + channel / LANES][channel % LANES];
                }
            }
        }
    }

    /// The values of a token in a block.
    #[inline(always)]
    fn values(
        &self,
        given: &Given<'_>,
        kept: &Kept,
        gradient: &[f32],
        (index, first, count): (usize, usize, usize),
        token: usize,
    ) -> Values {
        let place = (index * self.length + token) * self.value + first;
        let part = |values: &[f32], from: usize| {
            let mut lanes = [0.0; LANES];
            lanes[..count].copy_from_slice(&values[from..from + count]);
            lanes
        };
        Values {
            value: part(given.value.at(self.row(index), token), first),
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

/// Parts of equal length, empty ones without end where there is nothing.
fn rows(values: &mut [f32], length: usize) -> Box<dyn Iterator<Item = &mut [f32]> + '_> {
    if length == 0 {
        return Box::new(std::iter::repeat_with(|| &mut [] as &mut [f32]));
    }
    Box::new(values.chunks_exact_mut(length))
}

#[inline(always)]
fn fill(values: &[f32], into: &mut [Lanes]) {
    into.as_flattened_mut()[..values.len()].copy_from_slice(values);
}

/// The sums along the key of each value channel.
#[inline(always)]
fn along(spread: &[Lanes; LANES]) -> Lanes {
    let mut sums = [0.0; LANES];
    for (sum_of, spread) in sums.iter_mut().zip(spread) {
        *sum_of = sum(spread);
    }
    sums
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
        shape: &MatrixState, given: &Given<'_>, kept: &Kept, block: (usize, usize, usize), tokens: [usize; 2],
        state: &[Lanes], bench: &mut Bench,
    ) {
        let registers = bench.registers;
        let row = shape.row(block.0);
        for (channel, lanes) in state.iter().enumerate() {
            for (column, value) in lanes.iter().enumerate() {
                bench.before[column * registers + channel / LANES][channel % LANES] = *value;
            }
        }
        for offset in 0..tokens[1] - 1 {
            let token = tokens[0] + offset;
            shape.vectors(given, row, token, &mut bench.given);
            let values = shape.values(given, kept, &[], block, token);
            let strength = match shape.rule.change {
                Change::Correction => given.first.at(row, token)[0],
                _ => 1.0,
            };
            let added = match shape.rule.change {
                Change::Correction => times(strength, &values.inner),
                _ => values.value,
            };
            let (before, after) = bench.before.split_at_mut((offset + 1) * LANES * registers);
            let before = &before[offset * LANES * registers..];
            let vectors = &bench.given;
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
        shape: &MatrixState, given: &Given<'_>, known: (&Kept, &[f32]), block: (usize, usize, usize),
        tokens: [usize; 2], bench: &mut Bench, parts: &mut Parts<'_>,
    ) {
        let (kept, gradient) = known;
        let (index, first, count) = block;
        let row = shape.row(index);
        let key = shape.key;
        for offset in (0..tokens[1]).rev() {
            let token = tokens[0] + offset;
            shape.vectors(given, row, token, &mut bench.given);
            let values = shape.values(given, kept, gradient, block, token);
            let mut of_value = [0.0; LANES];
            match shape.rule.change {
                Change::Addition if shape.rule.reads_before => {
                    sweep(bench, offset, &AddedBefore(&values));
                    of_value = along(&bench.along);
                }
                Change::Addition => {
                    sweep(bench, offset, &Added(&values));
                    of_value = along(&bench.along);
                }
                Change::Correction => {
                    let strength = given.first.at(row, token)[0];
                    let correction = times(strength, &values.inner);
                    sweep(bench, offset, &Corrected { values: &values, correction: &correction });
                    let of_correction = along(&bench.along);
                    for lane in 0..LANES {
                        of_value[lane] = strength * of_correction[lane];
                        parts.first[token] += of_correction[lane] * values.inner[lane];
                    }
                    sweep(bench, offset, &Answered { of_value: &of_value });
                }
                Change::RankOne => {
                    sweep(bench, offset, &Moved(&values));
                    of_value = along(&bench.along);
                    let of_taken = along(&bench.across);
                    sweep(bench, offset, &Taken { of_taken: &of_taken });
                    add(&mut parts.first[token * key..][..key], &bench.made.read);
                    add(&mut parts.second[token * key..][..key], &bench.made.write);
                }
            }
            add(&mut parts.query[token * key..][..key], &bench.made.query);
            add(&mut parts.key[token * key..][..key], &bench.made.key);
            parts.value[token * shape.value + first..][..count].copy_from_slice(&of_value[..count]);
            let factors = bench.given.decay.as_flattened();
            let of_decay = bench.made.decay.as_flattened();
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

/// What a pass over a block reads and adds to, for one register of the key and one value channel.
struct Cell<'a> {
    /// The register of the token's vectors.
    query: Lanes,
    key: Lanes,
    decay: Lanes,
    read: Lanes,
    write: Lanes,
    /// The value channel.
    column: usize,
    /// T.
    before: &'a Lanes,
    /// G.
    carried: &'a mut Lanes,
    along: &'a mut Lanes,
    across: &'a mut Lanes,
}

/// Sums over the value channels for one register of the key.
#[derive(Clone, Copy)]
struct Register {
    query: Lanes,
    key: Lanes,
    decay: Lanes,
    read: Lanes,
    write: Lanes,
}

const NOTHING: Register = Register {
    query: [0.0; LANES],
    key: [0.0; LANES],
    decay: [0.0; LANES],
    read: [0.0; LANES],
    write: [0.0; LANES],
};

/// What is done in every cell of a block. A trait and not a closure, whose body would be compiled by itself, without
/// the processor's extensions.
trait Pass {
    /// Whether sums begin anew, or go on with what is made already.
    const BEGINS: bool;

    /// Changes what is carried, and adds to the sums.
    fn cell(&self, cell: Cell<'_>, sums: &mut Register);
}

/// Goes over a block, register by register of the key and in it value channel by value channel.
#[inline(always)]
fn sweep<P: Pass>(bench: &mut Bench, offset: usize, pass: &P) {
    let registers = bench.registers;
    let states = &bench.before[offset * LANES * registers..][..LANES * registers];
    if P::BEGINS {
        bench.along = [[0.0; LANES]; LANES];
        bench.across = [[0.0; LANES]; LANES];
    }
    for register in 0..registers {
        let (given, made) = (&bench.given, &mut bench.made);
        let mut sums = NOTHING;
        if !P::BEGINS {
            sums.query = made.query[register];
            sums.key = made.key[register];
            sums.decay = made.decay[register];
            sums.read = made.read[register];
            sums.write = made.write[register];
        }
        for column in 0..LANES {
            let cell = Cell {
                query: given.query[register],
                key: given.key[register],
                decay: given.decay[register],
                read: given.read[register],
                write: given.write[register],
                column,
                before: &states[column * registers + register],
                carried: &mut bench.carried[column * registers + register],
                along: &mut bench.along[column],
                across: &mut bench.across[column],
            };
            pass.cell(cell, &mut sums);
        }
        made.query[register] = sums.query;
        made.key[register] = sums.key;
        made.decay[register] = sums.decay;
        made.read[register] = sums.read;
        made.write[register] = sums.write;
    }
}

/// `sum += left · right`.
#[inline(always)]
fn accumulate(sum: &mut Lanes, left: &Lanes, right: &Lanes) {
    for lane in 0..LANES {
        sum[lane] = left[lane].mul_add(right[lane], sum[lane]);
    }
}

/// `sum += factor · values`.
#[inline(always)]
fn scaled(sum: &mut Lanes, factor: f32, values: &Lanes) {
    for lane in 0..LANES {
        sum[lane] = values[lane].mul_add(factor, sum[lane]);
    }
}

/// An addition whose output reads the state behind it; leaves ∂v along the key.
struct Added<'a>(&'a Values);

impl Pass for Added<'_> {
    const BEGINS: bool = true;

    #[inline(always)]
    fn cell(&self, cell: Cell<'_>, sums: &mut Register) {
        let (value, upstream) = (self.0.value[cell.column], self.0.upstream[cell.column]);
        let mut reaching = *cell.carried;
        scaled(&mut reaching, upstream, &cell.query);
        let mut state = product(&cell.decay, cell.before);
        scaled(&mut state, value, &cell.key);
        scaled(&mut sums.query, upstream, &state);
        scaled(&mut sums.key, value, &reaching);
        accumulate(&mut sums.decay, &reaching, cell.before);
        accumulate(cell.along, &reaching, &cell.key);
        *cell.carried = product(&cell.decay, &reaching);
    }
}

/// An addition whose output reads the state before it; leaves ∂v along the key.
struct AddedBefore<'a>(&'a Values);

impl Pass for AddedBefore<'_> {
    const BEGINS: bool = true;

    #[inline(always)]
    fn cell(&self, cell: Cell<'_>, sums: &mut Register) {
        let (value, upstream) = (self.0.value[cell.column], self.0.upstream[cell.column]);
        let reaching = *cell.carried;
        scaled(&mut sums.query, upstream, cell.before);
        scaled(&mut sums.key, value, &reaching);
        accumulate(&mut sums.decay, &reaching, cell.before);
        accumulate(cell.along, &reaching, &cell.key);
        *cell.carried = product(&cell.decay, &reaching);
        scaled(cell.carried, upstream, &cell.query);
    }
}

/// A correction u, without what reaches it through the answer; leaves ∂u along the key.
struct Corrected<'a> {
    values: &'a Values,
    correction: &'a Lanes,
}

impl Pass for Corrected<'_> {
    const BEGINS: bool = true;

    #[inline(always)]
    fn cell(&self, cell: Cell<'_>, sums: &mut Register) {
        let (correction, upstream) = (self.correction[cell.column], self.values.upstream[cell.column]);
        scaled(cell.carried, upstream, &cell.query);
        let mut state = product(&cell.decay, cell.before);
        scaled(&mut state, correction, &cell.key);
        scaled(&mut sums.query, upstream, &state);
        scaled(&mut sums.key, correction, cell.carried);
        accumulate(cell.along, cell.carried, &cell.key);
    }
}

/// What reaches a correction through the answer, whose gradient is −∂v.
struct Answered<'a> {
    of_value: &'a Lanes,
}

impl Pass for Answered<'_> {
    const BEGINS: bool = false;

    #[inline(always)]
    fn cell(&self, cell: Cell<'_>, sums: &mut Register) {
        let of_answer = -self.of_value[cell.column];
        scaled(&mut sums.key, of_answer, &product(&cell.decay, cell.before));
        scaled(cell.carried, of_answer, &cell.key);
        accumulate(&mut sums.decay, cell.carried, cell.before);
        *cell.carried = product(&cell.decay, cell.carried);
    }
}

/// A change of rank one and an addition, without what reaches them through what was taken; leaves ∂v along the key
/// and ∂c across it.
struct Moved<'a>(&'a Values);

impl Pass for Moved<'_> {
    const BEGINS: bool = true;

    #[inline(always)]
    fn cell(&self, cell: Cell<'_>, sums: &mut Register) {
        let (value, taken) = (self.0.value[cell.column], self.0.inner[cell.column]);
        let upstream = self.0.upstream[cell.column];
        scaled(cell.carried, upstream, &cell.query);
        let mut state = product(&cell.decay, cell.before);
        scaled(&mut state, taken, &cell.write);
        scaled(&mut state, value, &cell.key);
        scaled(&mut sums.query, upstream, &state);
        scaled(&mut sums.key, value, cell.carried);
        scaled(&mut sums.write, taken, cell.carried);
        accumulate(&mut sums.decay, cell.carried, cell.before);
        accumulate(cell.along, cell.carried, &cell.key);
        accumulate(cell.across, cell.carried, &cell.write);
    }
}

/// What reaches a change of rank one through what was taken.
struct Taken<'a> {
    of_taken: &'a Lanes,
}

impl Pass for Taken<'_> {
    const BEGINS: bool = false;

    #[inline(always)]
    fn cell(&self, cell: Cell<'_>, sums: &mut Register) {
        let of_taken = self.of_taken[cell.column];
        scaled(&mut sums.read, of_taken, cell.before);
        *cell.carried = product(&cell.decay, cell.carried);
        scaled(cell.carried, of_taken, &cell.read);
    }
}
