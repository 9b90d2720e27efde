//! Loops over single rows of scores, and rows laid out for [`Product`](super::super::product::Product).

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::super::lanes::{largest, sum};
use super::super::squash::exp;
use super::super::vectorized::vectorized;

/// `e^(score − largest)`, and exactly 0 for a hidden score of −∞.
#[inline(always)]
fn exponent(score: f32, largest: f32) -> f32 {
    let below = score - largest;
    if below < -87.0 { 0.0 } else { exp(below) }
}

vectorized! {
    /// Scales the scores and finds the largest.
    fn scale(scores: &mut [f32], scale: f32) -> f32 {
        for score in &mut *scores {
            *score *= scale;
        }
        largest(scores)
    }

    /// Scales the scores, makes those of padding −∞, and finds the largest.
    fn scale_real(scores: &mut [f32], real: &[bool], scale: f32) -> f32 {
        for (score, real) in scores.iter_mut().zip(real) {
            *score = if *real { *score * scale } else { f32::NEG_INFINITY };
        }
        largest(scores)
    }

    /// `s ← e^(s − largest)`, and their sum.
    fn exponents(scores: &mut [f32], largest: f32) -> f32 {
        for score in &mut *scores {
            *score = exponent(*score, largest);
        }
        sum([scores], |[score]| score)
    }

    /// `s ← e^(s − largest) · inverse`.
    fn weights(scores: &mut [f32], largest: f32, inverse: f32) {
        for score in scores {
            *score = exponent(*score, largest) * inverse;
        }
    }

    /// `dS ← scale · P ∘ (dP − Σ P dP)`, in the place of dP.
    fn slopes(weights: &[f32], gradient: &mut [f32], scale: f32) {
        let mean = sum([weights, gradient], |[weight, gradient]| weight * gradient);
        for (gradient, weight) in gradient.iter_mut().zip(weights) {
            *gradient = scale * weight * (*gradient - mean);
        }
    }

    /// `target = factor · source`.
    fn scaled(source: &[f32], factor: f32, target: &mut [f32]) {
        for (target, source) in target.iter_mut().zip(source) {
            *target = factor * source;
        }
    }

    /// Rows of `width` values at distances of `pitch`; what lies between stays as it is.
    fn pad(source: &[f32], width: usize, target: &mut [f32], pitch: usize) {
        for (source, target) in source.chunks_exact(width).zip(target.chunks_exact_mut(pitch)) {
            target[..width].copy_from_slice(source);
        }
    }

    /// The rows that [`pad`] laid out, one behind the other.
    fn unpad(source: &[f32], pitch: usize, target: &mut [f32], width: usize) {
        for (source, target) in source.chunks_exact(pitch).zip(target.chunks_exact_mut(width)) {
            target.copy_from_slice(&source[..width]);
        }
    }

    /// Rows of `width` values become columns, their values `pitch` apart.
    fn transpose(source: &[f32], width: usize, target: &mut [f32], pitch: usize) {
        for (row, source) in source.chunks_exact(width).enumerate() {
            for (column, value) in source.iter().enumerate() {
                target[column * pitch + row] = *value;
            }
        }
    }
}
