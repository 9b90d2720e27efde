//! Which token comes next.

use std::collections::HashSet;

use ansatz_core::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the next token is drawn from the logits. The limits are applied in the order of the fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides positive logits of tokens that stand in the text already, and multiplies negative ones; 1 leaves
    /// them (Keskar et al., CTRL, 2019, arXiv:1909.05858, section 4.1).
    pub repetition_penalty: f64,
    /// Divides all logits; 0 always takes the likeliest token.
    pub temperature: f64,
    /// Keeps this many of the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the likeliest tokens that together have this probability; 1 keeps all (Holtzman et al. 2020,
    /// arXiv:1904.09751).
    pub top_p: f64,
    /// Keeps tokens at least this share as likely as the likeliest; 0 keeps all (Nguyen et al. 2024,
    /// arXiv:2407.01082).
    pub min_p: f64,
    /// All draws follow from this number.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { repetition_penalty: 1.0, temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 0 }
    }
}

impl Sampling {
    /// Always the likeliest token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// With the value that is out of range.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("repetition penalty", self.repetition_penalty, self.repetition_penalty > 0.0, "above 0"),
            ("temperature", self.temperature, self.temperature >= 0.0, "0 or more"),
            ("top-p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "above 0 up to 1"),
            ("min-p", self.min_p, (0.0..=1.0).contains(&self.min_p), "0 to 1"),
        ];
        match ranges.into_iter().find(|(_, value, fits, _)| !(value.is_finite() && *fits)) {
            Some((name, value, _, expected)) => {
                Err(Error::input(format!("{name} {value}"), "out of range", expected, "give another value"))
            }
            None => Ok(()),
        }
    }
}

/// Draws tokens.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    seen: HashSet<u32>,
}

impl Sampler {
    /// A sampler that has seen no token.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn new(sampling: Sampling) -> Result<Self> {
        sampling.check()?;
        let random = ChaCha8Rng::seed_from_u64(sampling.seed);
        Ok(Self { sampling, random, seen: HashSet::new() })
    }

    /// Takes note of tokens that stand in the text.
    pub fn see(&mut self, tokens: &[u32]) {
        self.seen.extend(tokens);
    }

    /// Draws the next token from `logits`, one for each token of the vocabulary, and takes note of it.
    pub fn draw(&mut self, logits: &[f32]) -> u32 {
        let token = if self.sampling.temperature == 0.0 {
            let logits = self.penalized(logits);
            ordered(&logits).first().map_or(0, |best| *best)
        } else {
            let kept = self.distribution(logits);
            let mut left = self.random.random::<f64>() * kept.iter().map(|(_, share)| share).sum::<f64>();
            let drawn = kept.iter().find(|(_, share)| {
                left -= share;
                left < 0.0
            });
            // Rounding may leave a rest behind the last one.
            drawn.or(kept.last()).map_or(0, |(token, _)| *token)
        };
        self.seen.insert(token as u32);
        token as u32
    }

    fn penalized(&self, logits: &[f32]) -> Vec<f64> {
        let penalty = self.sampling.repetition_penalty;
        let apply = |(token, logit): (usize, &f32)| {
            let logit = f64::from(*logit);
            match self.seen.contains(&(token as u32)) {
                true if logit > 0.0 => logit / penalty,
                true => logit * penalty,
                false => logit,
            }
        };
        logits.iter().enumerate().map(apply).collect()
    }

    /// The tokens that may be drawn with their probabilities, likeliest first.
    fn distribution(&self, logits: &[f32]) -> Vec<(usize, f64)> {
        let Sampling { temperature, top_k, top_p, min_p, .. } = self.sampling;
        let logits = self.penalized(logits);
        let mut order = ordered(&logits);
        if top_k > 0 {
            order.truncate(top_k);
        }
        let largest = order.first().map_or(0.0, |best| logits[*best]);
        let weights: Vec<f64> =
            order.iter().map(|token| ((logits[*token] - largest) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut before = 0.0;
        let mut kept = Vec::new();
        for (token, weight) in order.into_iter().zip(weights) {
            let share = weight / total;
            // The likeliest token is always kept; its weight is 1.
            if !kept.is_empty() && (before >= top_p || weight < min_p) {
                break;
            }
            before += share;
            kept.push((token, share));
        }
        kept
    }
}

/// The places of the values from the largest down, of equal ones the first first.
fn ordered(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [1.0, 3.0, 2.0, -1.0];

    fn kept(sampling: Sampling) -> Vec<usize> {
        let sampler = Sampler::new(sampling).unwrap();
        sampler.distribution(&LOGITS).into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn limits_keep_the_likeliest() {
        let default = Sampling::default();
        assert_eq!(kept(default.clone()), [1, 2, 0, 3]);
        assert_eq!(kept(Sampling { top_k: 2, ..default.clone() }), [1, 2]);
        // Probabilities are 0.657, 0.242, 0.089, 0.012.
        assert_eq!(kept(Sampling { top_p: 0.65, ..default.clone() }), [1]);
        assert_eq!(kept(Sampling { top_p: 0.66, ..default.clone() }), [1, 2]);
        assert_eq!(kept(Sampling { min_p: 0.3, ..default.clone() }), [1, 2]);
        assert_eq!(kept(Sampling { min_p: 1.0, top_p: 0.1, top_k: 1, ..default }), [1]);
    }

    #[test]
    fn draws_follow_the_distribution_and_the_seed() {
        let draw = |seed| {
            let mut sampler = Sampler::new(Sampling { seed, ..Sampling::default() }).unwrap();
            (0..4000).map(|_| sampler.draw(&LOGITS)).collect::<Vec<_>>()
        };
        let first = draw(1);
        assert_eq!(first, draw(1));
        assert_ne!(first, draw(2));
        let share = first.iter().filter(|token| **token == 1).count() as f64 / 4000.0;
        // 0.657 is expected, with a standard deviation of 0.0075.
        assert!((share - 0.657).abs() < 0.03, "{share}");
    }

    #[test]
    fn a_penalty_lowers_what_was_seen() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::greedy() };
        let mut sampler = Sampler::new(sampling).unwrap();
        assert_eq!(sampler.draw(&LOGITS), 1);
        assert_eq!(sampler.draw(&LOGITS), 2);
        sampler.see(&[3]);
        assert_eq!(sampler.penalized(&LOGITS), [1.0, 1.5, 1.0, -2.0]);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let default = Sampling::default();
        for (sampling, name) in [
            (Sampling { temperature: -1.0, ..default.clone() }, "temperature"),
            (Sampling { top_p: 0.0, ..default.clone() }, "top-p"),
            (Sampling { min_p: 2.0, ..default.clone() }, "min-p"),
            (Sampling { repetition_penalty: f64::NAN, ..default }, "repetition penalty"),
        ] {
            assert!(Sampler::new(sampling).unwrap_err().to_string().contains(name));
        }
    }
}
