//! The causal convolution of each channel, over plain slices.

#![expect(unsafe_code, reason = "tasks write columns of one matrix; loops are called after detection")]

use super::columns::Columns;
use super::vectorized::vectorized;
use rayon::prelude::*;

/// `[batch, length, channels]` values under windows of `width` tokens, at least 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Causal {
    pub(super) batch: usize,
    pub(super) length: usize,
    pub(super) channels: usize,
    pub(super) width: usize,
}

/// What [`Causal::backward`] makes.
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    /// `[channels, width]`.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) window: Vec<f32>,
}

/// Channels that one task takes.
const CHANNELS: usize = 128;

/// Some channels of one example.
#[derive(Debug, Clone, Copy)]
struct Part {
    example: usize,
    /// The first channel.
    first: usize,
    count: usize,
}

/// The values before the first token `[batch, width − 1, channels]`, and those of the tokens.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    window: &'a [f32],
    x: &'a [f32],
}

impl Causal {
    fn parts(self) -> impl IndexedParallelIterator<Item = Part> {
        let each = self.channels.div_ceil(CHANNELS);
        (0..self.batch * each).into_par_iter().map(move |task| {
            let (example, first) = (task / each, task % each * CHANNELS);
            Part { example, first, count: CHANNELS.min(self.channels - first) }
        })
    }

    /// Where a part's channels of a token begin.
    fn token(&self, part: Part, token: usize) -> usize {
        (part.example * self.length + token) * self.channels + part.first
    }

    /// Where a part's channels of row `row` of the window begin.
    fn row(&self, part: Part, row: usize) -> usize {
        (part.example * (self.width - 1) + row) * self.channels + part.first
    }

    /// What tap `tap` of a token meets.
    fn met<'a>(&self, part: Part, seen: Seen<'a>, token: usize, tap: usize) -> &'a [f32] {
        match (token + tap).checked_sub(self.width - 1) {
            Some(token) => &seen.x[self.token(part, token)..][..part.count],
            None => &seen.window[self.row(part, token + tap)..][..part.count],
        }
    }

    /// For each tap its weights of the part's channels.
    fn taps(&self, part: Part, weight: &[f32]) -> Vec<Vec<f32>> {
        let of_tap = |tap| (part.first..part.first + part.count).map(move |at| weight[at * self.width + tap]);
        (0..self.width).map(|tap| of_tap(tap).collect()).collect()
    }

    /// `y_t = b + Σ_j W_j ⊙ x_{t−w+1+j}`.
    pub(super) fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], window: &[f32]) -> Vec<f32> {
        let seen = Seen { window, x };
        let fill = |[y]: &[Columns; 1]| {
            self.parts().for_each(|part| {
                let taps = self.taps(part, weight);
                let mut sum = vec![0.0; part.count];
                for token in 0..self.length {
                    sum.copy_from_slice(&bias[part.first..part.first + part.count]);
                    for (tap, weight) in taps.iter().enumerate() {
                        add_products(weight, self.met(part, seen, token, tap), &mut sum);
                    }
                    // SAFETY: every value belongs to one part, and a part is one task.
                    unsafe { y.store(self.token(part, token), &sum) };
                }
            });
        };
        // SAFETY: the parts are all channels of all examples, and each stores all its tokens.
        let [y] = unsafe { Columns::fill([self.batch * self.length * self.channels], fill) };
        y
    }

    /// The gradients, given that of y: `∂x_s = Σ_j W_j ⊙ g_{s+w−1−j}`, `∂W_j = Σ_t g_t ⊙ x_{t−w+1+j}`, `∂b = Σ_t g_t`.
    pub(super) fn backward(&self, x: &[f32], weight: &[f32], window: &[f32], gradient: &[f32]) -> Gradients {
        let (seen, before) = (Seen { window, x }, self.width - 1);
        let mut sums: Vec<(Part, Vec<Vec<f32>>)> = Vec::new();
        let fill = |[of_x, of_window]: &[Columns; 2]| {
            let task = |part: Part| {
                let taps = self.taps(part, weight);
                // Of every tap, then of the bias.
                let mut sums = vec![vec![0.0; part.count]; self.width + 1];
                let given = |token: usize| &gradient[self.token(part, token)..][..part.count];
                for token in 0..self.length {
                    for (tap, sum) in sums[..self.width].iter_mut().enumerate() {
                        add_products(given(token), self.met(part, seen, token, tap), sum);
                    }
                    sums[self.width].iter_mut().zip(given(token)).for_each(|(sum, value)| *sum += value);
                }
                let mut sum = vec![0.0; part.count];
                // A place counts the rows of the window, then the tokens; tap j of token t meets place t + j.
                for place in 0..before + self.length {
                    sum.fill(0.0);
                    for (tap, weight) in taps.iter().enumerate() {
                        if let Some(token) = place.checked_sub(tap).filter(|token| *token < self.length) {
                            add_products(weight, given(token), &mut sum);
                        }
                    }
                    // SAFETY: every value belongs to one part, and a part is one task.
                    unsafe {
                        match place.checked_sub(before) {
                            Some(token) => of_x.store(self.token(part, token), &sum),
                            None => of_window.store(self.row(part, place), &sum),
                        }
                    }
                }
                (part, sums)
            };
            self.parts().map(task).collect_into_vec(&mut sums);
        };
        let lengths = [self.batch * self.length * self.channels, self.batch * before * self.channels];
        // SAFETY: the parts are all channels of all examples, and each stores all its tokens and its window.
        let [of_x, of_window] = unsafe { Columns::fill(lengths, fill) };
        let (mut of_weight, mut of_bias) = (vec![0.0; self.channels * self.width], vec![0.0; self.channels]);
        for (part, sums) in sums {
            // The last sums are those of the bias.
            for (tap, sums) in sums.iter().enumerate() {
                for (channel, sum) in (part.first..part.first + part.count).zip(sums) {
                    if tap < self.width {
                        of_weight[channel * self.width + tap] += sum;
                    } else {
                        of_bias[channel] += sum;
                    }
                }
            }
        }
        Gradients { x: of_x, weight: of_weight, bias: of_bias, window: of_window }
    }
}

vectorized! {
    /// `sum ← sum + left ⊙ right`.
    fn add_products(left: &[f32], right: &[f32], sum: &mut [f32]) {
        for ((left, right), sum) in left.iter().zip(right).zip(sum) {
            *sum += left * right;
        }
    }
}
