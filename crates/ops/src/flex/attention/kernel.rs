//! Softmax attention, a few queries at a time.

use super::super::buffer::Pool;
use super::super::product::{LANES, Product, pitch};
use super::rows;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Queries that are compared with all their keys at once.
const BLOCK: usize = 32;

/// Which keys each query sees.
#[derive(Debug, Clone)]
pub(in crate::flex) struct Sight {
    /// How many keys ahead of its own; `None`: all.
    pub(in crate::flex) ahead: Option<usize>,
    /// How many keys behind its own; `None`: all.
    pub(in crate::flex) back: Option<usize>,
    /// Groups of queries one behind the other, the last query of each at the last key.
    pub(in crate::flex) groups: usize,
    /// `[batch, keys]`, true where a key is no padding.
    pub(in crate::flex) real: Option<Arc<Vec<bool>>>,
}

/// The shapes of one call.
#[derive(Debug, Clone)]
pub(in crate::flex) struct Attention {
    pub(in crate::flex) batch: usize,
    pub(in crate::flex) heads: usize,
    pub(in crate::flex) queries: usize,
    pub(in crate::flex) keys: usize,
    /// Values per query and key.
    pub(in crate::flex) width: usize,
    /// Values per value.
    pub(in crate::flex) value_width: usize,
    pub(in crate::flex) scale: f32,
    pub(in crate::flex) sight: Sight,
}

/// What the gradient needs beside the inputs: of each query its largest score and 1 / Σ e^(score − largest).
pub(in crate::flex) type Sums = Vec<[f32; 2]>;

/// Gradients of query, key and value.
pub(in crate::flex) type Gradients = [Vec<f32>; 3];

/// Room for one head, used again for the next.
struct Scratch {
    /// Kᵀ `[width, pitch of keys]`, zero behind the keys; Vᵀ alike.
    across: [Vec<f32>; 2],
    /// K `[keys, pitch of width]` and V, zero behind their columns.
    padded: [Vec<f32>; 2],
    /// Gradients of K and V, likewise.
    gradients: [Vec<f32>; 2],
    /// Q and the output's gradient, a block of them.
    block: [Vec<f32>; 2],
    /// Scores or weights, and their gradient: `[block, pitch of keys]`.
    scores: [Vec<f32>; 2],
    /// A block of results.
    result: Vec<f32>,
}

