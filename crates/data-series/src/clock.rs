//! The time of every step of a series.

pub(crate) use ansatz_data::calendar::{date, day_of_year, parse, split, write};
use serde::{Deserialize, Serialize};

/// The time of every step of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clock {
    /// Seconds since 1970-01-01 00:00 at the first step.
    pub(crate) first: i64,
    /// Seconds from one step to the next.
    pub(crate) step: i64,
}

impl Clock {
    /// Seconds since 1970 at a step.
    pub(crate) fn at(self, step: usize) -> i64 {
        self.first + self.step * step as i64
    }
}
