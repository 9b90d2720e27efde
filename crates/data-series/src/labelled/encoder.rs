//! Fitted preprocessing: from a series to what the network reads, and the names of the classes.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, ConfigError, Encoder, Error, Exhibit, FileBatches, Preparation, Result, Target,
    Targets,
};
use burn::tensor::TensorData;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::kernels::{Fitted, Kernels};
use super::ts::{self, wrong};
use super::{LabelledSeriesConfig, Padding, SeriesScale};
use crate::masking::{Asked, Masking, draw_restored};
use crate::source::files_ending;
use crate::{InstanceNorm, MARKS, MASK, Scaling, SeriesShape, VALUES};

/// What a run must keep to read series as it did in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepared {
    /// Steps that are read.
    pub(super) length: usize,
    /// The scale of each channel over the training part; used where each series has none of its own.
    pub(super) scaling: Scaling,
    /// Whether values of the training part were missing, so that the network is told which were observed.
    pub(super) gaps: bool,
    /// Names of the classes, in the order of their indices.
    pub(super) classes: Vec<String>,
    /// What was learned of the responses of kernels, where there are kernels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kernels: Option<Fitted>,
}

/// Fitted preprocessing of series with classes.
#[derive(Debug, Clone)]
pub struct LabelledSeriesEncoder {
    prepared: Prepared,
    config: LabelledSeriesConfig,
    target: Target,
    kernels: Option<Kernels>,
}

/// A series on the scale of the network, not longer than it reads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaled {
    /// `[steps × channels]`, gaps filled.
    pub(super) values: Vec<f32>,
    /// Which of them were observed.
    pub(super) observed: Vec<bool>,
}

impl LabelledSeriesEncoder {
    pub(super) fn new(prepared: Prepared, config: &LabelledSeriesConfig) -> Self {
        let shape = shape(&prepared);
        let target = match config.masking {
            Some(_) => Target::HiddenValues(config.stem.hidden_values(shape)),
            None => Target::Classes { names: prepared.classes.clone() },
        };
        Self { prepared, config: config.clone(), target, kernels: None }
    }

    /// The same with kernels, and what was learned of their responses.
    pub(super) fn with_kernels(mut self, kernels: Kernels, fitted: Fitted) -> Self {
        self.prepared.kernels = Some(fitted);
        Self { kernels: Some(kernels), ..self }
    }

