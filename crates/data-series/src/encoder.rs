//! Fitted preprocessing: from a series to what the network reads, and from its outputs to forecasts.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Encoder, Error, Exhibit, FileBatches, Forecast, Preparation, Result, Target,
    Targets,
};
use burn::tensor::TensorData;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::masking::{Asked, Masking, draw_restored};
use crate::series::{self, Series};
use crate::source::{Found, csv_files, read_file};
use crate::{MARKS, Scaling, SeriesConfig, SeriesShape, VALUES, VISIBLE};

/// What a run must keep to read series as it did in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prepared {
    /// The channels by name.
    pub(crate) channels: Vec<String>,
    /// The scale of each.
    pub(crate) scaling: Scaling,
    /// The column of time stamps, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<String>,
    /// Seconds from one step to the next, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<i64>,
    /// What foretelling the value of a season before errs on the training part, for each channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) naive: Vec<f64>,
}

/// Fitted preprocessing of series.
#[derive(Debug, Clone)]
pub struct SeriesEncoder {
    prepared: Prepared,
    config: SeriesConfig,
    target: Target,
}

impl SeriesEncoder {
    pub(crate) fn new(prepared: Prepared, config: &SeriesConfig) -> Self {
        let target = match config.masking {
            Some(_) => Target::HiddenValues(config.stem.hidden_values(shape(&prepared, config))),
            None => Target::Series {
                channels: prepared.channels.clone(),
                horizon: config.horizon,
                apart: config.stem.is_apart(),
                naive: prepared.naive.clone(),
            },
        };
        Self { prepared, config: config.clone(), target }
    }

    /// From what a run kept.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    pub fn restore(preparation: &Preparation, config: &SeriesConfig) -> Result<Self> {
        let damaged = |problem: String| {
            let expected = "what the data model `series` keeps";
            Error::input("the run's preparation", problem, expected, "use a whole run of series")
        };
        let prepared: Prepared =
            serde_json::from_value(preparation.clone()).map_err(|error| damaged(error.to_string()))?;
        let channels = prepared.channels.len();
        let naive = &prepared.naive;
        let known = naive.is_empty() || naive.len() == channels && naive.iter().all(|error| *error >= 0.0);
        if channels == 0
            || !known
            || !prepared.scaling.fits(channels)
            || prepared.step.is_some_and(|step| step <= 0)
        {
            return Err(damaged("channels, scale and step do not fit together".to_owned()));
        }
        Ok(Self::new(prepared, config))
    }

    /// The scale of each channel.
    pub fn scaling(&self) -> &Scaling {
        &self.prepared.scaling
    }

    /// The steps before each of `targets` as the inputs of a batch.
    pub(crate) fn inputs(&self, series: &Series, targets: &[usize]) -> Vec<(String, TensorData)> {
        let (length, channels) = (self.config.length, self.prepared.channels.len());
        let firsts: Vec<usize> = targets.iter().map(|target| target - length).collect();
        let values = firsts.iter().flat_map(|&first| self.scaled(series, first, length)).collect();
        let values = TensorData::new::<f32, _>(values, [targets.len(), length, channels]);
        std::iter::once((VALUES.to_owned(), values)).chain(self.marks(series, &firsts)).collect()
    }

    /// The windows that begin at `firsts`, of which `masking` hides patches as `random` of their place says.
    pub(crate) fn masked_batch<R: Rng>(
        &self,
        series: &Series,
        firsts: &[usize],
        masking: &Masking,
        random: impl Fn(usize) -> R,
    ) -> Batch {
        let (length, channels) = (self.config.length, self.prepared.channels.len());
        let (mut values, mut visible) = (Vec::new(), Vec::new());
        let mut asked = Asked::new(self.config.stem.hidden_values(shape(&self.prepared, &self.config)).size);
        for (place, &first) in firsts.iter().enumerate() {
            let mut window = self.scaled(series, first, length);
            let told = window.clone();
            let hidden = masking.apply(&mut window, channels, &mut random(place));
            let observed = &series.observed[first * channels..(first + length) * channels];
            asked.push(&told, &hidden, observed);
            values.extend(window);
            visible.extend(hidden.iter().map(|hidden| if *hidden { 0.0f32 } else { 1.0 }));
        }
        let input = |name: &str, values| {
            (name.to_owned(), TensorData::new::<f32, _>(values, [firsts.len(), length, channels]))
        };
        let inputs = [input(VALUES, values), input(VISIBLE, visible)];
        let inputs = inputs.into_iter().chain(self.marks(series, firsts)).collect();
        Batch { examples: firsts.len(), inputs, targets: asked.targets() }
    }

    /// What the calendar says of the steps of the windows that begin at `firsts`, where it says something.
    fn marks(&self, series: &Series, firsts: &[usize]) -> Option<(String, TensorData)> {
        let (calendar, length) = (&self.config.calendar, self.config.length);
        let clock = series.clock.filter(|_| !calendar.is_empty())?;
        let steps = firsts.iter().flat_map(|&first| first..first + length);
        let marks: Vec<f32> =
            steps.flat_map(|step| calendar.iter().map(move |reading| reading.at(clock.at(step)))).collect();
        let shape = [firsts.len(), length, calendar.len()];
        Some((MARKS.to_owned(), TensorData::new(marks, shape)))
    }

    /// `count` steps from `first` on, on the network's scale.
    pub(crate) fn scaled(&self, series: &Series, first: usize, count: usize) -> Vec<f32> {
        let channels = self.prepared.channels.len();
        let values = &series.values[first * channels..(first + count) * channels];
        values
            .iter()
            .enumerate()
            .map(|(at, value)| self.prepared.scaling.apply(*value, at % channels))
            .collect()
    }

    /// The series of a file, with the step that its first forecast is for.
    fn read(&self, path: &Path) -> Result<(Series, usize)> {
        let Prepared { channels, time, step, .. } = &self.prepared;
        let Found { series, .. } =
            read_file(path, channels, time.as_deref(), *step, self.config.longest_gap)?;
        let (steps, length) = (series.steps(), self.config.length);
        if steps < length {
            return Err(Error::input(
                path.display(),
                format!("it has {steps} steps"),
                format!("at least {length}, which the network reads"),
                "give a longer file",
            ));
        }
        if !series.is_whole(steps - length, steps) {
            let longest = self.config.longest_gap;
            return Err(Error::input(
                path.display(),
                format!("a value is missing at its end, or more than {longest} steps in a row"),
                format!("its last {length} steps, which the network reads, without a long gap"),
                "fill the gap, or cut the file where its values end",
            ));
        }
        Ok((series, steps))
    }
}

