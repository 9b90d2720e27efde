//! What a CSV file holds, and how it would be read.

use std::path::Path;

use ansatz_core::{Error, Proposal, Purpose, Result, Setting};

use crate::clock;
use crate::series::Series;
use crate::table::{Table, Wanted, wrong};

/// Gaps of at most so many steps are filled, as by default.
const LONGEST_GAP: usize = 6;

/// From so many deviations on a value is doubtful.
const FAR: f64 = 30.0;

/// Steps that are read and steps that are foretold, by the seconds of a step: a week and a day of hours, four weeks
/// and one of days.
fn usual_window(step: Option<i64>) -> [usize; 2] {
    match step {
        Some(3600) => [168, 24],
        Some(86_400) => [28, 7],
        _ => [96, 24],
    }
}

/// The column whose first cell is a time, if any.
fn time_column(path: &Path) -> Result<Option<String>> {
    let file = std::fs::File::open(path).map_err(Error::file(path, "read"))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
    let unreadable = |error: csv::Error| {
        wrong(path, &format!("not a table in CSV: {error}"), "text in UTF-8, cells parted by commas")
    };
    let header = reader.headers().map_err(unreadable)?.clone();
    let Some(first) = reader.records().next() else { return Ok(None) };
    let first = first.map_err(unreadable)?;
    let is_time = |cell: &str| cell.parse::<f64>().is_err() && clock::parse(cell).is_some();
    let column = first.iter().position(is_time);
    Ok(column.and_then(|column| header.get(column)).map(str::to_owned))
}

/// A `.csv` file with columns of numbers.
pub(crate) fn recognise(path: &Path) -> Result<Option<Proposal>> {
    if !path.is_file() || path.extension().is_none_or(|ending| ending != "csv") {
        return Ok(None);
    }
    let time = time_column(path)?;
    let table = Table::read(path, Wanted { channels: &[], time: time.as_deref() })?;
    let rows = table.lines.len();
    let series = Series::new(table, None, LONGEST_GAP, path)?;
    let steps = series.steps();
    let [length, horizon] = usual_window(series.clock.map(|clock| clock.step));
    // A fifth of the series is for testing, and must hold some windows.
    let length = length.min(steps / 10);
    let horizon = horizon.min(length / 2);
    if horizon == 0 {
        let problem = format!("it has {steps} steps");
        return Err(wrong(path, &problem, "twenty steps at least"));
    }
    let channels = series.channels.len();
    let named = Setting::quoted(path);
    let source = match &time {
        Some(time) => format!("{{ file = {{ path = {named}, time = {:?} }} }}", time),
        None => format!("{{ file = {{ path = {named} }} }}"),
    };
    let stem = if length >= 32 {
        Setting::new(
            "stem = { patches = { length = 16, stride = 8, padding = 8 } }",
            "each channel by itself",
        )
    } else {
        Setting::new("stem = \"steps\"", "a token for each step")
    };
    Ok(Some(Proposal {
        seen: seen(&series, rows, time.as_deref()),
        warnings: warnings(&series),
        settings: vec![
            Setting::new(format!("source = {source}"), "`columns` chooses some of the channels"),
            Setting::new(format!("length = {length}"), "steps that are read"),
            Setting::new(format!("horizon = {horizon}"), "steps that are foretold"),
            Setting::new("season = 1", "steps; the figure `mase` compares with the value a season before"),
            Setting::new("instance_norm = \"standard\"", "each window by its own mean and deviation"),
            stem,
        ],
        purpose: Purpose::Forecast { length, horizon, channels },
        examples: (steps * 3 / 5).saturating_sub(length + horizon).max(1),
        imbalance: 1.0,
    }))
}

fn seen(series: &Series, rows: usize, time: Option<&str>) -> Vec<String> {
    let steps = series.steps();
    let mut seen = vec![format!(
        "{rows} rows, {} channels of numbers: {}",
        series.channels.len(),
        series.channels.join(", ")
    )];
    seen.push(match (time, series.clock) {
        (Some(time), Some(clock)) => format!(
            "times in `{time}`: {steps} steps of {} seconds, {} to {}",
            clock.step,
            series.name(0),
            series.name(steps - 1)
        ),
        _ => "no column of times: each row is the next step".to_owned(),
    });
    seen.push(
        "parts by time: the first 60 % for training, 20 % for validation, the last 20 % for testing"
            .to_owned(),
    );
    seen
}

