//! Stretching the waves of rotary positions for texts longer than those of pretraining.

use std::f64::consts::TAU;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the waves of rotary positions are stretched for texts longer than those of pretraining.
///
/// Every kind here fixes the waves once for all, so that tokens seen keep their place when further ones come.
/// "Dynamic" and "LongRoPE" scaling, which choose the waves by the length of the text, have no such recurrent form.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RotaryScaling {
    /// All waves alike: position interpolation (Chen et al. 2023, arXiv:2306.15595).
    Linear {
        /// Times longer, at least 1.
        factor: f64,
    },
    /// Long waves by `factor`, short ones not, and a linear ramp between them (Dubey et al., The Llama 3 Herd of
    /// Models, 2024, arXiv:2407.21783, in the form of Llama 3.1's published code).
    Llama3 {
        /// Times longer, at least 1.
        factor: f64,
        /// Waves that turn less often than this within `length` are stretched in full; above 0.
        low: f64,
        /// Waves that turn more often than this within `length` stay; above `low`.
        high: f64,
        /// The longest text of pretraining, in tokens, at least 1.
        length: usize,
    },
    /// The same idea with a ramp over the pairs instead of the frequencies (Peng et al., YaRN, 2023,
    /// arXiv:2309.00071, section 3).
    Yarn {
        /// Times longer, at least 1.
        factor: f64,
        /// Waves that turn less often than this within `length` are stretched in full; above 0. Published: 1.
        low: f64,
        /// Waves that turn more often than this within `length` stay; above `low`. Published: 32.
        high: f64,
        /// The longest text of pretraining, in tokens, at least 1.
        length: usize,
        /// Multiplies queries and keys, above 0. Published: `0.1 ln(factor) + 1` (equation 22).
        magnitude: f64,
        /// Whether the ends of the ramp are rounded outwards to whole pairs.
        rounded: bool,
    },
}

type Problem = (&'static str, String, &'static str);