impl Attention {
    fn scratch(&self) -> Scratch {
        let [across, wide, deep] = [self.keys, self.width, self.value_width].map(pitch);
        let zeros = |length: usize| vec![0.0; length];
        let pair = |first: usize, second: usize| [zeros(first), zeros(second)];
        Scratch {
            across: pair(self.width * across, self.value_width * across),
            padded: pair(self.keys * wide, self.keys * deep),
            gradients: pair(self.keys * wide, self.keys * deep),
            block: pair(BLOCK * wide, BLOCK * deep),
            scores: pair(BLOCK * across, BLOCK * across),
            result: zeros(BLOCK * wide.max(deep)),
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let queries = self.queries;
        (0..queries).step_by(BLOCK).map(move |first| first..queries.min(first + BLOCK))
    }

    /// The keys that one query sees, padding among them.
    fn near(&self, query: usize) -> Range<usize> {
        let Sight { ahead, back, groups, .. } = self.sight;
        if ahead.is_none() && back.is_none() {
            return 0..self.keys;
        }
        let queries = self.queries / groups;
        let own = query % queries + self.keys - queries;
        let end = ahead.map_or(self.keys, |ahead| self.keys.min(own + ahead + 1));
        back.map_or(0, |back| own.saturating_sub(back))..end
    }

    /// Which keys of a head's example are no padding.
    fn real(&self, head: usize) -> Option<&[bool]> {
        let real = self.sight.real.as_ref()?;
        Some(&real[head / self.heads * self.keys..][..self.keys])
    }

    /// The keys that some query of a block sees, from a whole register on.
    fn seen(&self, head: usize, block: &Range<usize>) -> Range<usize> {
        let (mut first, mut end) = (self.keys, 0);
        for near in block.clone().map(|query| self.near(query)) {
            (first, end) = (first.min(near.start), end.max(near.end));
        }
        if let Some(real) = self.real(head).and_then(|real| real.get(first..end)) {
            let last = real.iter().rposition(|real| *real).map_or(0, |last| last + 1);
            end = first + last;
            first += real.iter().position(|real| *real).unwrap_or(0);
        }
        let start = first / LANES * LANES;
        start..end.max(start)
    }

    /// `a · b` for the rows of a block: the scores of Q and Kᵀ, or the weights' gradients of dO and Vᵀ.
    fn compare(&self, a: &[f32], width: usize, across: &[f32], seen: &Range<usize>, scores: &mut [f32]) {
        let keys = pitch(self.keys);
        let size = [a.len() / width, pitch(seen.len()), width];
        let (b, c) = (&across[seen.start..], &mut scores[seen.start..]);
        Product { a, strides: [width, 1], b, c, pitches: [keys; 2], size, add: false }.compute();
    }

    /// `Σ_j scores[i, j] · b[j, ..]` for the rows of a block, `[rows, pitch of width]`.
    fn gather(
        &self,
        rows: usize,
        scores: &[f32],
        seen: &Range<usize>,
        b: &[f32],
        width: usize,
        c: &mut [f32],
    ) {
        let wide = pitch(width);
        let (a, b) = (&scores[seen.start..], &b[seen.start * wide..]);
        let size = [rows, wide, seen.len()];
        Product { a, strides: [pitch(self.keys), 1], b, c, pitches: [wide; 2], size, add: false }.compute();
    }

    /// `c[j, ..] += Σ_i scores[i, j] · b[i, ..]`: what the rows of a block add to the gradient of their keys.
    fn scatter(
        &self,
        rows: usize,
        scores: &[f32],
        seen: &Range<usize>,
        b: &[f32],
        width: usize,
        c: &mut [f32],
    ) {
        let wide = pitch(width);
        let (a, c) = (&scores[seen.start..], &mut c[seen.start * wide..]);
        let size = [seen.len(), wide, rows];
        Product { a, strides: [1, pitch(self.keys)], b, c, pitches: [wide; 2], size, add: true }.compute();
    }

    /// One query's scores, scaled, those of keys that it does not see −∞, and the largest of the others; 0 where it
    /// sees none.
    fn finish(&self, head: usize, query: usize, seen: &Range<usize>, scores: &mut [f32]) -> f32 {
        let near = self.near(query);
        let inside = |key: usize| key.clamp(seen.start, seen.end) - seen.start;
        let (start, end) = (inside(near.start), inside(near.end));
        scores[..start].fill(f32::NEG_INFINITY);
        scores[end..].fill(f32::NEG_INFINITY);
        let scores = &mut scores[start..end];
        let largest = match self.real(head) {
            Some(real) => rows::scale_real(scores, &real[seen.start + start..seen.start + end], self.scale),
            None => rows::scale(scores, self.scale),
        };
        if largest == f32::NEG_INFINITY { 0.0 } else { largest }
    }

    /// `softmax(scale · Q Kᵀ) V`, and the sums. A query that sees no key gets zeros.
    pub(in crate::flex) fn forward(&self, query: &[f32], key: &[f32], value: &[f32]) -> (Vec<f32>, Sums) {
        let pool = Pool::new(|| self.scratch());
        let mut output = vec![0.0; self.batch * self.heads * self.queries * self.value_width];
        let mut sums = vec![[0.0; 2]; self.batch * self.heads * self.queries];
        let outputs = output.par_chunks_mut(self.queries * self.value_width);
        outputs.zip(sums.par_chunks_mut(self.queries)).enumerate().for_each(|(head, (output, sums))| {
            let [query, key, value] = self.head(head, [query, key, value]);
            pool.with(|scratch| self.forward_head(head, [query, key, value], output, sums, scratch));
        });
        (output, sums)
    }

    /// The part of each input that belongs to one head of one example.
    fn head<'a>(&self, head: usize, [query, key, value]: [&'a [f32]; 3]) -> [&'a [f32]; 3] {
        let part = |of: &'a [f32], size: usize| &of[head * size..][..size];
        [
            part(query, self.queries * self.width),
            part(key, self.keys * self.width),
            part(value, self.keys * self.value_width),
        ]
    }

    fn forward_head(
        &self,
        head: usize,
        [query, key, value]: [&[f32]; 3],
        output: &mut [f32],
        sums: &mut [[f32; 2]],
        scratch: &mut Scratch,
    ) {
        let (width, depth, keys) = (self.width, self.value_width, pitch(self.keys));
        let Scratch { across: [across, _], padded: [_, values], scores: [scores, _], result, .. } = scratch;
        rows::transpose(key, width, across, keys);
        rows::pad(value, depth, values, pitch(depth));
        for block in self.blocks() {
            let seen = self.seen(head, &block);
            if seen.is_empty() {
                continue;
            }
            self.compare(&query[block.start * width..block.end * width], width, across, &seen, scores);
            for (query, scores) in block.clone().zip(scores.chunks_exact_mut(keys)) {
                let scores = &mut scores[seen.clone()];
                let largest = self.finish(head, query, &seen, scores);
                let sum = rows::exponents(scores, largest);
                // A sum that is not above 0 has no term; one that is no number stays that.
                sums[query] = [largest, if sum == 0.0 { 0.0 } else { 1.0 / sum }];
            }
            self.gather(block.len(), scores, &seen, values, depth, result);
            let outputs = output[block.start * depth..block.end * depth].chunks_exact_mut(depth);
            for ((output, result), [_, inverse]) in
                outputs.zip(result.chunks_exact(pitch(depth))).zip(&sums[block])
            {
                rows::scaled(&result[..depth], *inverse, output);
            }
        }
    }

    /// Gradients, given that of the output.
    ///
    /// With P the weights and means over a row (Dao et al. 2022, arXiv:2205.14135, appendix B.2): `dV = Pᵀ dO`,
    /// `dP = dO Vᵀ`, `dS = P ∘ (dP − Σ_j P dP)`, `dQ = scale · dS K`, `dK = scale · dSᵀ Q`. The weights are
    /// computed again.
    pub(in crate::flex) fn backward(
        &self,
        [query, key, value]: [&[f32]; 3],
        sums: &[[f32; 2]],
        gradient: &[f32],
    ) -> Gradients {
        let pool = Pool::new(|| self.scratch());
        let [mut of_query, mut of_key, mut of_value] = [query, key, value].map(|of| vec![0.0; of.len()]);
        let queries = of_query.par_chunks_mut(self.queries * self.width);
        let keys = of_key.par_chunks_mut(self.keys * self.width);
        let values = of_value.par_chunks_mut(self.keys * self.value_width);
        queries.zip(keys).zip(values).enumerate().for_each(|(head, ((of_query, of_key), of_value))| {
            let inputs = self.head(head, [query, key, value]);
            let sums = &sums[head * self.queries..][..self.queries];
            let size = self.queries * self.value_width;
            let gradient = &gradient[head * size..][..size];
            pool.with(|scratch| {
                self.backward_head(head, inputs, sums, gradient, of_query, scratch);
                let [keys, values] = &scratch.gradients;
                rows::unpad(keys, pitch(self.width), of_key, self.width);
                rows::unpad(values, pitch(self.value_width), of_value, self.value_width);
            });
        });
        [of_query, of_key, of_value]
    }

    /// The gradient of the queries, and in `scratch` those of keys and values.
    fn backward_head(
        &self,
        head: usize,
        [query, key, value]: [&[f32]; 3],
        sums: &[[f32; 2]],
        gradient: &[f32],
        of_query: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (width, depth, keys) = (self.width, self.value_width, pitch(self.keys));
        let Scratch {
            across: [keys_across, values_across],
            padded: [padded_keys, _],
            gradients: [of_key, of_value],
            block: [queries, gradients],
            scores: [weights, slopes],
            result,
        } = scratch;
        rows::transpose(key, width, keys_across, keys);
        rows::transpose(value, depth, values_across, keys);
        rows::pad(key, width, padded_keys, pitch(width));
        of_key.fill(0.0);
        of_value.fill(0.0);
        for block in self.blocks() {
            let seen = self.seen(head, &block);
            if seen.is_empty() {
                continue;
            }
            let query = &query[block.start * width..block.end * width];
            let gradient = &gradient[block.start * depth..block.end * depth];
            self.compare(query, width, keys_across, &seen, weights);
            self.compare(gradient, depth, values_across, &seen, slopes);
            let both = weights.chunks_exact_mut(keys).zip(slopes.chunks_exact_mut(keys));
            for (query, (weights, slopes)) in block.clone().zip(both) {
                let (weights, slopes) = (&mut weights[seen.clone()], &mut slopes[seen.clone()]);
                let [largest, inverse] = sums[query];
                self.finish(head, query, &seen, weights);
                rows::weights(weights, largest, inverse);
                rows::slopes(weights, slopes, self.scale);
            }
            rows::pad(query, width, queries, pitch(width));
            rows::pad(gradient, depth, gradients, pitch(depth));
            self.gather(block.len(), slopes, &seen, padded_keys, width, result);
            rows::unpad(result, pitch(width), &mut of_query[block.start * width..block.end * width], width);
            self.scatter(block.len(), slopes, &seen, queries, width, of_key);
            self.scatter(block.len(), weights, &seen, gradients, depth, of_value);
        }
    }
}