fn warnings(series: &Series) -> Vec<String> {
    let width = series.channels.len();
    let steps = series.steps();
    let mut warnings = Vec::new();
    let missing = series.observed.iter().filter(|observed| !**observed).count();
    if missing > 0 {
        let share = 100.0 * missing as f64 / series.observed.len() as f64;
        let filled = "gaps of up to 6 steps are filled by straight lines, longer ones are in no window";
        warnings.push(format!("{share:.1} % of the values are missing: {filled}"));
    }
    for (channel, name) in series.channels.iter().enumerate() {
        let observed = || {
            let all = series.values.iter().zip(&series.observed).skip(channel).step_by(width);
            all.filter(|(_, observed)| **observed).map(|(value, _)| *value)
        };
        let differences: Vec<f64> =
            observed().zip(observed().skip(1)).map(|(one, next)| next - one).collect();
        let first = differences.first().copied().unwrap_or(0.0);
        if differences.iter().all(|difference| *difference == 0.0) {
            warnings.push(format!("column `{name}` never changes: leave it out"));
        } else if steps > 2 && differences.iter().all(|difference| *difference == first) {
            warnings.push(format!("column `{name}` counts the rows and says nothing: leave it out"));
        }
        let count = observed().count().max(1) as f64;
        let mean = observed().sum::<f64>() / count;
        let deviation = (observed().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let farthest = observed().max_by(|one, other| (one - mean).abs().total_cmp(&(other - mean).abs()));
        if let Some(farthest) = farthest.filter(|value| (value - mean).abs() > FAR * deviation) {
            let far = (farthest - mean).abs() / deviation;
            warnings.push(format!(
                "column `{name}` holds {farthest}, {far:.0} deviations from its mean: is it true?"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(text: &str) -> Result<Option<Proposal>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        recognise(&path)
    }

    #[test]
    fn hours_become_windows_of_a_week_and_a_day() {
        let rows: String = (0..2000)
            .map(|hour| {
                format!(
                    "2020-01-{:02} {:02}:00:00,{},rain,{hour},4\n",
                    hour / 24 % 31 + 1,
                    hour % 24,
                    hour % 7
                )
            })
            .take(31 * 24)
            .collect();
        let found = proposal(&format!("when,flow,weather,row,same\n{rows}")).unwrap().expect("a series");
        assert_eq!(found.seen[0], "744 rows, 3 channels of numbers: flow, row, same");
        assert!(found.seen[1].contains("744 steps of 3600 seconds"), "{:?}", found.seen);
        assert_eq!(found.purpose, Purpose::Forecast { length: 74, horizon: 24, channels: 3 });
        assert!(found.settings[0].line.contains("time = \"when\""), "{:?}", found.settings);
        let said = found.warnings.join("\n");
        assert!(said.contains("`row` counts the rows") && said.contains("`same` never changes"), "{said}");
        assert!(!said.contains("`flow`"), "{said}");
    }

    #[test]
    fn gaps_and_tables_that_are_no_series_are_told() {
        let rows: String = (0..2000).map(|row| if row % 10 == 3 { ",1\n" } else { "2,3\n" }).collect();
        let rows = rows + "4,90000\n";
        let found = proposal(&format!("a,b\n{rows}")).unwrap().expect("a series");
        assert!(found.warnings[0].contains("5.0 % of the values are missing"), "{:?}", found.warnings);
        let doubtful = "column `b` holds 90000, 45 deviations from its mean";
        assert!(found.warnings.iter().any(|warning| warning.contains(doubtful)), "{:?}", found.warnings);
        assert!(proposal("a\n1\n2\n").unwrap_err().to_string().contains("twenty steps"));
        assert!(proposal("name\nx\ny\n").unwrap_err().to_string().contains("no column holds numbers"));
        assert_eq!(recognise(Path::new("table.txt")).unwrap(), None);
    }
}