impl RotaryScaling {
    /// What YaRN multiplies queries and keys by for `factor` (equation 22), its logarithm weighted by `weight`.
    pub fn yarn_magnitude(factor: f64, weight: f64) -> f64 {
        if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 }
    }

    fn check(&self) -> Result<(), Problem> {
        let (factor, bounds, length, magnitude) = match *self {
            Self::Linear { factor } => (factor, None, 1, 1.0),
            Self::Llama3 { factor, low, high, length } => (factor, Some((low, high)), length, 1.0),
            Self::Yarn { factor, low, high, length, magnitude, .. } => {
                (factor, Some((low, high)), length, magnitude)
            }
        };
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(("scaling.factor", factor.to_string(), "a number, at least 1"));
        }
        if let Some((low, high)) = bounds {
            if !(low.is_finite() && low > 0.0) {
                return Err(("scaling.low", low.to_string(), "a number above 0"));
            }
            if !(high.is_finite() && high > low) {
                return Err(("scaling.high", high.to_string(), "a number above `low`"));
            }
        }
        if length == 0 {
            return Err(("scaling.length", "texts of 0 tokens".to_owned(), "at least 1"));
        }
        if !(magnitude.is_finite() && magnitude > 0.0) {
            return Err(("scaling.magnitude", magnitude.to_string(), "a number above 0"));
        }
        Ok(())
    }

    /// The stretched `rates`, in radians per position, with what queries and keys are multiplied by.
    pub(super) fn apply(&self, rates: Vec<f64>, base: f64) -> Result<(Vec<f64>, f64), Problem> {
        self.check()?;
        // The share of each wave that stays as it is, 0 to 1.
        let (factor, kept): (f64, Vec<f64>) = match *self {
            Self::Linear { factor } => (factor, vec![0.0; rates.len()]),
            Self::Llama3 { factor, low, high, length } => {
                let turns = rates.iter().map(|rate| length as f64 * rate / TAU);
                (factor, turns.map(|turns| ((turns - low) / (high - low)).clamp(0.0, 1.0)).collect())
            }
            Self::Yarn { factor, low, high, length, rounded, .. } => {
                let width = (2 * rates.len()) as f64;
                // The pair, counted in fractions, whose wave turns so often within the length.
                let pair = |turns: f64| width * (length as f64 / (turns * TAU)).ln() / (2.0 * base.ln());
                let (first, last) = (pair(high), pair(low));
                let (first, last) = if rounded { (first.floor(), last.ceil()) } else { (first, last) };
                let (first, last) = (first.max(0.0), last.min(width - 1.0));
                // Published code parts the ends by this much where they meet.
                let span = if first == last { 1e-3 } else { last - first };
                let ramp = |pair: usize| 1.0 - ((pair as f64 - first) / span).clamp(0.0, 1.0);
                (factor, (0..rates.len()).map(ramp).collect())
            }
        };
        let stretched = rates.iter().zip(kept).map(|(rate, kept)| rate / factor * (1.0 - kept) + rate * kept);
        let magnitude = if let Self::Yarn { magnitude, .. } = *self { magnitude } else { 1.0 };
        Ok((stretched.collect(), magnitude))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RotaryConfig;

    const LLAMA3: RotaryScaling = RotaryScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, length: 64 };
    const YARN: RotaryScaling =
        RotaryScaling::Yarn { factor: 4.0, low: 1.0, high: 32.0, length: 64, magnitude: 1.0, rounded: true };

    /// What the functions of transformers 5.24 (`modeling_rope_utils`) make of a base of 10000 and heads of 16.
    #[test]
    fn waves_are_those_of_published_code() {
        let long =
            [0.0012499999720603228, 0.00039528473280370235, 0.0001250000059371814, 3.9528473280370235e-05];
        let slow =
            [0.007905694656074047, 0.0024999999441206455, 0.0007905694656074047, 0.0002500000118743628];
        let linear = [0.25, 0.07905694097280502, 0.02500000037252903];
        let sharp = RotaryScaling::Yarn {
            factor: 4.0,
            low: 0.5,
            high: 16.0,
            length: 64,
            magnitude: 1.0,
            rounded: false,
        };
        let cases = [
            (RotaryScaling::Linear { factor: 4.0 }, [&linear[..], &slow].concat()),
            (
                LLAMA3,
                [&[1.0, 0.24438458681106567, 0.013042256236076355, 0.0039528473280370235][..], &long]
                    .concat(),
            ),
            (YARN, [&[1.0, 0.23717081546783447, 0.04999999701976776][..], &slow].concat()),
            (sharp, [&[1.0, 0.22563748061656952, 0.04270566999912262][..], &slow].concat()),
        ];
        for (scaling, expected) in cases {
            let config = RotaryConfig { scaling: Some(scaling), ..RotaryConfig::default() };
            let rotary = config.init(16).unwrap();
            for (found, expected) in rotary.rates().iter().zip(&expected) {
                assert!((found / expected - 1.0).abs() < 1e-6, "{scaling:?}: {found} instead of {expected}");
            }
        }
        let magnitude = RotaryScaling::yarn_magnitude(4.0, 0.8) / RotaryScaling::yarn_magnitude(4.0, 0.5);
        assert!((magnitude - 1.0388929752217428).abs() < 1e-12);
        assert!((RotaryScaling::yarn_magnitude(4.0, 1.0) - 1.138629436111989).abs() < 1e-12);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let nothing = RotaryScaling::Llama3 { factor: 2.0, low: 1.0, high: 1.0, length: 0 };
        let wrong = [
            (RotaryScaling::Linear { factor: f64::NAN }, "scaling.factor"),
            (RotaryScaling::Llama3 { factor: 2.0, low: 0.0, high: 1.0, length: 1 }, "scaling.low"),
            (nothing, "scaling.high"),
            (RotaryScaling::Llama3 { factor: 2.0, low: 1.0, high: 2.0, length: 0 }, "scaling.length"),
        ];
        for (scaling, key) in wrong {
            let config = RotaryConfig { scaling: Some(scaling), ..RotaryConfig::default() };
            assert_eq!(config.init(8).unwrap_err().0, key);
        }
    }
}
