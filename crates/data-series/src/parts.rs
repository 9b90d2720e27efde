//! Which windows belong to which part.

use ansatz_core::{Error, Part, Result};

use crate::series::Series;

/// Sizes of a window. Where no step is read before those that are told, a window is asked itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Steps that are read.
    pub(crate) length: usize,
    /// Steps that are foretold.
    pub(crate) horizon: usize,
}

/// The windows of each part, each by its first target step.
///
/// The steps are cut by time: training, then validation, then test. A window belongs to the part that holds
/// all its targets; what it reads may reach back into the part before. Windows begin at every step, and only
/// those that hold a long gap are left out; those that are asked themselves lie side by side outside of training, so that no
/// step is judged twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    train: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
    /// Steps of the training part.
    pub(crate) training_steps: usize,
}

impl Parts {
    /// The windows of a series of which the shares `train` and `validation` of all steps are for these parts,
    /// rounded down, and the rest is the test part.
    ///
    /// # Errors
    /// When a part that has steps has no window.
    pub(crate) fn new(series: &Series, window: Window, train: f64, validation: f64) -> Result<Self> {
        let steps = series.steps();
        let cut = |share: f64| {
            // A share of decimals is a little less than what was written.
            ((share * steps as f64 + 1e-9).floor() as usize).min(steps)
        };
        let end_of_training = cut(train);
        let end_of_validation = (end_of_training + cut(validation)).min(steps);
        let Window { length, horizon } = window;
        let windows = |first: usize, end: usize| -> Vec<usize> {
            let apart = if length == 0 && first > 0 { horizon } else { 1 };
            (first.max(length)..(end + 1).saturating_sub(horizon))
                .step_by(apart)
                .filter(|target| series.is_whole(target - length, target + horizon))
                .collect()
        };
        let parts = Self {
            train: windows(0, end_of_training),
            validation: windows(end_of_training, end_of_validation),
            test: windows(end_of_validation, steps),
            training_steps: end_of_training,
        };
        let sizes = [
            (Part::Train, end_of_training),
            (Part::Validation, end_of_validation - end_of_training),
            (Part::Test, steps - end_of_validation),
        ];
        for (part, size) in sizes {
            if parts.of(part).is_empty() && (size > 0 || part == Part::Train) {
                return Err(Error::input(
                    "the series",
                    format!("the {part} part has {size} of its {steps} steps and no whole window"),
                    match length {
                        0 => format!("{horizon} steps without a long gap"),
                        _ => format!(
                            "{length} steps that are read and {horizon} that are foretold, without a long gap"
                        ),
                    },
                    "give a longer series, shorter data.length and data.horizon, or other shares",
                ));
            }
        }
        Ok(parts)
    }

    /// The first target step of each window of `part`.
    pub(crate) fn of(&self, part: Part) -> &[usize] {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::table::Table;

    fn series(values: Vec<f64>) -> Series {
        let lines = (0..values.len() as u64).collect();
        let table = Table { channels: vec!["a".to_owned()], values, times: None, lines };
        Series::new(table, None, 2, Path::new("a.csv")).unwrap()
    }

    #[test]
    fn windows_are_those_counted_one_by_one() {
        for (steps, length, horizon, gap) in
            [(100, 7, 3, None), (41, 5, 5, Some(10)), (60, 1, 1, Some(40)), (80, 0, 4, Some(70))]
        {
            let mut values: Vec<f64> = (0..steps).map(f64::from).collect();
            if let Some(gap) = gap {
                values[gap..gap + 3].fill(f64::NAN);
            }
            let series = series(values.clone());
            let parts = Parts::new(&series, Window { length, horizon }, 0.6, 0.2).unwrap();
            let (first, second) =
                (steps as usize * 6 / 10, steps as usize * 6 / 10 + steps as usize * 2 / 10);
            let bounds = [
                (Part::Train, 0, first),
                (Part::Validation, first, second),
                (Part::Test, second, steps as usize),
            ];
            for (part, from, to) in bounds {
                let belongs = |target: &usize| {
                    let beside = length > 0 || from == 0 || (target - from).is_multiple_of(horizon);
                    *target >= length
                        && beside
                        && (*target..target + horizon).all(|at| at >= from && at < to)
                        && (target - length..target + horizon).all(|at| !values[at].is_nan())
                };
                let expected: Vec<usize> = (from..to).filter(belongs).collect();
                assert_eq!(parts.of(part), expected, "{part}");
            }
            assert_eq!(parts.training_steps, first);
        }
    }

    #[test]
    fn a_part_without_a_window_is_named() {
        let message = |steps: usize, train: f64, validation: f64| {
            let window = Window { length: 4, horizon: 3 };
            let parts = Parts::new(&series(vec![1.0; steps]), window, train, validation);
            parts.map_err(|error| error.to_string())
        };
        assert!(message(6, 1.0, 0.0).unwrap_err().contains("the train part has 6 of its 6 steps"));
        assert!(message(20, 0.9, 0.05).unwrap_err().contains("the validation part has 1 of its 20"));
        // A part that nobody asked for may be empty.
        assert_eq!(message(20, 1.0, 0.0).unwrap().of(Part::Test), [] as [usize; 0]);
    }
}
