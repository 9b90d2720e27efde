//! Whether a classifier is as often right as it says.

/// Equal parts of the confidences 0–1.
const BINS: usize = 15;

/// Predictions by how certain they were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calibration([Bin; BINS]);

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    count: u64,
    correct: u64,
    confidence: f64,
}

impl Calibration {
    /// Takes in a prediction that was made with `confidence` in 0–1; NaN counts as 0.
    pub(crate) fn add(&mut self, confidence: f64, correct: bool) {
        let confidence = if confidence.is_nan() { 0.0 } else { confidence };
        let bin = &mut self.0[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.count += 1;
        bin.correct += u64::from(correct);
        bin.confidence += confidence;
    }

    /// Expected calibration error, 0–1 (Guo et al. 2017, "On calibration of modern neural networks", eq. 3, 15 bins).
    /// NaN where nothing was taken in.
    ///
    /// ```text
    /// ECE = Σ over bins of |right − mean confidence · count| / all
    /// ```
    pub(crate) fn error(&self) -> f64 {
        let all: u64 = self.0.iter().map(|bin| bin.count).sum();
        let gaps = self.0.iter().map(|bin| (bin.correct as f64 - bin.confidence).abs());
        gaps.sum::<f64>() / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_how_far_confidence_and_success_lie_apart() {
        let mut calibration = Calibration::default();
        assert!(calibration.error().is_nan());
        // Ten predictions at 0.9 of which nine are right, and two certain ones that are wrong.
        for index in 0..10 {
            calibration.add(0.9, index > 0);
        }
        assert!(calibration.error() < 1e-12);
        calibration.add(1.0, false);
        calibration.add(1.0, false);
        assert!((calibration.error() - 2.0 / 12.0).abs() < 1e-12);
        calibration.add(f64::NAN, true);
        assert!((calibration.error() - 3.0 / 13.0).abs() < 1e-12);
    }
}
