//! Where series come from.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use ansatz_core::{ConfigError, Error, Places, Result};
use ansatz_data::{Cache, Purpose, catalogue, stream};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::series::Series;
use crate::table::{Table, Wanted};

/// Where a series comes from: `source = "electricity"`, or
/// `source = { file = { path = "mine.csv", time = "date" } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Energy used in a house, temperatures and weather: 19,735 steps of ten minutes, 28 channels.
    ApplianceEnergy,
    /// Vehicles an hour on a motorway, with gaps: 52,551 hours, of which 40,575 were observed.
    #[default]
    InterstateTraffic,
    /// Electricity used, 26,304 hours.
    Electricity,
    /// Occupancy of a road in San Francisco, 17,544 hours.
    SanFranciscoTraffic,
    /// A CSV file.
    File(FileSource),
    /// So many hours of two channels made of waves of a day and a week with a little noise, always the same,
    /// for trying things out.
    Waves(usize),
}

/// A CSV file whose first line names the columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// The file.
    pub path: PathBuf,
    /// The columns that are channels, in this order; all that hold numbers when empty.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The column of time stamps, such as `2012-10-02 09:00:00`: its steps are then checked, and missing ones
    /// are gaps. Left out: each row is the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// A series, and the column that its times stand in.
pub(crate) struct Found {
    pub(crate) series: Series,
    pub(crate) time: Option<String>,
}

impl Source {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Waves(0) => Err(ConfigError::value("source.waves", "0 hours", "at least one hour")),
            Self::File(FileSource { columns, time: Some(time), .. }) if columns.contains(time) => {
                let problem = format!("`{time}` is the column of time stamps");
                Err(ConfigError::value("source.file.columns", problem, "columns of numbers"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the time of each step is known.
    pub(crate) fn has_times(&self) -> bool {
        !matches!(self, Self::File(FileSource { time: None, .. }))
    }

    /// Reads the series.
    ///
    /// # Errors
    /// When the set is not there yet, or a file is not what it should be.
    pub(crate) fn read(&self, longest_gap: usize, places: &Places) -> Result<Found> {
        let known = |name: &str, time: &str, channels: &[&str]| {
            let set = catalogue::find(name)?;
            let folder = Cache::at(&places.data).locate(set)?;
            let file = set.files.first().ok_or_else(|| Error::Failed(format!("set `{name}` has no file")))?;
            let columns: Vec<String> = channels.iter().map(|name| (*name).to_owned()).collect();
            read_file(&folder.join(file.name), &columns, Some(time), None, longest_gap)
        };
        match self {
            Self::ApplianceEnergy => known("appliance-energy", "date", &[]),
            Self::InterstateTraffic => known("interstate-traffic", "date_time", &["traffic_volume"]),
            Self::Electricity => known("electricity", "ts", &["y"]),
            Self::SanFranciscoTraffic => known("san-francisco-traffic", "ts", &["y"]),
            Self::File(FileSource { path, columns, time }) => {
                read_file(path, columns, time.as_deref(), None, longest_gap)
            }
            Self::Waves(hours) => {
                let table = waves(*hours);
                let series = Series::new(table, Some(3600), longest_gap, Path::new("waves"))?;
                Ok(Found { series, time: Some("time".to_owned()) })
            }
        }
    }
}

/// The series of a CSV file; see [`Series::new`].
pub(crate) fn read_file(
    path: &Path,
    columns: &[String],
    time: Option<&str>,
    step: Option<i64>,
    longest_gap: usize,
) -> Result<Found> {
    let table = Table::read(path, Wanted { channels: columns, time })?;
    let series = Series::new(table, step, longest_gap, path)?;
    Ok(Found { series, time: time.map(str::to_owned) })
}

fn waves(hours: usize) -> Table {
    let mut random = stream(0, Purpose::Source, 0, 0);
    let mut noise = || -> f64 { StandardNormal.sample(&mut random) };
    let values = (0..hours).flat_map(|hour| {
        let (day, week) = (hour as f64 / 24.0 * TAU, hour as f64 / 168.0 * TAU);
        [3.0 * day.sin() + week.sin() + 10.0 + 0.1 * noise(), day.cos() * week.cos() + 0.1 * noise()]
    });
    Table {
        channels: vec!["first".to_owned(), "second".to_owned()],
        values: values.collect(),
        times: Some((0..hours as i64).map(|hour| hour * 3600).collect()),
        lines: (0..hours as u64).map(|hour| hour + 2).collect(),
    }
}

/// `path` itself, or the `.csv` files inside it, sorted.
///
/// # Errors
/// When there is nothing.
pub(crate) fn csv_files(path: &Path) -> Result<Vec<PathBuf>> {
    files_ending(path, "csv")
}

/// `path` itself, or the files inside it whose names end in `.ending`, sorted.
///
/// # Errors
/// When there is nothing.
pub(crate) fn files_ending(path: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let nothing = |problem: String| {
        let expected = format!("a .{ending} file, or a folder with .{ending} files");
        Error::input(path.display(), problem, expected, "check the path")
    };
    if !path.is_dir() {
        return Err(nothing("there is no such file or folder".to_owned()));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::file(path, "read"))? {
        let file = entry.map_err(Error::file(path, "read"))?.path();
        if file.extension().is_some_and(|known| known == ending) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(nothing(format!("the folder holds no .{ending} files")));
    }
    files.sort();
    Ok(files)
}
