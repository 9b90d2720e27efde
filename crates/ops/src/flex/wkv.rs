//! The recurrence of RWKV-4 in one pass over the tokens, and its gradient in one pass back.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::squash::exp;
use super::vectorized::vectorized;
use rayon::prelude::*;

/// Channels that are computed side by side, in two of the widest registers each.
const LANES: usize = 32;

/// One value for each of [`LANES`] channels.
type Lanes = [f32; LANES];

/// Rows of the state: numerator, denominator and exponent.
pub(super) const ROWS: usize = 3;

/// The recurrence of [`crate::wkv`] over tensors in order.
pub(super) struct Wkv<'a> {
    /// w `[channels]`.
    pub(super) decay: &'a [f32],
    /// u `[channels]`.
    pub(super) bonus: &'a [f32],
    /// `[batch, length, channels]`.
    pub(super) key: &'a [f32],
    /// `[batch, length, channels]`.
    pub(super) value: &'a [f32],
    /// `[batch, 3, channels]`.
    pub(super) state: &'a [f32],
    pub(super) length: usize,
}

/// The gradients of what the recurrence takes, in its shapes.
pub(super) struct WkvGradients {
    pub(super) decay: Vec<f32>,
    pub(super) bonus: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) value: Vec<f32>,
    pub(super) state: Vec<f32>,
}

/// The sums before a token.
#[derive(Clone, Copy)]
struct Sums {
    numerator: Lanes,
    denominator: Lanes,
    exponent: Lanes,
}

/// `e^{left − p}` and `e^{right − p}` for the larger p of both: one of them is 1.
#[inline(always)]
fn shares(left: f32, right: f32) -> (f32, f32) {
    let distance = left - right;
    let smaller = exp(-distance.abs());
    if distance >= 0.0 { (1.0, smaller) } else { (smaller, 1.0) }
}

impl Sums {
    /// The weighted mean for a token, `u + k` being `current`.
    #[inline(always)]
    fn mean(&self, current: &Lanes, value: &Lanes) -> Lanes {
        let mut mean = [0.0; LANES];
        for lane in 0..LANES {
            let (old, new) = shares(self.exponent[lane], current[lane]);
            mean[lane] =
                (old * self.numerator[lane] + new * value[lane]) / (old * self.denominator[lane] + new);
        }
        mean
    }

    /// These sums decayed, and a token added.
    #[inline(always)]
    fn advance(&mut self, decay: &Lanes, key: &Lanes, value: &Lanes) {
        for lane in 0..LANES {
            let decayed = self.exponent[lane] + decay[lane];
            let (old, new) = shares(decayed, key[lane]);
            self.numerator[lane] = old * self.numerator[lane] + new * value[lane];
            self.denominator[lane] = old * self.denominator[lane] + new;
            self.exponent[lane] = decayed.max(key[lane]);
        }
    }
}

#[inline(always)]
fn sum(left: &Lanes, right: &Lanes) -> Lanes {
    std::array::from_fn(|lane| left[lane] + right[lane])
}

/// One example and some of its channels.
#[derive(Clone, Copy)]
pub(super) struct Block {
    example: usize,
    /// The first channel.
    first: usize,
}

impl Wkv<'_> {
    fn channels(&self) -> usize {
        self.decay.len()
    }

    fn batch(&self) -> usize {
        self.state.len() / (ROWS * self.channels())
    }

    /// All blocks, example by example.
    fn blocks(&self) -> Vec<Block> {
        let firsts = || (0..self.channels()).step_by(LANES);
        (0..self.batch()).flat_map(|example| firsts().map(move |first| Block { example, first })).collect()
    }

    /// The channels of a block in `row` of `rows` `[.., channels]`, zeros behind the last channel.
    #[inline(always)]
    fn load(&self, rows: &[f32], row: usize, block: Block) -> Lanes {
        let start = row * self.channels() + block.first;
        let end = (row + 1) * self.channels();
        let cells = &rows[start..end];
        match cells.first_chunk::<LANES>() {
            Some(lanes) => *lanes,
            None => {
                let mut lanes = [0.0; LANES];
                lanes[..cells.len()].copy_from_slice(cells);
                lanes
            }
        }
    }

    #[inline(always)]
    fn first(&self, block: Block) -> Sums {
        let [numerator, denominator, exponent] =
            [0, 1, 2].map(|row| self.load(self.state, block.example * ROWS + row, block));
        Sums { numerator, denominator, exponent }
    }

    /// `[batch, length + 3, channels]`: the outputs, and behind them the last state.
    pub(super) fn forward(&self) -> Vec<f32> {
        let rows: Vec<Vec<Lanes>> = self.blocks().into_par_iter().map(|block| run(self, block)).collect();
        self.assemble(&rows, self.length + ROWS)
    }

    /// The gradients, given those of all rows of [`Wkv::forward`].
    pub(super) fn backward(&self, gradient: &[f32]) -> WkvGradients {
        let made = self.blocks().into_par_iter().map(|block| run_back(self, gradient, block));
        let made: Vec<BlockGradients> = made.collect();
        let collect = |rows: fn(&BlockGradients) -> &Vec<Lanes>, count| {
            let rows: Vec<&Vec<Lanes>> = made.iter().map(rows).collect();
            self.assemble(&rows, count)
        };
        // Examples are added in their order, whatever the number of threads.
        let total = |of_example: Vec<f32>| {
            let mut total = vec![0.0; self.channels()];
            for row in of_example.chunks_exact(self.channels()) {
                total.iter_mut().zip(row).for_each(|(total, value)| *total += value);
            }
            total
        };
        WkvGradients {
            decay: total(collect(|block| &block.decay, 1)),
            bonus: total(collect(|block| &block.bonus, 1)),
            key: collect(|block| &block.key, self.length),
            value: collect(|block| &block.value, self.length),
            state: collect(|block| &block.state, ROWS),
        }
    }

    /// `[batch, count, channels]` from the rows of every block.
    fn assemble<R: AsRef<[Lanes]> + Sync>(&self, blocks: &[R], count: usize) -> Vec<f32> {
        let channels = self.channels();
        let mut all = vec![0.0; self.batch() * count * channels];
        let examples = all.par_chunks_mut(count * channels);
        examples.zip(blocks.par_chunks(channels.div_ceil(LANES))).for_each(|(example, blocks)| {
            for (row, cells) in example.chunks_exact_mut(channels).enumerate() {
                for (cells, block) in cells.chunks_mut(LANES).zip(blocks) {
                    cells.copy_from_slice(&block.as_ref()[row][..cells.len()]);
                }
            }
        });
        all
    }
}

