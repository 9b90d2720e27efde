//! xLSTM's scalar memory along the time, forward and back, over plain slices.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::product::{Product, pitch};
use super::squash::{exp, sigmoid, softplus, tanh};
use super::vectorized::vectorized;
use rayon::prelude::*;

/// What is carried: hidden state, cell, normalizer and maximum.
pub(super) const STATES: usize = 4;

/// What a token keeps for the way back: the shares of input and forget gate, candidate, output gate, the slope of
/// the forget gate's logarithm, cell and normalizer.
const KEPT: usize = 7;

/// Examples that go through time together, so that R is read once for all of them.
const GROUP: usize = 8;

/// The recurrence of [`crate::scalar_memory`] over tensors in order.
pub(super) struct ScalarMemory<'a> {
    /// `[heads, length, batch, 4 × size]`.
    pub(super) gates: &'a [f32],
    /// R `[heads, size, 4 × size]`.
    pub(super) recurrent: &'a [f32],
    /// `[heads, 4, batch, size]`.
    pub(super) before: &'a [f32],
    /// Heads, length, batch and size.
    pub(super) sizes: [usize; 4],
}

/// What a group of examples of one head left, token by token, `rows × width` each.
#[derive(Debug)]
struct Passed {
    /// h, `[length + 1, rows, size]`, from before the first token on.
    hidden: Vec<f32>,
    /// [`KEPT`], `[length, rows, 7, size]`.
    kept: Vec<f32>,
    /// The last cell, normalizer and maximum, `[3, rows, size]`.
    last: Vec<f32>,
}

/// What going back needs, group by group.
#[derive(Debug)]
pub(super) struct Kept(Vec<Passed>);

/// The gradients of what the recurrence takes, in its shapes.
pub(super) struct Gradients {
    pub(super) gates: Vec<f32>,
    pub(super) recurrent: Vec<f32>,
    pub(super) before: Vec<f32>,
}

/// Some examples of one head.
#[derive(Clone, Copy)]
struct Group {
    head: usize,
    first: usize,
    rows: usize,
}

