//! From files to predictions.

use std::path::{Path, PathBuf};

use ansatz_core::{Batch, Forecast, HostOutputs, Outcome, Registry, Result, Targets};
use ansatz_run::Trained;
use burn::tensor::Device;
use serde::Serialize;

/// What the network says of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The file.
    pub file: PathBuf,
    /// Which of its examples, counted from 1, where it holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<usize>,
    /// Answers with their probabilities in 0–1, most likely first.
    pub predictions: Vec<(String, f32)>,
    /// What follows the end of the file, where it holds a series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

/// A trained network that reads files.
pub struct Predictor {
    trained: Trained,
    device: Device,
}

/// Files that go through the network together.
const TOGETHER: usize = 64;

/// Files whose batches have one shape.
struct Group {
    batch: Batch,
    /// The files, in the order of their examples.
    files: Vec<Member>,
}

/// A file in a batch.
#[derive(Clone, Copy)]
struct Member {
    /// The file's number.
    number: usize,
    /// Its first example in the batch.
    first: usize,
    /// How many examples it holds.
    examples: usize,
}

/// Adds a file's batch to the last group, or to a new one where the shapes differ.
fn add(groups: &mut Vec<Group>, number: usize, batch: Batch) {
    let examples = batch.examples;
    let alone = match groups.last_mut() {
        Some(group) => {
            let first = group.batch.examples;
            match group.batch.append(batch) {
                Ok(()) => return group.files.push(Member { number, first, examples }),
                Err(batch) => *batch,
            }
        }
        None => batch,
    };
    groups.push(Group { batch: alone, files: vec![Member { number, first: 0, examples }] });
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

    /// What the network says of each example of each of `files`, in their order: its `top` most likely answers, or why
    /// the file cannot be read as the kind of data that the network was trained on.
    ///
    /// Up to 64 files go through the network together.
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
                    for Member { number, first, examples } in members {
                        predictions.extend((0..examples).map(|example| {
                            let at = first + example;
                            let answers =
                                outcomes.get(at).map(|outcome| outcome.predictions.iter().take(top));
                            let answers = answers.into_iter().flatten().cloned().collect();
                            let which = (examples > 1).then_some(example + 1);
                            let said = self.prediction(&files[number], outputs.example(at), answers);
                            (number, said.map(|said| Prediction { example: which, ..said }))
                        }));
                    }
                }
                Err(error) if members.len() == 1 => predictions.push((members[0].number, Err(error))),
                // One of several is at fault; alone, each shows whether it is the one.
                Err(_) => {
                    let alone = |Member { number, .. }: Member| {
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

    fn prediction(&self, file: &Path, outputs: &[f32], answers: Vec<(String, f32)>) -> Result<Prediction> {
        let forecast = self.trained.encoder.forecast(file, outputs, self.trained.plan.task.quantiles())?;
        Ok(Prediction { file: file.to_owned(), example: None, predictions: answers, forecast })
    }

    fn outcomes(&self, batch: Batch) -> Result<(HostOutputs, Vec<Outcome>)> {
        let outputs = self.trained.model.judge(&batch, &*self.trained.encoder, &self.device)?;
        let outputs = HostOutputs::read(outputs)?;
        let mut scorer = self.trained.plan.task.scorer(self.trained.encoder.target())?;
        let outcomes = scorer.add(&outputs, &Targets::Unknown)?;
        Ok((outputs, outcomes))
    }
}