    /// From what a run kept.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    pub fn restore(preparation: &Preparation, config: &LabelledSeriesConfig) -> Result<Self> {
        let damaged = |problem: String| {
            let expected = "what the data model `labelled-series` keeps";
            Error::input("the run's preparation", problem, expected, "use a whole run of labelled series")
        };
        let prepared: Prepared =
            serde_json::from_value(preparation.clone()).map_err(|error| damaged(error.to_string()))?;
        let channels = prepared.scaling.mean.len();
        if channels == 0 || prepared.length == 0 || !prepared.scaling.fits(channels) {
            return Err(damaged("length and scale are no figures of series".to_owned()));
        }
        let fitted = prepared.kernels.clone();
        let encoder = Self::new(prepared, config);
        match (&config.kernels, fitted) {
            (None, None) => Ok(encoder),
            (Some(kernels), Some(fitted)) => {
                let kernels = Kernels::new(kernels, encoder.length(), channels)?;
                Ok(encoder.with_kernels(kernels.with(&fitted).map_err(damaged)?, fitted))
            }
            _ => Err(damaged("the kernels are those of another config".to_owned())),
        }
    }

    /// Steps that are read.
    pub(super) fn length(&self) -> usize {
        self.prepared.length
    }

    /// Values of a step.
    pub(super) fn channels(&self) -> usize {
        self.prepared.scaling.mean.len()
    }

    /// A series of as many channels, NaN where a value is missing, on the scale of the network, cut at its end where it
    /// is too long.
    pub(super) fn scaled(&self, mut values: Vec<f64>) -> Scaled {
        let channels = self.channels();
        values.truncate(self.length() * channels);
        let observed: Vec<bool> = values.iter().map(|value| !value.is_nan()).collect();
        let own;
        let scaling = match self.config.scale {
            SeriesScale::Training => Some(&self.prepared.scaling),
            SeriesScale::Series => {
                own = Scaling::fit(&values, &observed, channels);
                Some(&own)
            }
            SeriesScale::None => None,
        };
        fill(&mut values, channels, &self.prepared.scaling.mean);
        let scale = |(at, value): (usize, &f64)| match scaling {
            Some(scaling) => scaling.apply(*value, at % channels),
            None => *value as f32,
        };
        Scaled { values: values.iter().enumerate().map(scale).collect(), observed }
    }

    /// Responses of kernels as the inputs of a batch: each series is one token.
    pub(super) fn batch_of_responses(&self, responses: &[Vec<f32>], targets: Targets) -> Batch {
        let scaled = |fitted: &Fitted| responses.iter().flat_map(|row| fitted.scaled(row)).collect();
        let values: Vec<f32> = self.prepared.kernels.as_ref().map_or(Vec::new(), scaled);
        let examples = responses.len();
        let shape = [examples, 1, values.len() / examples.max(1)];
        Batch { examples, inputs: vec![(VALUES.to_owned(), TensorData::new(values, shape))], targets }
    }

    /// Series of which `masking` hides patches as `random` of their place says.
    pub(super) fn masked_batch<R: Rng>(
        &self,
        rows: &[Scaled],
        masking: &Masking,
        random: impl Fn(usize) -> R,
    ) -> Batch {
        let mut asked = Asked::new(self.config.stem.hidden_values(shape(&self.prepared)).size);
        let hide = |(place, row): (usize, &Scaled)| {
            let mut values = row.values.clone();
            let hidden = masking.apply(&mut values, self.channels(), &mut random(place));
            asked.push(&row.values, &hidden, &row.observed);
            let seen = row.observed.iter().zip(&hidden).map(|(observed, hidden)| *observed && !hidden);
            Scaled { values, observed: seen.collect() }
        };
        let rows: Vec<Scaled> = rows.iter().enumerate().map(hide).collect();
        self.batch(&rows, asked.targets())
    }

    /// Series as the inputs of a batch, what is shorter padded behind.
    pub(super) fn batch(&self, rows: &[Scaled], targets: Targets) -> Batch {
        if let Some(kernels) = &self.kernels {
            let responses: Vec<Vec<f32>> = rows.iter().map(|row| kernels.respond(&row.values)).collect();
            return self.batch_of_responses(&responses, targets);
        }
        let (examples, length, channels) = (rows.len(), self.length(), self.channels());
        let width = length * channels;
        let padded = |row: &[f32]| {
            let mut row = row.to_vec();
            row.resize(width, 0.0);
            row
        };
        let values: Vec<f32> = rows.iter().flat_map(|row| padded(&row.values)).collect();
        let mut inputs = vec![(VALUES.to_owned(), TensorData::new(values, [examples, length, channels]))];
        if self.prepared.gaps {
            let mark = |observed: &bool| if *observed { 1.0 } else { 0.0 };
            let marks: Vec<f32> = rows
                .iter()
                .flat_map(|row| padded(&row.observed.iter().map(mark).collect::<Vec<f32>>()))
                .collect();
            inputs.push((MARKS.to_owned(), TensorData::new(marks, [examples, length, channels])));
        }
        let shorter = rows.iter().any(|row| row.values.len() < width);
        if shorter && self.config.padding == Padding::Mask {
            let real = rows.iter().flat_map(|row| {
                let steps = row.values.len() / channels;
                (0..length).map(move |step| i64::from(step < steps))
            });
            let real: Vec<i64> = real.collect();
            inputs.push((MASK.to_owned(), TensorData::new(real, [examples, length])));
        }
        Batch { examples, inputs, targets }
    }
}

/// Puts what is missing, NaN, on straight lines between what was observed; the ends repeat the nearest value, and a
/// channel without any holds its mean over the training part.
fn fill(values: &mut [f64], channels: usize, means: &[f64]) {
    let steps = values.len() / channels;
    for (channel, mean) in means.iter().enumerate() {
        let at = |step: usize| step * channels + channel;
        let mut known: Option<usize> = None;
        let mut step = 0;
        while step < steps {
            if !values[at(step)].is_nan() {
                known = Some(step);
                step += 1;
                continue;
            }
            let next = (step..steps).find(|&later| !values[at(later)].is_nan());
            let end = next.unwrap_or(steps);
            for missing in step..end {
                values[at(missing)] = match (known, next) {
                    (Some(before), Some(behind)) => {
                        let share = (missing - before) as f64 / (behind - before) as f64;
                        values[at(before)] + (values[at(behind)] - values[at(before)]) * share
                    }
                    (Some(one), None) | (None, Some(one)) => values[at(one)],
                    (None, None) => *mean,
                };
            }
            step = end;
        }
    }
}

/// The shape of a series as the stem reads it.
fn shape(prepared: &Prepared) -> SeriesShape {
    let channels = prepared.scaling.mean.len();
    SeriesShape { length: prepared.length, channels, marks: if prepared.gaps { channels } else { 0 } }
}