impl ScalarMemory<'_> {
    fn groups(&self) -> Vec<Group> {
        let [heads, _, batch, _] = self.sizes;
        let of = |head| {
            let starts = (0..batch).step_by(GROUP);
            starts.map(move |first| Group { head, first, rows: GROUP.min(batch - first) })
        };
        (0..heads).flat_map(of).collect()
    }

    /// h of all tokens and behind them the last cell, normalizer and maximum, `[heads, length + 3, batch, size]`; and
    /// what going back needs.
    pub(super) fn forward(&self) -> (Vec<f32>, Kept) {
        let [heads, length, batch, size] = self.sizes;
        let groups = self.groups();
        let passed: Vec<Passed> = groups.par_iter().map(|group| self.pass(*group)).collect();
        let mut rows = vec![0.0; heads * (length + STATES - 1) * batch * size];
        for (group, passed) in groups.iter().zip(&passed) {
            let behind = passed.hidden.chunks_exact(group.rows * size).skip(1);
            let all = behind.chain(passed.last.chunks_exact(group.rows * size)).enumerate();
            for (time, values) in all {
                let start = ((group.head * (length + STATES - 1) + time) * batch + group.first) * size;
                rows[start..start + values.len()].copy_from_slice(values);
            }
        }
        (rows, Kept(passed))
    }

    /// The state `index` of a group before the first token.
    fn state(&self, group: Group, index: usize) -> &[f32] {
        let [_, _, batch, size] = self.sizes;
        let start = ((group.head * STATES + index) * batch + group.first) * size;
        &self.before[start..start + group.rows * size]
    }

    /// R of a head, its rows as long as whole registers.
    fn weight(&self, head: usize) -> Vec<f32> {
        let [_, _, _, size] = self.sizes;
        let mut padded = vec![0.0; size * pitch(4 * size)];
        let rows = self.recurrent[head * size * 4 * size..].chunks_exact(4 * size);
        for (row, values) in padded.chunks_exact_mut(pitch(4 * size)).zip(rows) {
            row[..4 * size].copy_from_slice(values);
        }
        padded
    }

    /// A group through time.
    fn pass(&self, group: Group) -> Passed {
        let [_, length, batch, size] = self.sizes;
        let (rows, wide) = (group.rows, pitch(4 * size));
        let weight = self.weight(group.head);
        let mut hidden = Vec::with_capacity((length + 1) * rows * size);
        hidden.extend_from_slice(self.state(group, 0));
        let mut last: Vec<f32> = (1..STATES).flat_map(|index| self.state(group, index)).copied().collect();
        let mut kept = vec![0.0; length * rows * KEPT * size];
        let mut sums = vec![0.0; rows * wide];
        for (time, kept) in kept.chunks_exact_mut(rows * KEPT * size).enumerate() {
            let start = hidden.len();
            Product {
                a: &hidden[start - rows * size..],
                strides: [size, 1],
                b: &weight,
                c: &mut sums,
                pitches: [wide; 2],
                size: [rows, wide, size],
                add: false,
            }
            .compute();
            hidden.resize(start + rows * size, 0.0);
            let (cells, rest) = last.split_at_mut(rows * size);
            let (normalizers, maxima) = rest.split_at_mut(rows * size);
            for row in 0..rows {
                let of = |width: usize| row * width..(row + 1) * width;
                let given = ((group.head * length + time) * batch + group.first + row) * 4 * size;
                advance(
                    &self.gates[given..given + 4 * size],
                    &sums[row * wide..][..4 * size],
                    &mut cells[of(size)],
                    &mut normalizers[of(size)],
                    &mut maxima[of(size)],
                    &mut kept[of(KEPT * size)],
                    &mut hidden[start..][of(size)],
                );
            }
        }
        Passed { hidden, kept, last }
    }

    /// Back through time: the gradients, given that of [`ScalarMemory::forward`]'s result. The maximum takes no part.
    pub(super) fn backward(&self, kept: &Kept, upstream: &[f32]) -> Gradients {
        let [heads, length, batch, size] = self.sizes;
        let groups = self.groups();
        let made: Vec<_> = groups
            .par_iter()
            .zip(&kept.0)
            .map(|(group, passed)| self.back(*group, passed, upstream))
            .collect();
        let mut gradients = Gradients {
            gates: vec![0.0; self.gates.len()],
            recurrent: vec![0.0; self.recurrent.len()],
            before: vec![0.0; self.before.len()],
        };
        let wide = pitch(4 * size);
        for (group, Back { sums, weight, states }) in groups.iter().zip(made) {
            for (place, values) in sums.chunks_exact(wide).enumerate() {
                let (time, row) = (place / group.rows, place % group.rows);
                let start = ((group.head * length + time) * batch + group.first + row) * 4 * size;
                gradients.gates[start..start + 4 * size].copy_from_slice(&values[..4 * size]);
            }
            let of_weight = gradients.recurrent[group.head * size * 4 * size..].chunks_exact_mut(4 * size);
            for (target, values) in of_weight.zip(weight.chunks_exact(wide)) {
                target.iter_mut().zip(values).for_each(|(target, value)| *target += value);
            }
            for (index, values) in states.chunks_exact(group.rows * size).enumerate() {
                let start = ((group.head * STATES + index) * batch + group.first) * size;
                gradients.before[start..start + values.len()].copy_from_slice(values);
            }
        }
        debug_assert_eq!(gradients.gates.len(), heads * length * batch * 4 * size);
        gradients
    }

    /// A group back through time.
    fn back(&self, group: Group, passed: &Passed, upstream: &[f32]) -> Back {
        let [_, length, batch, size] = self.sizes;
        let (rows, wide, narrow) = (group.rows, pitch(4 * size), pitch(size));
        let above = |time: usize| {
            let start = ((group.head * (length + STATES - 1) + time) * batch + group.first) * size;
            &upstream[start..start + rows * size]
        };
        let mut turned = vec![0.0; 4 * size * narrow];
        for (k, row) in self.recurrent[group.head * size * 4 * size..][..size * 4 * size]
            .chunks_exact(4 * size)
            .enumerate()
        {
            row.iter().enumerate().for_each(|(column, value)| turned[column * narrow + k] = *value);
        }
        let mut sums = vec![0.0; length * rows * wide];
        // What the later tokens' gates make of h, in rows of whole registers.
        let mut later = vec![0.0; rows * narrow];
        let mut of_cell = above(length).to_vec();
        let mut of_normalizer = above(length + 1).to_vec();
        for time in (0..length).rev() {
            let target = &mut sums[time * rows * wide..][..rows * wide];
            let kept = |time: usize| &passed.kept[time * rows * KEPT * size..][..rows * KEPT * size];
            for row in 0..rows {
                let of = |width: usize| row * width..(row + 1) * width;
                let now = &kept(time)[of(KEPT * size)];
                let before = if time == 0 {
                    [1, 2].map(|index| &self.state(group, index)[of(size)])
                } else {
                    [5, 6].map(|place| &kept(time - 1)[of(KEPT * size)][place * size..][..size])
                };
                retreat(
                    &above(time)[of(size)],
                    &later[row * narrow..][..size],
                    now,
                    before,
                    [&mut of_cell[of(size)], &mut of_normalizer[of(size)]],
                    &mut target[row * wide..][..4 * size],
                );
            }
            Product {
                a: target,
                strides: [wide, 1],
                b: &turned,
                c: &mut later,
                pitches: [narrow; 2],
                size: [rows, narrow, 4 * size],
                add: false,
            }
            .compute();
        }
        // ∂R = Σ hᵀ ∂gates over all tokens and examples at once.
        let mut weight = vec![0.0; size * wide];
        Product {
            a: &passed.hidden,
            strides: [1, size],
            b: &sums,
            c: &mut weight,
            pitches: [wide; 2],
            size: [size, wide, length * rows],
            add: false,
        }
        .compute();
        let mut states = Vec::with_capacity(STATES * rows * size);
        later.chunks_exact(narrow).for_each(|row| states.extend_from_slice(&row[..size]));
        states.extend(of_cell);
        states.extend(of_normalizer);
        Back { sums, weight, states }
    }
}

