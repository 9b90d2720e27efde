//! Passes over a block of the state and of its gradient.

use super::super::columns::{LANES, Lanes, product, sum};
use super::CHUNK;

/// One token's vectors in whole registers, zeros behind the last channel.
#[derive(Debug, Clone)]
pub(super) struct Vectors {
    pub(super) query: Vec<Lanes>,
    pub(super) key: Vec<Lanes>,
    pub(super) decay: Vec<Lanes>,
    /// a and b of rank one.
    pub(super) read: Vec<Lanes>,
    pub(super) write: Vec<Lanes>,
}

/// Values of a block of one token.
pub(super) struct Values {
    pub(super) value: Lanes,
    /// What the token found wrong, or took.
    pub(super) inner: Lanes,
    /// What reaches the output.
    pub(super) upstream: Lanes,
}

/// Where a row's block of value channels is computed.
pub(super) struct Scratch {
    /// Registers of a key.
    pub(super) registers: usize,
    /// The states before the tokens of a chunk, `[tokens, LANES, registers]`: a row of key channels for each value
    /// channel.
    pub(super) before: Vec<Lanes>,
    /// What reaches the state from later tokens, `[LANES, registers]`.
    pub(super) carried: Vec<Lanes>,
    /// Sums over key channels that are still spread over a register, for each value channel.
    pub(super) along: [Lanes; LANES],
    pub(super) across: [Lanes; LANES],
    pub(super) given: Vectors,
    /// The gradients of `given`.
    pub(super) made: Vectors,
}

impl Scratch {
    /// For keys of `key` values.
    pub(super) fn new(key: usize) -> Self {
        let registers = key.div_ceil(LANES);
        let zeros = |count: usize| vec![[0.0; LANES]; count];
        Self {
            registers,
            before: zeros(CHUNK * LANES * registers),
            carried: zeros(LANES * registers),
            along: [[0.0; LANES]; LANES],
            across: [[0.0; LANES]; LANES],
            given: Vectors::zeros(registers),
            made: Vectors::zeros(registers),
        }
    }
}

impl Vectors {
    fn zeros(registers: usize) -> Self {
        let zeros = || vec![[0.0; LANES]; registers];
        Self { query: zeros(), key: zeros(), decay: zeros(), read: zeros(), write: zeros() }
    }
}

/// The sums along the key of each value channel.
#[inline(always)]
pub(super) fn along(spread: &[Lanes; LANES]) -> Lanes {
    let mut sums = [0.0; LANES];
    for (sum_of, spread) in sums.iter_mut().zip(spread) {
        *sum_of = sum(spread);
    }
    sums
}

/// What a pass over a block reads and adds to, for one register of the key and one value channel.
pub(super) struct Cell<'a> {
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
pub(super) struct Register {
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
pub(super) trait Pass {
    /// Whether sums begin anew, or go on with what is made already.
    const BEGINS: bool;

    /// Changes what is carried, and adds to the sums.
    fn cell(&self, cell: Cell<'_>, sums: &mut Register);
}

/// Goes over a block, register by register of the key and in it value channel by value channel.
#[inline(always)]
pub(super) fn sweep<P: Pass>(scratch: &mut Scratch, offset: usize, pass: &P) {
    let registers = scratch.registers;
    let states = &scratch.before[offset * LANES * registers..][..LANES * registers];
    if P::BEGINS {
        scratch.along = [[0.0; LANES]; LANES];
        scratch.across = [[0.0; LANES]; LANES];
    }
    for register in 0..registers {
        let (given, made) = (&scratch.given, &mut scratch.made);
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
                carried: &mut scratch.carried[column * registers + register],
                along: &mut scratch.along[column],
                across: &mut scratch.across[column],
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
pub(super) struct Added<'a>(pub(super) &'a Values);

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
pub(super) struct AddedBefore<'a>(pub(super) &'a Values);

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
pub(super) struct Corrected<'a> {
    pub(super) values: &'a Values,
    pub(super) correction: &'a Lanes,
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
pub(super) struct Answered<'a> {
    pub(super) of_value: &'a Lanes,
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
pub(super) struct Moved<'a>(pub(super) &'a Values);

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
pub(super) struct Taken<'a> {
    pub(super) of_taken: &'a Lanes,
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