impl Encoder for LabelledSeriesEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        serde_json::to_value(&self.prepared)
            .map_err(|error| Error::Failed(format!("the preparation of labelled series: {error}")))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        if let Some(kernels) = &self.kernels {
            let shape = SeriesShape { length: 1, channels: kernels.count(), marks: 0 };
            return self.config.stem.init(shape, InstanceNorm::None, width, build.device);
        }
        let shape = shape(&self.prepared);
        let stem = &self.config.stem;
        stem.check(self.length(), false)?;
        if shape.marks > 0 && stem.check(self.length(), true).is_err() {
            let problem = "values are missing, and patches of single channels cannot say where";
            return Err(ConfigError::value("stem.patches.layout", problem, "\"together\"").into());
        }
        stem.init(shape, InstanceNorm::None, width, build.device)
    }

    fn restored(&self, asked: &Targets, index: usize, outputs: &[f32]) -> Result<Option<Exhibit>> {
        draw_restored(&self.target, asked, index, outputs)
    }

    fn usual_file(&self) -> &'static str {
        "SERIES.ts"
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        files_ending(path, "ts")
    }

    /// All series of a file; what labels it has are not looked at.
    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let file = ts::read(path)?;
        if file.channels != self.channels() {
            let problem = format!("its series have {} dimensions", file.channels);
            let expected = format!("{}, as those that were learned from", self.channels());
            return Err(wrong(path, problem, expected, "give series of the same kind"));
        }
        Ok(FileBatches::of(file.heads.len(), move |range| {
            let rows = range.map(|index| Ok(self.scaled(file.values(index)?)));
            Ok(self.batch(&rows.collect::<Result<Vec<_>>>()?, Targets::Unknown))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_by_lines_and_ends_by_their_neighbours() {
        let missing = f64::NAN;
        let mut values = [missing, missing, 1.0, missing, missing, missing, 4.0, missing, missing, missing];
        fill(&mut values, 2, &[0.0, 7.0]);
        assert_eq!(values, [1.0, 7.0, 1.0, 7.0, 2.5, 7.0, 4.0, 7.0, 4.0, 7.0]);
    }

    fn encoder(config: LabelledSeriesConfig) -> LabelledSeriesEncoder {
        let prepared = Prepared {
            length: 3,
            scaling: Scaling { mean: vec![1.0, 0.0], deviation: vec![2.0, 1.0] },
            gaps: true,
            classes: vec!["no".to_owned(), "yes".to_owned()],
            kernels: None,
        };
        LabelledSeriesEncoder::new(prepared, &config)
    }

    #[test]
    fn a_series_is_cut_scaled_padded_and_masked() {
        let encoder = encoder(LabelledSeriesConfig::default());
        let long = encoder.scaled(vec![1.0, 0.0, 3.0, 1.0, 5.0, 2.0, 99.0, 99.0]);
        assert_eq!(long.values, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
        let short = encoder.scaled(vec![1.0, f64::NAN, f64::NAN, 4.0]);
        assert_eq!(short.values, [0.0, 4.0, 0.0, 4.0]);
        let batch = encoder.batch(&[long, short], Targets::Unknown);
        let input = |name: &str| {
            let found = batch.inputs.iter().find(|(known, _)| known == name);
            found.map(|(_, data)| data.clone().convert::<f32>().try_to_vec::<f32>().unwrap())
        };
        assert_eq!(input(VALUES).unwrap()[6..], [0.0, 4.0, 0.0, 4.0, 0.0, 0.0]);
        assert_eq!(input(MARKS).unwrap()[6..], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(input(MASK).unwrap(), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        let zeros = self::encoder(LabelledSeriesConfig { padding: Padding::Zeros, ..Default::default() });
        let batch = zeros.batch(&[zeros.scaled(vec![1.0, 0.0])], Targets::Unknown);
        assert!(batch.inputs.iter().all(|(name, _)| name != MASK));
    }

    #[test]
    fn each_series_may_have_a_scale_of_its_own() {
        let config = LabelledSeriesConfig { scale: SeriesScale::Series, ..Default::default() };
        let scaled = encoder(config).scaled(vec![10.0, 5.0, 14.0, 5.0]);
        assert_eq!(scaled.values, [-1.0, 0.0, 1.0, 0.0]);
        let config = LabelledSeriesConfig { scale: SeriesScale::None, ..Default::default() };
        assert_eq!(encoder(config).scaled(vec![10.0, 5.0]).values, [10.0, 5.0]);
    }

    #[test]
    fn a_restored_encoder_is_the_one_that_was_kept() {
        let config = LabelledSeriesConfig::default();
        let kept = encoder(config.clone()).preparation().unwrap();
        let restored = LabelledSeriesEncoder::restore(&kept, &config).unwrap();
        assert_eq!(restored.preparation().unwrap(), kept);
        assert!(LabelledSeriesEncoder::restore(&serde_json::json!({ "size": 3 }), &config).is_err());
    }
}
