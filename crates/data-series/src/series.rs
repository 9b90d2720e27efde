//! A series: a table whose steps are equally far apart, its short gaps filled.

use std::collections::HashMap;
use std::path::Path;

use ansatz_core::Result;

use crate::clock::{self, Clock};
use crate::table::{Table, wrong};

/// Values at equal distances in time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// Names of the channels.
    pub(crate) channels: Vec<String>,
    /// `[steps × channels]`; short gaps are filled, and what stands in longer ones must not be used.
    pub(crate) values: Vec<f64>,
    /// Which values were observed.
    pub(crate) observed: Vec<bool>,
    /// How many steps before each, and at last of all, lie in a gap that is too long to be filled.
    broken: Vec<usize>,
    /// The time of each step, where it is known.
    pub(crate) clock: Option<Clock>,
}

impl Series {
    /// The series of a table. Where it has times, its rows are put on a grid: of several rows of one time the
    /// first counts, and a time without a row is a gap. Gaps of at most `longest_gap` steps between two
    /// observed ones are filled by a straight line.
    ///
    /// The grid's step is `step` seconds, or else the most frequent distance of two rows.
    ///
    /// # Errors
    /// When times fall back, or a row does not lie on the grid.
    pub(crate) fn new(table: Table, step: Option<i64>, longest_gap: usize, path: &Path) -> Result<Self> {
        let width = table.channels.len();
        let (mut values, clock) = match &table.times {
            Some(times) => on_a_grid(&table, times, step, path)?,
            None => (table.values, None),
        };
        let steps = values.len() / width;
        let observed: Vec<bool> = values.iter().map(|value| !value.is_nan()).collect();
        let mut broken_steps = vec![false; steps];
        for channel in 0..width {
            let mut step = 0;
            while step < steps {
                if observed[step * width + channel] {
                    step += 1;
                    continue;
                }
                let gap = (step..steps).take_while(|at| !observed[at * width + channel]).count();
                let end = step + gap;
                if gap > longest_gap || step == 0 || end == steps {
                    broken_steps[step..end].fill(true);
                } else {
                    let (before, behind) =
                        (values[(step - 1) * width + channel], values[end * width + channel]);
                    for at in step..end {
                        let share = (at + 1 - step) as f64 / (gap + 1) as f64;
                        values[at * width + channel] = before + (behind - before) * share;
                    }
                }
                step = end;
            }
        }
        let mut broken = vec![0];
        broken.extend(broken_steps.iter().scan(0, |sum, is_broken| {
            *sum += usize::from(*is_broken);
            Some(*sum)
        }));
        Ok(Self { channels: table.channels, values, observed, broken, clock })
    }

    /// How many steps there are.
    pub(crate) fn steps(&self) -> usize {
        self.broken.len() - 1
    }

    /// Whether no step from `first` up to but not including `end` lies in a long gap.
    pub(crate) fn is_whole(&self, first: usize, end: usize) -> bool {
        self.broken[first] == self.broken[end]
    }

    /// When a step was, or which it is, counted from 1.
    pub(crate) fn name(&self, step: usize) -> String {
        name(self.clock, step)
    }
}

/// When a step was, or which it is, counted from 1.
pub(crate) fn name(clock: Option<Clock>, step: usize) -> String {
    clock.map_or_else(|| (step + 1).to_string(), |clock| clock::write(clock.at(step)))
}

/// The rows on a grid of times, NaN where there is none.
fn on_a_grid(
    table: &Table,
    times: &[i64],
    step: Option<i64>,
    path: &Path,
) -> Result<(Vec<f64>, Option<Clock>)> {
    /// More steps than rows by this factor are no gaps any more.
    const SPARSE: usize = 1000;
    let place = |row: usize| format!("line {}", table.lines[row]);
    for row in 1..times.len() {
        if times[row] < times[row - 1] {
            let problem = format!("{} is earlier than the row before it", place(row));
            return Err(wrong(path, &problem, "rows in the order of their times"));
        }
    }
    let Some(step) = step.or_else(|| usual_distance(times)) else {
        return Err(wrong(path, "all rows have one time", "at least two times"));
    };
    let clock = Clock { first: times[0], step };
    let last = times[times.len() - 1] - times[0];
    let steps = usize::try_from(last / step).unwrap_or(0) + 1;
    if steps / SPARSE > times.len() {
        let problem = format!("{} rows spread over {steps} steps of {step} seconds", times.len());
        return Err(wrong(path, &problem, "rows at about equal distances"));
    }
    let width = table.channels.len();
    let mut values = vec![f64::NAN; steps * width];
    let mut seen = vec![false; steps];
    for (row, time) in times.iter().enumerate() {
        let since = time - clock.first;
        if since % step != 0 {
            let problem =
                format!("{} is {} seconds off the grid of {step} seconds", place(row), since % step);
            let expected = "rows at equal distances, or no time column: then each row is a step";
            return Err(wrong(path, &problem, expected));
        }
        let at = (since / step) as usize;
        if !std::mem::replace(&mut seen[at], true) {
            values[at * width..(at + 1) * width]
                .copy_from_slice(&table.values[row * width..(row + 1) * width]);
        }
    }
    Ok((values, Some(clock)))
}

/// The most frequent distance of two rows, the shortest of several; rows of one time do not count.
fn usual_distance(times: &[i64]) -> Option<i64> {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for pair in times.windows(2).filter(|pair| pair[1] > pair[0]) {
        *counts.entry(pair[1] - pair[0]).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(distance, count)| (*count, -distance)).map(|(distance, _)| distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f64 = f64::NAN;

    fn table(values: &[f64], times: Option<&[i64]>) -> Table {
        let rows = values.len();
        Table {
            channels: vec!["a".to_owned()],
            values: values.to_vec(),
            times: times.map(<[i64]>::to_vec),
            lines: (0..rows as u64).map(|row| row + 2).collect(),
        }
    }

    fn series(values: &[f64], times: Option<&[i64]>, longest_gap: usize) -> Result<Series> {
        Series::new(table(values, times), None, longest_gap, Path::new("a.csv"))
    }

    #[test]
    fn short_gaps_are_filled_and_long_ones_break_the_series() {
        let series = series(&[1.0, NONE, NONE, 4.0, NONE, NONE, NONE, 0.0, NONE], None, 2).unwrap();
        assert_eq!(series.values[..4], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(series.observed[..4], [true, false, false, true]);
        assert!(series.is_whole(0, 4) && !series.is_whole(3, 5) && series.is_whole(7, 8));
        assert!(!series.is_whole(7, 9), "nothing is known behind the end");
        assert!(series.is_whole(5, 5));
    }

    #[test]
    fn rows_are_put_on_a_grid_and_the_first_of_one_time_counts() {
        let times = [0, 60, 60, 120, 300];
        let series = series(&[1.0, 2.0, 9.0, 3.0, 6.0], Some(&times), 6).unwrap();
        assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(series.steps(), 6);
        assert_eq!(series.name(5), "1970-01-01 00:05");
        assert_eq!(series.observed, [true, true, true, false, false, true]);
    }

    #[test]
    fn rows_that_make_no_grid_are_named() {
        let message = |times: &[i64]| series(&[1.0; 4], Some(times), 6).unwrap_err().to_string();
        assert!(message(&[0, 60, 30, 90]).contains("line 4 is earlier"));
        assert!(message(&[0, 60, 120, 150]).contains("line 5 is 30 seconds off the grid of 60 seconds"));
        assert!(message(&[5, 5, 5, 5]).contains("all rows have one time"));
        assert!(message(&[0, 1, 2, 100_000_000]).contains("spread over"));
    }
}
