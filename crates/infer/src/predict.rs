//! From files to predictions.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ansatz_core::{Batch, Forecast, HostOutputs, Outcome, Registry, Result, Target, Targets};
use ansatz_run::Trained;
use burn::tensor::Device;
use serde::Serialize;

/// What the network says of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The file.
    pub file: PathBuf,
    /// The record in it, from 1, where it holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<usize>,
    /// Answers with their probabilities in 0–1, most likely first.
    pub predictions: Vec<(String, f32)>,
    /// The number that was asked for, in its own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// What follows the end of the file, where it holds a series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

/// A trained network that reads files.
pub struct Predictor {
    trained: Trained,
    device: Device,
}

/// Examples that go through the network together.
const TOGETHER: usize = 64;

/// Files whose batches have one shape.
struct Group {
    batch: Batch,
    /// Each file's number, and its examples in the batch.
    files: Vec<(usize, Range<usize>)>,
}

/// Adds a file's batch to the last group, or to a new one where the shapes differ.
fn add(groups: &mut Vec<Group>, number: usize, batch: Batch) {
    let alone = match groups.last_mut() {
        Some(group) => {
            let first = group.batch.examples;
            match group.batch.append(batch) {
                Ok(()) => return group.files.push((number, first..group.batch.examples)),
                Err(batch) => *batch,
            }
        }
        None => batch,
    };
    let all = 0..alone.examples;
    groups.push(Group { batch: alone, files: vec![(number, all)] });
}

impl Predictor {
    /// Loads the network of the run folder `run` onto `device`.
    ///
    /// # Errors
    /// When there is no finished run at `run`, or its files do not fit together.
    pub fn load(run: &Path, registry: &Registry, device: &Device) -> Result<Self> {
        Ok(Self { trained: Trained::load(run, registry, device)?, device: device.clone() })
    }

    /// The files at `paths`: each itself, or those inside a folder, sorted.
    ///
    /// # Errors
    /// When a path holds nothing that the network reads.
    pub fn files(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let nested: Result<Vec<_>> = paths.iter().map(|path| self.trained.encoder.files(path)).collect();
        Ok(nested?.into_iter().flatten().collect())
    }

    /// How many answers a file has if nobody says: the three likeliest of several classes, or each label of which any
    /// number may hold.
    pub fn usual_answers(&self) -> usize {
        match self.trained.encoder.target() {
            Target::Labels { names } => names.len(),
            _ => 3,
        }
    }

    /// What the network says of each of `files`, in their order, and of each record that a file holds: its `top` most
    /// likely answers, or why the file cannot be read as the kind of data that the network was trained on.
    ///
    /// Up to 64 files are read together, and up to 64 examples go through the network together.
    pub fn predict<'a>(
        &'a self,
        files: &'a [PathBuf],
        top: usize,
    ) -> impl Iterator<Item = Result<Prediction>> + 'a {
        files.chunks(TOGETHER).flat_map(move |files| self.together(files, top))
    }

    fn together(&self, files: &[PathBuf], top: usize) -> Vec<Result<Prediction>> {
        let mut groups: Vec<Group> = Vec::new();
        let mut unread = Vec::new();
        for (number, file) in files.iter().enumerate() {
            match self.trained.encoder.encode(file) {
                Ok(batch) => add(&mut groups, number, batch),
                Err(error) => unread.push((number, Err(error))),
            }
        }
        let mut predictions = unread;
        for Group { batch, files: members } in groups {
            match self.outcomes(batch) {
                Ok((outputs, outcomes)) => {
                    for (number, examples) in members {
                        let several = examples.len() > 1;
                        for (place, (example, outcome)) in
                            examples.clone().zip(&outcomes[examples]).enumerate()
                        {
                            let record = several.then_some(place + 1);
                            let said =
                                self.prediction(&files[number], outputs.example(example), outcome, top);
                            predictions.push((number, said.map(|said| Prediction { record, ..said })));
                        }
                    }
                }
                Err(error) if members.len() == 1 => predictions.push((members[0].0, Err(error))),
                // One of several is at fault; alone, each shows whether it is the one.
                Err(_) => {
                    let alone = |(number, _): (usize, Range<usize>)| {
                        let answers = self.together(std::slice::from_ref(&files[number]), top);
                        answers.into_iter().map(move |answer| (number, answer))
                    };
                    predictions.extend(members.into_iter().flat_map(alone));
                }
            }
        }
        predictions.sort_by_key(|(number, _)| *number);
        predictions.into_iter().map(|(_, prediction)| prediction).collect()
    }

    fn prediction(&self, file: &Path, outputs: &[f32], outcome: &Outcome, top: usize) -> Result<Prediction> {
        Ok(Prediction {
            file: file.to_owned(),
            record: None,
            predictions: outcome.predictions.iter().take(top).cloned().collect(),
            number: outcome.number,
            forecast: self.trained.encoder.forecast(file, outputs, self.trained.plan.task.quantiles())?,
        })
    }

    /// What the network says of all examples of a batch, of which a file of records may have any number.
    fn outcomes(&self, batch: Batch) -> Result<(HostOutputs, Vec<Outcome>)> {
        let mut scorer = self.trained.plan.task.scorer(self.trained.encoder.target())?;
        let (mut outcomes, mut whole) = (Vec::new(), HostOutputs { dims: [0; 3], values: Vec::new() });
        for first in (0..batch.examples).step_by(TOGETHER) {
            let some = batch.rows(first..batch.examples.min(first + TOGETHER));
            let outputs = self.trained.model.judge(&some, &*self.trained.encoder, &self.device)?;
            let outputs = HostOutputs::read(outputs)?;
            outcomes.extend(scorer.add(&outputs, &Targets::Unknown)?);
            let [examples, positions, values] = outputs.dims;
            whole.dims = [whole.dims[0] + examples, positions, values];
            whole.values.extend(outputs.values);
        }
        Ok((whole, outcomes))
    }
}
