//! What a check found.

use crate::Property;

/// One property that held for one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    /// What was checked, e.g. `mixer attention`.
    pub subject: String,
    /// The property.
    pub property: Property,
    /// The shape, e.g. `batch 2, 7 tokens of 8`.
    pub case: String,
    /// The largest deviation found, as a share of what is allowed; 0 where nothing is compared.
    pub deviation: f64,
}

/// Every property that held, in the order of checking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// One entry per property and shape.
    pub passed: Vec<Passed>,
}

impl Report {
    /// Whether `property` applied to the subject and held for at least one shape.
    pub fn covers(&self, property: Property) -> bool {
        self.passed.iter().any(|passed| passed.property == property)
    }

    /// Puts another report behind this one.
    pub(crate) fn extend(&mut self, other: Self) {
        self.passed.extend(other.passed);
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Passed { subject, property, case, deviation } in &self.passed {
            writeln!(
                f,
                "{subject}: {property} holds for {case} ({:.1} % of the tolerance)",
                100.0 * deviation
            )?;
        }
        Ok(())
    }
}

/// The first property that did not hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{subject}: the property `{property}` fails for {case}: {problem}\n  expected: {}", property.promise())]
pub struct Failure {
    /// What was checked.
    pub subject: String,
    /// The property.
    pub property: Property,
    /// The shape.
    pub case: String,
    /// What was found, and by how much it is off.
    pub problem: String,
}