/// The gradients of a block, row by row.
pub(super) struct BlockGradients {
    decay: Vec<Lanes>,
    bonus: Vec<Lanes>,
    key: Vec<Lanes>,
    value: Vec<Lanes>,
    state: Vec<Lanes>,
}

vectorized! {
    /// The outputs of a block, and behind them its last state.
    fn run(of: &Wkv<'_>, block: Block) -> Vec<Lanes> {
        let (decay, bonus) = (of.load(of.decay, 0, block), of.load(of.bonus, 0, block));
        let mut sums = of.first(block);
        let mut rows = Vec::with_capacity(of.length + ROWS);
        for token in block.example * of.length..(block.example + 1) * of.length {
            let (key, value) = (of.load(of.key, token, block), of.load(of.value, token, block));
            rows.push(sums.mean(&sum(&bonus, &key), &value));
            sums.advance(&decay, &key, &value);
        }
        rows.extend([sums.numerator, sums.denominator, sums.exponent]);
        rows
    }

    /// The gradients of a block, from the last token to the first.
    ///
    /// With y = (f₁ a + f₂ v) / (f₁ b + f₂) and the next sums a' = e₁ a + e₂ v, b' = e₁ b + e₂, where f₁, f₂, e₁ and
    /// e₂ are the shares of the old sums and of the token, every derivative is a product of shares, none of which
    /// is above 1. Gradients of sums are relative to the exponent as the sums are.
    fn run_back(of: &Wkv<'_>, gradient: &[f32], block: Block) -> BlockGradients {
        let length = of.length;
        let (decay, bonus) = (of.load(of.decay, 0, block), of.load(of.bonus, 0, block));
        let mut sums = of.first(block);
        let mut before = Vec::with_capacity(length);
        for token in block.example * length..(block.example + 1) * length {
            before.push(sums);
            let (key, value) = (of.load(of.key, token, block), of.load(of.value, token, block));
            sums.advance(&decay, &key, &value);
        }
        let row = block.example * (length + ROWS);
        let mut of_numerator = of.load(gradient, row + length, block);
        let mut of_denominator = of.load(gradient, row + length + 1, block);
        let (mut of_decay, mut of_bonus) = ([0.0; LANES], [0.0; LANES]);
        let (mut of_key, mut of_value) = (vec![[0.0; LANES]; length], vec![[0.0; LANES]; length]);
        for (token, sums) in before.iter().enumerate().rev() {
            let place = block.example * length + token;
            let (key, value) = (of.load(of.key, place, block), of.load(of.value, place, block));
            let upstream = of.load(gradient, row + token, block);
            for lane in 0..LANES {
                let (numerator, denominator) = (sums.numerator[lane], sums.denominator[lane]);
                let (old, new) = shares(sums.exponent[lane], bonus[lane] + key[lane]);
                let below = old * denominator + new;
                let above = upstream[lane] / below;
                let mean = (old * numerator + new * value[lane]) / below;
                let of_current = new * above * (value[lane] - mean);
                let (kept, added) = shares(sums.exponent[lane] + decay[lane], key[lane]);
                let next = [of_numerator[lane], of_denominator[lane]];
                of_bonus[lane] += of_current;
                of_decay[lane] += kept * (numerator * next[0] + denominator * next[1]);
                of_key[token][lane] = of_current + added * (value[lane] * next[0] + next[1]);
                of_value[token][lane] = new * above + added * next[0];
                of_numerator[lane] = kept * next[0] + old * above;
                of_denominator[lane] = kept * next[1] - old * above * mean;
            }
        }
        BlockGradients {
            decay: vec![of_decay],
            bonus: vec![of_bonus],
            key: of_key,
            value: of_value,
            // The exponent only says to what the sums are relative.
            state: vec![of_numerator, of_denominator, [0.0; LANES]],
        }
    }
}
