//! One scale for all responses.

use serde::{Deserialize, Serialize};

/// Mean and deviation of each response over the training part.
///
/// The responses of MiniRocket are shares: `(y − μ) / σ`. Those of Hydra are counts and sums, many of them 0, and 0
/// stays 0: `(√max(y, 0) − μ) / (σ + ε)` elsewhere, where ε is the fourth power of the share of zeros (Dempster et al. 2023,
/// arXiv:2203.13652, section 3.4), as σ of few values says little. Of a response that never varies σ is taken as 1. All are divided by the root of their number, so that a
/// row is about as long as 1 however many there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scale {
    /// How many of the first are shares.
    shares: usize,
    mean: Vec<f32>,
    /// What is divided by: σ, or σ + ε; above 0.
    deviation: Vec<f32>,
}

impl Scale {
    pub(super) fn len(&self) -> usize {
        self.mean.len().min(self.deviation.len())
    }

    pub(super) fn apply(&self, responses: &[f32]) -> Vec<f32> {
        let size = (responses.len() as f32).sqrt().recip();
        let scaled = |(index, response): (usize, &f32)| {
            let value = read(index < self.shares, *response);
            if index >= self.shares && value == 0.0 {
                return 0.0;
            }
            (value - self.mean[index]) / self.deviation[index] * size
        };
        responses.iter().enumerate().map(scaled).collect()
    }
}

/// A response before mean and deviation.
fn read(is_share: bool, response: f32) -> f32 {
    if is_share { response } else { response.max(0.0).sqrt() }
}

/// Takes in the responses of the training part twice: once for the means, once for the deviations.
pub(super) struct ScaleFit {
    shares: usize,
    rows: usize,
    zeros: Vec<usize>,
    sums: Vec<f64>,
    mean: Option<Vec<f64>>,
}

impl ScaleFit {
    pub(super) fn new(shares: usize, responses: usize) -> Self {
        Self { shares, rows: 0, zeros: vec![0; responses], sums: vec![0.0; responses], mean: None }
    }

    pub(super) fn add(&mut self, responses: &[f32]) {
        self.rows += 1;
        for (index, response) in responses.iter().enumerate() {
            let value = f64::from(read(index < self.shares, *response));
            self.sums[index] += match &self.mean {
                None => value,
                Some(mean) => (value - mean[index]).powi(2),
            };
            self.zeros[index] += usize::from(*response == 0.0);
        }
    }

    /// The second pass.
    pub(super) fn with_means(self) -> Self {
        let rows = self.rows.max(1) as f64;
        let mean = self.sums.iter().map(|sum| sum / rows).collect();
        Self { mean: Some(mean), ..Self::new(self.shares, self.sums.len()) }
    }

    pub(super) fn finish(self) -> Scale {
        /// Less of the mean than this is rounding.
        const ROUNDING: f64 = 1e-6;
        let rows = self.rows.max(1) as f64;
        let means = self.mean.unwrap_or_default();
        let deviation = |(index, (sum, mean)): (usize, (&f64, &f64))| {
            let is_share = index < self.shares;
            let degrees = if is_share { rows } else { (rows - 1.0).max(1.0) };
            let spread =
                Some((sum / degrees).sqrt()).filter(|spread| *spread > ROUNDING * mean).unwrap_or(1.0);
            let zeros = if is_share { 0.0 } else { self.zeros[index] as f64 / rows };
            (spread + zeros.powi(4)) as f32
        };
        let deviation = self.sums.iter().zip(&means).enumerate().map(deviation).collect();
        let mean = means.iter().map(|mean| *mean as f32).collect();
        Scale { shares: self.shares, mean, deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_counts_come_to_one_scale_and_no_count_stays_none() {
        let rows = [[0.5, 0.1, 4.0, -3.0], [0.7, 0.1, 0.0, 0.0]];
        let mut fit = ScaleFit::new(2, 4);
        rows.iter().for_each(|row| fit.add(row));
        let mut fit = fit.with_means();
        rows.iter().for_each(|row| fit.add(row));
        let scale = fit.finish();
        assert_eq!(scale.len(), 4);
        let scaled = scale.apply(&rows[0]);
        // 0.6 ± 0.1; a share that never varies; √4 with mean 1, deviation √2 and ε = 1/16; below 0 is 0. Halved: √4.
        let expected = [-1.0, 0.0, 1.0 / (2f32.sqrt() + 0.0625), 0.0];
        for (found, expected) in scaled.iter().zip(expected) {
            assert!((found - expected / 2.0).abs() < 1e-4, "{scaled:?}");
        }
        assert_eq!(scale.apply(&rows[1])[2], 0.0);
        // What never varied may do so later, and is then no reason to shout.
        let mut fit = ScaleFit::new(1, 2);
        (0..36).for_each(|_| fit.add(&[0.3, 0.3]));
        let mut fit = fit.with_means();
        (0..36).for_each(|_| fit.add(&[0.3, 0.3]));
        let scaled = fit.finish().apply(&[0.4, 0.4]);
        assert!(scaled.iter().all(|value| value.abs() < 0.2), "{scaled:?}");
    }
}
