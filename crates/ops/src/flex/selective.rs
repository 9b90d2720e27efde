//! The selective state-space recurrence over plain slices; see [`SelectiveScan`](crate::SelectiveScan).

#![expect(unsafe_code, reason = "tasks write columns of one matrix; loops are called after detection")]

use super::columns::{Columns, LANES, Lanes, load, product};
use super::squash::{exp_lanes, softplus_lanes};
use super::vectorized::vectorized;
use rayon::prelude::*;

/// `[batch, length, channels]` values, and as many numbers of state for each channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selective {
    pub(super) batch: usize,
    pub(super) length: usize,
    pub(super) channels: usize,
    pub(super) state: usize,
}

/// What is given, in the order and the shapes of [`SelectiveScan`](crate::SelectiveScan).
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) x: &'a [f32],
    pub(super) step: &'a [f32],
    pub(super) rate: &'a [f32],
    pub(super) input: &'a [f32],
    pub(super) output: &'a [f32],
    pub(super) skip: &'a [f32],
    /// `[batch, channels, state]`.
    pub(super) initial: &'a [f32],
}

/// Tokens between two states that are kept for the gradient.
pub(super) const CHUNK: usize = 32;

/// Up to [`LANES`] channels of one example.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) example: usize,
    /// The first channel.
    pub(super) channel: usize,
    /// Channels, up to [`LANES`].
    pub(super) count: usize,
}

impl Selective {
    /// Blocks of channels in one example.
    pub(super) fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Block `index` of an example.
    pub(super) fn block(&self, example: usize, index: usize) -> Block {
        let channel = index * LANES;
        Block { example, channel, count: LANES.min(self.channels - channel) }
    }

    /// Where a token's channels begin.
    pub(super) fn place(&self, block: Block, token: usize) -> usize {
        (block.example * self.length + token) * self.channels + block.channel
    }

    /// Where a token's B and C begin.
    pub(super) fn selection(&self, block: Block, token: usize) -> usize {
        (block.example * self.length + token) * self.state
    }

    /// For each number of the state its values in the channels of the block, from `[channels, state]` values of
    /// which the block's begin at `first`.
    pub(super) fn turned(&self, values: &[f32], first: usize, count: usize) -> Vec<Lanes> {
        let value =
            |number, lane| if lane < count { values[first + lane * self.state + number] } else { 0.0 };
        (0..self.state).map(|number| std::array::from_fn(|lane| value(number, lane))).collect()
    }

    /// The reverse of [`Selective::turned`].
    pub(super) fn turned_back(&self, lanes: &[Lanes], count: usize) -> Vec<f32> {
        (0..count).flat_map(|lane| lanes.iter().map(move |lanes| lanes[lane])).collect()
    }

    /// The state of a block before the first token.
    pub(super) fn initial(&self, given: &Given<'_>, block: Block) -> Vec<Lanes> {
        let first = (block.example * self.channels + block.channel) * self.state;
        self.turned(given.initial, first, block.count)
    }

    /// y `[batch, length, channels]`, then the last state `[batch, channels, state]`; and, where they are to be
    /// kept, for each block the states before every chunk.
    pub(super) fn forward(&self, given: &Given<'_>, keep: bool) -> (Vec<f32>, Vec<Vec<Lanes>>) {
        let outputs = self.batch * self.length * self.channels;
        let mut kept = Vec::new();
        let fill = |[values]: &[Columns; 1]| {
            let tasks = (0..self.batch * self.blocks()).into_par_iter();
            tasks
                .map(|task| {
                    let block = self.block(task / self.blocks(), task % self.blocks());
                    let mut state = self.initial(given, block);
                    let rate = self.turned(given.rate, block.channel * self.state, block.count);
                    let mut kept = Vec::new();
                    for start in (0..self.length).step_by(CHUNK) {
                        if keep {
                            kept.extend_from_slice(&state);
                        }
                        let tokens = [start, CHUNK.min(self.length - start)];
                        advance(self, given, block, tokens, &rate, &mut state, values);
                    }
                    let first = outputs + (block.example * self.channels + block.channel) * self.state;
                    // SAFETY: every channel of every example belongs to one block, and a block is one task.
                    unsafe { values.store(first, &self.turned_back(&state, block.count)) };
                    kept
                })
                .collect_into_vec(&mut kept);
        };
        // SAFETY: the blocks are all channels of all examples, and each stores all its tokens and its state.
        let [values] = unsafe { Columns::fill([outputs + self.batch * self.channels * self.state], fill) };
        (values, kept)
    }
}

vectorized! {
    /// `tokens[1]` tokens of a block from `tokens[0]` on.
    fn advance(
        shape: &Selective, given: &Given<'_>, block: Block, tokens: [usize; 2], rate: &[Lanes], state: &mut [Lanes],
        outputs: &Columns,
    ) {
        let skip = load(given.skip, block.channel, block.count);
        for token in tokens[0]..tokens[0] + tokens[1] {
            let (at, selection) = (shape.place(block, token), shape.selection(block, token));
            let (x, step) = (load(given.x, at, block.count), load(given.step, at, block.count));
            let step = softplus_lanes(step);
            let mut y = product(&skip, &x);
            let added = product(&step, &x);
            let input = &given.input[selection..selection + shape.state];
            let output = &given.output[selection..selection + shape.state];
            for (((state, rate), input), output) in state.iter_mut().zip(rate).zip(input).zip(output) {
                let decay = exp_lanes(step, rate);
                for lane in 0..LANES {
                    state[lane] = decay[lane] * state[lane] + added[lane] * input;
                    y[lane] += state[lane] * output;
                }
            }
            // SAFETY: every channel of every example belongs to one block, and a block is one task.
            unsafe { outputs.store(at, &y[..block.count]) };
        }
    }
}