/// The gradients of one group: of the sums `[length, rows, pitch(4 × size)]`, of R `[size, pitch(4 × size)]`, and of
/// hidden state, cell and normalizer before the first token `[3, rows, size]`.
struct Back {
    sums: Vec<f32>,
    weight: Vec<f32>,
    states: Vec<f32>,
}

vectorized! {
    /// One token of one example: `gates` and `recurrent` are what the sums are made of.
    fn advance(
        gates: &[f32], recurrent: &[f32], cell: &mut [f32], normalizer: &mut [f32], maximum: &mut [f32],
        kept: &mut [f32], hidden: &mut [f32],
    ) {
        let size = hidden.len();
        let (cell, normalizer, maximum) = (&mut cell[..size], &mut normalizer[..size], &mut maximum[..size]);
        let [x_i, x_f, x_z, x_o] = quarters(gates, size);
        let [r_i, r_f, r_z, r_o] = quarters(recurrent, size);
        let (shares, rest) = kept.split_at_mut(2 * size);
        let (input, forget) = shares.split_at_mut(size);
        let (squashed, rest) = rest.split_at_mut(2 * size);
        let (candidate, output) = squashed.split_at_mut(size);
        let (slope, rest) = rest.split_at_mut(size);
        let (new_cell, new_normalizer) = rest.split_at_mut(size);
        let (input, forget, candidate) = (&mut input[..size], &mut forget[..size], &mut candidate[..size]);
        let (output, slope) = (&mut output[..size], &mut slope[..size]);
        let (new_cell, new_normalizer) = (&mut new_cell[..size], &mut new_normalizer[..size]);
        for at in 0..size {
            let (i, f) = (x_i[at] + r_i[at], x_f[at] + r_f[at]);
            let carried = maximum[at] - softplus(-f);
            let largest = if carried > i { carried } else { i };
            maximum[at] = largest;
            input[at] = exp(i - largest);
            forget[at] = exp(carried - largest);
            slope[at] = sigmoid(-f);
            candidate[at] = tanh(x_z[at] + r_z[at]);
            output[at] = sigmoid(x_o[at] + r_o[at]);
        }
        for at in 0..size {
            cell[at] = forget[at] * cell[at] + input[at] * candidate[at];
            normalizer[at] = forget[at] * normalizer[at] + input[at];
            new_cell[at] = cell[at];
            new_normalizer[at] = normalizer[at];
            hidden[at] = output[at] * cell[at] / normalizer[at];
        }
    }

    /// One token of one example, back: the gradients of its sums, and those of cell and normalizer, which become those
    /// of the ones `before`.
    fn retreat(
        upstream: &[f32], later: &[f32], kept: &[f32], before: [&[f32]; 2], of_states: [&mut [f32]; 2],
        target: &mut [f32],
    ) {
        let size = upstream.len();
        let ([cell, normalizer], [of_cell, of_normalizer]) = (before, of_states);
        let [input, forget, candidate, output] = quarters(kept, size);
        let [slope, new_cell, new_normalizer, _] = quarters(&kept[4 * size..], size);
        let (later, cell, normalizer) = (&later[..size], &cell[..size], &normalizer[..size]);
        let (of_cell, of_normalizer) = (&mut of_cell[..size], &mut of_normalizer[..size]);
        let (of_input, rest) = target.split_at_mut(size);
        let (of_forget, rest) = rest.split_at_mut(size);
        let (of_candidate, of_output) = rest.split_at_mut(size);
        let (of_input, of_forget) = (&mut of_input[..size], &mut of_forget[..size]);
        let (of_candidate, of_output) = (&mut of_candidate[..size], &mut of_output[..size]);
        for at in 0..size {
            let above = upstream[at] + later[at];
            let mean = new_cell[at] / new_normalizer[at];
            let share = above * output[at] / new_normalizer[at];
            let (cells, normalizers) = (of_cell[at] + share, of_normalizer[at] - share * mean);
            of_output[at] = above * mean * output[at] * (1.0 - output[at]);
            of_candidate[at] = cells * input[at] * (1.0 - candidate[at] * candidate[at]);
            of_input[at] = (cells * candidate[at] + normalizers) * input[at];
            of_forget[at] = (cells * cell[at] + normalizers * normalizer[at]) * forget[at] * slope[at];
            of_cell[at] = cells * forget[at];
            of_normalizer[at] = normalizers * forget[at];
        }
    }
}

/// Four vectors behind each other; of three, the last is empty.
#[inline(always)]
fn quarters(all: &[f32], size: usize) -> [&[f32]; 4] {
    let (first, rest) = all.split_at(size);
    let (second, rest) = rest.split_at(size);
    let (third, rest) = rest.split_at(size);
    [first, second, third, if rest.len() < size { rest } else { &rest[..size] }]
}
