//! The diagonal linear recurrence over plain slices.

#![expect(unsafe_code, reason = "tasks write columns of one matrix; loops are called after detection")]

use super::columns::Columns;
use super::vectorized::vectorized;
use rayon::prelude::*;

/// `[batch, length, channels]` values.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiagonalScan {
    pub(super) batch: usize,
    pub(super) length: usize,
    pub(super) channels: usize,
}

/// What [`DiagonalScan::backward`] makes.
pub(super) struct Gradients {
    pub(super) decay: Vec<f32>,
    pub(super) input: Vec<f32>,
    pub(super) initial: Vec<f32>,
}

/// Channels that one task takes.
const CHANNELS: usize = 128;

/// Some channels of one example.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The first value of the first token.
    start: usize,
    /// Where the channels stand in a state of the whole batch.
    state: usize,
    count: usize,
}

impl DiagonalScan {
    fn parts(self) -> impl IndexedParallelIterator<Item = Part> {
        let each = self.channels.div_ceil(CHANNELS);
        (0..self.batch * each).into_par_iter().map(move |task| {
            let (example, first) = (task / each, task % each * CHANNELS);
            Part {
                start: example * self.length * self.channels + first,
                state: example * self.channels + first,
                count: CHANNELS.min(self.channels - first),
            }
        })
    }

    /// The states behind every token.
    pub(super) fn forward(&self, decay: &[f32], input: &[f32], initial: &[f32]) -> Vec<f32> {
        let fill = |[states]: &[Columns; 1]| {
            self.parts().for_each(|part| {
                let mut state = initial[part.state..part.state + part.count].to_vec();
                for token in 0..self.length {
                    let at = part.start + token * self.channels;
                    let range = at..at + part.count;
                    advance(&decay[range.clone()], &input[range], &mut state);
                    // SAFETY: every value belongs to one part, and a part is one task.
                    unsafe { states.store(at, &state) };
                }
            });
        };
        // SAFETY: the parts are all channels of all examples, and each stores all its tokens.
        let [states] = unsafe { Columns::fill([self.batch * self.length * self.channels], fill) };
        states
    }

    /// The gradients, given that of the states: with `g_t` the gradient that reaches `h_t`,
    /// `g_t = ∂h_t + a_{t+1} ⊙ g_{t+1}`, `∂a_t = g_t ⊙ h_{t−1}`, `∂b_t = g_t`.
    pub(super) fn backward(
        &self,
        decay: &[f32],
        initial: &[f32],
        states: &[f32],
        gradient: &[f32],
    ) -> Gradients {
        let values = self.batch * self.length * self.channels;
        let fill = |[of_decay, of_input, of_initial]: &[Columns; 3]| {
            self.parts().for_each(|part| {
                let count = part.count;
                let [mut carried, mut decay_row, mut input_row] = [(); 3].map(|()| vec![0.0; count]);
                for token in (0..self.length).rev() {
                    let at = part.start + token * self.channels;
                    let before = match token {
                        0 => &initial[part.state..part.state + count],
                        _ => &states[at - self.channels..at - self.channels + count],
                    };
                    let (decay, gradient) = (&decay[at..at + count], &gradient[at..at + count]);
                    retreat(decay, before, gradient, &mut carried, &mut decay_row, &mut input_row);
                    // SAFETY: every value belongs to one part, and a part is one task.
                    unsafe {
                        of_decay.store(at, &decay_row);
                        of_input.store(at, &input_row);
                    }
                }
                // SAFETY: likewise.
                unsafe { of_initial.store(part.state, &carried) };
            });
        };
        // SAFETY: the parts are all channels of all examples, and each stores all its tokens.
        let [decay, input, initial] =
            unsafe { Columns::fill([values, values, self.batch * self.channels], fill) };
        Gradients { decay, input, initial }
    }
}

vectorized! {
    /// `h ← a ⊙ h + b`.
    fn advance(decay: &[f32], input: &[f32], state: &mut [f32]) {
        for ((decay, input), state) in decay.iter().zip(input).zip(state) {
            *state = decay * *state + input;
        }
    }

    /// One token back: `carried` is the gradient that comes from later tokens, and becomes that for earlier ones.
    fn retreat(
        decay: &[f32], before: &[f32], gradient: &[f32], carried: &mut [f32], of_decay: &mut [f32],
        of_input: &mut [f32],
    ) {
        let given = decay.iter().zip(before).zip(gradient);
        let made = carried.iter_mut().zip(of_decay).zip(of_input);
        for (((decay, before), gradient), ((carried, of_decay), of_input)) in given.zip(made) {
            let total = gradient + *carried;
            *of_input = total;
            *of_decay = total * before;
            *carried = decay * total;
        }
    }
}