/// The shape of a window.
fn shape(prepared: &Prepared, config: &SeriesConfig) -> SeriesShape {
    SeriesShape { length: config.length, channels: prepared.channels.len(), marks: config.calendar.len() }
}

impl Encoder for SeriesEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        serde_json::to_value(&self.prepared).map_err(|error| Error::Failed(format!("preprocessing: {error}")))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        let shape = shape(&self.prepared, &self.config);
        self.config.stem.init(shape, self.config.instance_norm, width, build.device)
    }

    fn restored(&self, asked: &Targets, index: usize, outputs: &[f32]) -> Result<Option<Exhibit>> {
        draw_restored(&self.target, asked, index, outputs)
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        csv_files(path)
    }

    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let (series, end) = self.read(path)?;
        let inputs = self.inputs(&series, &[end]);
        Ok(FileBatches::alone(Batch { examples: 1, inputs, targets: Targets::Unknown }))
    }

    fn forecast(&self, path: &Path, outputs: &[f32], quantiles: &[f64]) -> Result<Option<Forecast>> {
        let (series, end) = self.read(path)?;
        let Prepared { channels, scaling, .. } = &self.prepared;
        let each = quantiles.len().max(1);
        let width = channels.len() * each;
        if outputs.len() != self.config.horizon * width {
            return Err(Error::Failed(format!(
                "a forecast of {} values, expected {} steps of {width}",
                outputs.len(),
                self.config.horizon
            )));
        }
        let columns = channels.iter().flat_map(|channel| {
            let quantile = move |quantile: &f64| format!("{channel} {}", Percent(*quantile));
            match quantiles {
                [] => vec![channel.clone()],
                quantiles => quantiles.iter().map(quantile).collect(),
            }
        });
        let row =
            |row: &[f32]| row.iter().enumerate().map(|(at, value)| scaling.undo(*value, at / each)).collect();
        Ok(Some(Forecast {
            steps: (0..self.config.horizon).map(|step| future(series.clock, end, step)).collect(),
            columns: columns.collect(),
            values: outputs.chunks(width).map(row).collect(),
        }))
    }
}

/// The time of the step `ahead` behind the end of a series, or how far ahead it is, counted from 1.
fn future(clock: Option<Clock>, end: usize, ahead: usize) -> String {
    match clock {
        Some(_) => series::name(clock, end + ahead),
        None => format!("+{}", ahead + 1),
    }
}

/// A quantile as people write it: `10 %`.
struct Percent(f64);

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Quantiles are decimals: a tenth of a per mille is finer than anybody asks for.
        write!(f, "{} %", (self.0 * 1e6).round() / 1e4)
    }
}
