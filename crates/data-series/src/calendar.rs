//! What the calendar says of a step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock;

/// A reading of the calendar, brought to −0.5–0.5: what repeats with the day, the week and the year is then
/// visible to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Calendar {
    /// Minutes of the hour.
    MinuteOfHour,
    /// Hours of the day.
    HourOfDay,
    /// Days of the week, from Monday on.
    DayOfWeek,
    /// Days of the month.
    DayOfMonth,
    /// Days of the year.
    DayOfYear,
}

impl Calendar {
    /// The reading at so many seconds since 1970.
    pub(crate) fn at(self, seconds: i64) -> f32 {
        let (day, second) = clock::split(seconds);
        let (value, largest) = match self {
            Self::MinuteOfHour => (second / 60 % 60, 59),
            Self::HourOfDay => (second / 3600, 23),
            // 1970 began on a Thursday.
            Self::DayOfWeek => ((day + 3).rem_euclid(7), 6),
            Self::DayOfMonth => (clock::date(day).2 - 1, 30),
            Self::DayOfYear => (clock::day_of_year(day), 365),
        };
        value as f32 / largest as f32 - 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_span_one_unit() {
        // A Sunday, the last of a leap year but four hours.
        let seconds = clock::parse("2000-12-31 20:59").expect("a stamp");
        let readings = [
            (Calendar::MinuteOfHour, 0.5),
            (Calendar::HourOfDay, 20.0 / 23.0 - 0.5),
            (Calendar::DayOfWeek, 0.5),
            (Calendar::DayOfMonth, 0.5),
            (Calendar::DayOfYear, 0.5),
        ];
        for (calendar, expected) in readings {
            assert!((calendar.at(seconds) - expected).abs() < 1e-6, "{calendar:?}");
        }
        assert_eq!(Calendar::DayOfWeek.at(clock::parse("2024-01-01").expect("a Monday")), -0.5);
    }
}
