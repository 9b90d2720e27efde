//! What the simplest forecast errs: the yardstick of the figure `mase`.

use crate::Scaling;
use crate::series::Series;

/// For each channel the mean of `|y_t − y_{t−season}|` over the first `steps` steps, on the network's scale: what
/// foretelling the value of a season before errs there (Hyndman and Koehler 2006, "Another look at measures of forecast
/// accuracy", section 3). Values that were not observed do not count; 0 where no pair is left.
pub(crate) fn naive_errors(series: &Series, steps: usize, season: usize, scaling: &Scaling) -> Vec<f64> {
    let channels = series.channels.len();
    let error = |channel: usize| {
        let value = |step: usize| {
            let at = step * channels + channel;
            series.observed[at].then(|| series.values[at])
        };
        let differences =
            (season..steps).filter_map(|step| Some((value(step)? - value(step - season)?).abs()));
        let (sum, count) = differences.fold((0.0, 0u64), |(sum, count), each| (sum + each, count + 1));
        sum / count.max(1) as f64 / scaling.deviation[channel]
    };
    (0..channels).map(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;
    use std::path::Path;

    #[test]
    fn the_error_is_that_of_last_season_over_what_was_observed_in_training() {
        let none = f64::NAN;
        let table = Table {
            channels: vec!["a".to_owned(), "same".to_owned()],
            values: [[1.0, 5.0], [4.0, 5.0], [none, 5.0], [6.0, 5.0], [5.0, 5.0], [99.0, 5.0]].concat(),
            times: None,
            lines: (2..8).collect(),
        };
        let series = Series::new(table, None, 6, Path::new("a.csv")).unwrap();
        let scaling = Scaling { mean: vec![3.0, 5.0], deviation: vec![2.0, 1.0] };
        // Of five steps for training: |4 − 1|, |5 − 6|; a season of two leaves |6 − 4| alone.
        assert_eq!(naive_errors(&series, 5, 1, &scaling), [1.0, 0.0]);
        assert_eq!(naive_errors(&series, 5, 2, &scaling), [1.0, 0.0]);
        assert_eq!(naive_errors(&series, 5, 7, &scaling), [0.0, 0.0]);
    }
}
