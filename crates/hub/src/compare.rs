//! How far two results lie apart.

use serde::Serialize;

use crate::Values;

/// How one quantity of a network compares with its reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The checkpoint.
    pub name: String,
    /// What is compared: `output.logits`, `generated.tokens`, `gradient.lm_head.weight`.
    pub quantity: String,
    /// The largest absolute difference; for tokens, how many differ. `None` where nothing could be compared.
    pub error: Option<f64>,
    /// The largest difference that is allowed.
    pub tolerance: f64,
    /// Whether the difference is within the tolerance.
    pub ok: bool,
    /// Why nothing could be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Comparison {
    /// A difference and what is allowed.
    pub(crate) fn of(name: &str, quantity: &str, error: f64, tolerance: f64) -> Self {
        let ok = error <= tolerance;
        Self {
            name: name.to_owned(),
            quantity: quantity.to_owned(),
            error: Some(error),
            tolerance,
            ok,
            problem: None,
        }
    }

    /// Something that could not be compared.
    pub(crate) fn failed(name: &str, quantity: &str, problem: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            quantity: quantity.to_owned(),
            error: None,
            tolerance: 0.0,
            ok: false,
            problem: Some(problem.into()),
        }
    }

    /// Two tensors.
    pub(crate) fn tensors(
        name: &str,
        quantity: &str,
        found: &Values,
        expected: &Values,
        tolerance: f64,
    ) -> Self {
        if found.shape != expected.shape {
            let problem = format!("shape {:?}, expected {:?}", found.shape, expected.shape);
            return Self::failed(name, quantity, problem);
        }
        let error = found.values.iter().zip(&expected.values).fold(0.0f64, |worst, (found, expected)| {
            let error = (f64::from(*found) - f64::from(*expected)).abs();
            // A number that is none is further away than any other.
            if error.is_nan() { f64::INFINITY } else { worst.max(error) }
        });
        Self::of(name, quantity, error, tolerance)
    }
}

/// What verifying a checkpoint found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The checkpoint.
    pub name: String,
    /// Its family, where it is known.
    pub family: Option<String>,
    /// Every quantity that was compared.
    pub comparisons: Vec<Comparison>,
}

impl Verdict {
    /// Whether everything agrees.
    pub fn ok(&self) -> bool {
        !self.comparisons.is_empty() && self.comparisons.iter().all(|comparison| comparison.ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[f32]) -> Values {
        Values { shape: vec![values.len()], values: values.to_vec() }
    }

    #[test]
    fn the_largest_difference_decides() {
        let compare =
            |found: &[f32]| Comparison::tensors("a", "b", &values(found), &values(&[1.0, 2.0]), 0.5);
        assert_eq!(compare(&[1.0, 2.25]).error, Some(0.25));
        assert!(compare(&[1.5, 2.0]).ok);
        assert!(!compare(&[1.0, 3.0]).ok);
        assert!(!compare(&[f32::NAN, 2.0]).ok);
        assert!(!compare(&[1.0]).ok);
    }
}
