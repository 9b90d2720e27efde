//! The gradient of the selective state-space recurrence.

#![expect(unsafe_code, reason = "tasks write columns of one matrix; loops are called after detection")]

use super::columns::{Columns, LANES, Lanes, load, product, sum};
use super::selective::{Block, CHUNK, Given, Selective};
use super::squash::{exp_lanes, sigmoid, softplus_lanes};
use super::vectorized::vectorized;
use rayon::prelude::*;

/// What [`Selective::backward`] makes, in the shapes of what was given.
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    pub(super) step: Vec<f32>,
    pub(super) rate: Vec<f32>,
    pub(super) input: Vec<f32>,
    pub(super) output: Vec<f32>,
    pub(super) skip: Vec<f32>,
    pub(super) initial: Vec<f32>,
}

/// Blocks of channels that one task takes, whatever the number of threads: they add up their gradients of B and C.
const BLOCKS: usize = 4;

/// What a task sums over its tokens.
struct Sums {
    /// Of B and C, `[length, state]` each.
    input: Vec<f32>,
    output: Vec<f32>,
    /// Of A and D, for each of its blocks.
    rate: Vec<Vec<Lanes>>,
    skip: Vec<Lanes>,
}

/// The states before the tokens of a chunk, and their decays, `[tokens, state]`.
pub(super) struct Chunk {
    before: Vec<Lanes>,
    decay: Vec<Lanes>,
}

/// What is summed for one block.
pub(super) struct BlockSums<'a> {
    /// What reaches the state from later tokens.
    carried: Vec<Lanes>,
    rate: Vec<Lanes>,
    skip: Lanes,
    input: &'a mut [f32],
    output: &'a mut [f32],
}

impl Selective {
    /// The gradients, given those of y and of the last state, one behind the other, and the states that were kept.
    ///
    /// With `g_t` what reaches `h_t`: `g_t = ∂y_t C_t + exp(Δ_{t+1} A) ⊙ g_{t+1}`, and from it by the chain rule all
    /// others. The states are computed again, a chunk at a time, from those that were kept.
    pub(super) fn backward(&self, given: &Given<'_>, kept: &[Vec<Lanes>], gradient: &[f32]) -> Gradients {
        let outputs = self.batch * self.length * self.channels;
        let groups = self.blocks().div_ceil(BLOCKS);
        let mut sums = Vec::new();
        let fill = |columns: &[Columns; 3]| {
            let tasks = (0..self.batch * groups).into_par_iter();
            let task =
                |task: usize| self.group(given, kept, gradient, [task / groups, task % groups], columns);
            tasks.map(task).collect_into_vec(&mut sums);
        };
        let lengths = [outputs, outputs, self.batch * self.channels * self.state];
        // SAFETY: the groups are all channels of all examples, and each stores all its tokens and its state.
        let [x, step, initial] = unsafe { Columns::fill(lengths, fill) };
        let examples = || sums.chunks(groups);
        let selected = |part: fn(&Sums) -> &Vec<f32>| {
            examples().flat_map(|groups| total(groups.iter().map(|group| part(group).as_slice()))).collect()
        };
        let learned = |part: &dyn Fn(&Sums, usize, usize) -> Vec<f32>| {
            let example = |groups: &[Sums]| -> Vec<f32> {
                let group = |(index, sums): (usize, &Sums)| {
                    let blocks = 0..sums.skip.len();
                    blocks.flat_map(|block| part(sums, block, index * BLOCKS + block)).collect::<Vec<_>>()
                };
                groups.iter().enumerate().flat_map(group).collect()
            };
            let each: Vec<Vec<f32>> = examples().map(example).collect();
            total(each.iter().map(Vec::as_slice))
        };
        let count = |block: usize| self.block(0, block).count;
        let rate = learned(&|sums, block, place| self.turned_back(&sums.rate[block], count(place)));
        let skip = learned(&|sums, block, place| sums.skip[block][..count(place)].to_vec());
        let (input, output) = (selected(|sums| &sums.input), selected(|sums| &sums.output));
        Gradients { x, step, rate, input, output, skip, initial }
    }

    /// The blocks of one group, `[example, group]`.
    fn group(
        &self,
        given: &Given<'_>,
        kept: &[Vec<Lanes>],
        gradient: &[f32],
        [example, group]: [usize; 2],
        columns: &[Columns; 3],
    ) -> Sums {
        let selections = self.length * self.state;
        let mut sums = Sums {
            input: vec![0.0; selections],
            output: vec![0.0; selections],
            rate: Vec::new(),
            skip: Vec::new(),
        };
        let zeros = || vec![[0.0; LANES]; CHUNK * self.state];
        let mut chunk = Chunk { before: zeros(), decay: zeros() };
        let outputs = self.batch * self.length * self.channels;
        for index in group * BLOCKS..(group * BLOCKS + BLOCKS).min(self.blocks()) {
            let block = self.block(example, index);
            let place = (example * self.channels + block.channel) * self.state;
            let rate = self.turned(given.rate, block.channel * self.state, block.count);
            let mut summed = BlockSums {
                carried: self.turned(gradient, outputs + place, block.count),
                rate: vec![[0.0; LANES]; self.state],
                skip: [0.0; LANES],
                input: &mut sums.input,
                output: &mut sums.output,
            };
            let states = kept[example * self.blocks() + index].chunks_exact(self.state);
            for (number, state) in states.enumerate().rev() {
                let start = number * CHUNK;
                let tokens = [start, CHUNK.min(self.length - start)];
                again(self, given, block, tokens, &rate, state, &mut chunk);
                retreat(self, given, (block, tokens), &rate, (&chunk, gradient), &mut summed, columns);
            }
            // SAFETY: every channel of every example belongs to one block, and a block to one task.
            unsafe { columns[2].store(place, &self.turned_back(&summed.carried, block.count)) };
            sums.rate.push(summed.rate);
            sums.skip.push(summed.skip);
        }
        sums
    }
}

/// The sums of all parts, in their order.
fn total<'a>(mut parts: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut total = parts.next().map(<[f32]>::to_vec).unwrap_or_default();
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, value)| *total += value);
    }
    total
}

vectorized! {
    /// The states before `tokens[1]` tokens from `tokens[0]` on, and their decays.
    fn again(
        shape: &Selective, given: &Given<'_>, block: Block, tokens: [usize; 2], rate: &[Lanes], state: &[Lanes],
        chunk: &mut Chunk,
    ) {
        let numbers = shape.state;
        chunk.before[..numbers].copy_from_slice(state);
        for offset in 0..tokens[1] {
            let token = tokens[0] + offset;
            let (at, selection) = (shape.place(block, token), shape.selection(block, token));
            let (x, step) = (load(given.x, at, block.count), load(given.step, at, block.count));
            let step = softplus_lanes(step);
            let added = product(&step, &x);
            for (number, rate) in rate.iter().enumerate().take(numbers) {
                let place = offset * numbers + number;
                let (before, input) = (chunk.before[place], given.input[selection + number]);
                let decay = exp_lanes(step, rate);
                chunk.decay[place] = decay;
                if offset + 1 < tokens[1] {
                    let after = &mut chunk.before[place + numbers];
                    for lane in 0..LANES {
                        after[lane] = decay[lane] * before[lane] + added[lane] * input;
                    }
                }
            }
        }
    }

    /// The gradients of a chunk, from its last token to its first.
    fn retreat(
        shape: &Selective, given: &Given<'_>, part: (Block, [usize; 2]), rate: &[Lanes], known: (&Chunk, &[f32]),
        sums: &mut BlockSums<'_>, columns: &[Columns; 3],
    ) {
        let ((block, tokens), (chunk, gradient)) = (part, known);
        let numbers = shape.state;
        let skip = load(given.skip, block.channel, block.count);
        for offset in (0..tokens[1]).rev() {
            let token = tokens[0] + offset;
            let (at, selection) = (shape.place(block, token), shape.selection(block, token));
            let x = load(given.x, at, block.count);
            let raw = load(given.step, at, block.count);
            let of_y = load(gradient, at, block.count);
            let step = softplus_lanes(raw);
            let added = product(&step, &x);
            let (mut of_added, mut of_step) = ([0.0; LANES], [0.0; LANES]);
            for number in 0..numbers {
                let (before, decay) = (&chunk.before[offset * numbers + number], &chunk.decay[offset * numbers + number]);
                let (input, output) = (given.input[selection + number], given.output[selection + number]);
                let (rate, carried, of_rate) = (&rate[number], &mut sums.carried[number], &mut sums.rate[number]);
                let (mut of_input, mut of_output) = ([0.0; LANES], [0.0; LANES]);
                for lane in 0..LANES {
                    let state = decay[lane] * before[lane] + added[lane] * input;
                    let reaching = carried[lane] + of_y[lane] * output;
                    of_output[lane] = of_y[lane] * state;
                    of_input[lane] = reaching * added[lane];
                    of_added[lane] += reaching * input;
                    carried[lane] = reaching * decay[lane];
                    // Of the exponent Δ A.
                    let of_exponent = carried[lane] * before[lane];
                    of_step[lane] += of_exponent * rate[lane];
                    of_rate[lane] += of_exponent * step[lane];
                }
                sums.input[token * numbers + number] += sum(&of_input);
                sums.output[token * numbers + number] += sum(&of_output);
            }
            let mut of_x = [0.0; LANES];
            for lane in 0..LANES {
                of_x[lane] = of_added[lane] * step[lane] + skip[lane] * of_y[lane];
                sums.skip[lane] += of_y[lane] * x[lane];
                of_step[lane] = (of_step[lane] + of_added[lane] * x[lane]) * sigmoid(raw[lane]);
            }
            // SAFETY: every channel of every example belongs to one block, and a block to one task.
            unsafe {
                columns[0].store(at, &of_x[..block.count]);
                columns[1].store(at, &of_step[..block.count]);
            }
        }
    }
}
