//! From files to predictions.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, Error, FileBatches, Forecast, HostOutputs, Outcome, Registry, Result, Target, Targets,
};
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

/// Examples that go through the network together, and files that are read together.
const TOGETHER: usize = FileBatches::TOGETHER;

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
    /// When there is no finished run at `run`, its files do not fit together, or it tells what is hidden and no more.
    pub fn load(run: &Path, registry: &Registry, device: &Device) -> Result<Self> {
        let trained = Trained::load(run, registry, device)?;
        let told = match trained.encoder.target() {
            Target::MaskedTokens { .. } => "hidden tokens",
            Target::HiddenValues(_) => "hidden patches",
            _ => return Ok(Self { trained, device: device.clone() }),
        };
        Err(Error::input(
            run.display(),
            format!("it tells {told}, and has no answer to a file"),
            "a run with a task that has answers",
            format!("train one that starts from it: init = {{ from = \"{}\" }}", run.display()),
        ))
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
    /// Up to 64 files are read together, up to 64 examples go through the network together, and of a file of more
    /// examples what is said of the first comes before the others are looked at.
    pub fn predict<'a>(
        &'a self,
        files: &'a [PathBuf],
        top: usize,
    ) -> impl Iterator<Item = Result<Prediction>> + 'a {
        Predictions { predictor: self, files, top, said: VecDeque::new(), long: None }
    }

    /// What is said of files whose examples `groups` hold.
    fn together(
        &self,
        files: &[PathBuf],
        groups: Vec<Group>,
        top: usize,
    ) -> Vec<(usize, Result<Prediction>)> {
        let mut predictions = Vec::new();
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
                    for (number, _) in members {
                        let alone = self.predict(std::slice::from_ref(&files[number]), top);
                        predictions.extend(alone.map(|answer| (number, answer)));
                    }
                }
            }
        }
        predictions
    }

    /// What is said of a batch of a file of many examples, of which `before` came before.
    fn some_of(&self, file: &Path, batch: Batch, before: usize, top: usize) -> Result<Vec<Prediction>> {
        let (outputs, outcomes) = self.outcomes(batch)?;
        let said = outcomes.iter().enumerate().map(|(example, outcome)| {
            let said = self.prediction(file, outputs.example(example), outcome, top)?;
            Ok(Prediction { record: Some(before + example + 1), ..said })
        });
        said.collect()
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

/// A file of more examples than go through the network together.
struct Long<'a> {
    file: &'a Path,
    batches: Box<dyn Iterator<Item = Result<Batch>> + 'a>,
    /// Examples that were looked at.
    before: usize,
}

/// What a network says of files, one behind the other.
struct Predictions<'a> {
    predictor: &'a Predictor,
    /// Those that are yet to be read.
    files: &'a [PathBuf],
    top: usize,
    said: VecDeque<Result<Prediction>>,
    /// The file that comes behind all that was said.
    long: Option<Long<'a>>,
}

impl<'a> Predictions<'a> {
    /// Reads the next files, up to one of many examples.
    fn read(&mut self) {
        let files = self.files;
        let (mut groups, mut said) = (Vec::new(), Vec::new());
        let mut count = 0;
        while count < files.len().min(TOGETHER) && self.long.is_none() {
            let file = &files[count];
            match self.predictor.trained.encoder.encode(file).and_then(opened) {
                Err(error) => said.push((count, Err(error))),
                Ok(Opened::Short(batch)) => add(&mut groups, count, batch),
                Ok(Opened::Long(batches)) => self.long = Some(Long { file, batches, before: 0 }),
            }
            count += 1;
        }
        said.extend(self.predictor.together(files, groups, self.top));
        said.sort_by_key(|(number, _)| *number);
        self.said.extend(said.into_iter().map(|(_, said)| said));
        self.files = &files[count..];
    }

    /// Looks at the next examples of the long file; `None` where there are no more of them.
    fn go_on(&mut self) -> Option<()> {
        let Long { file, batches, before } = self.long.as_mut()?;
        let batch = batches.next()?;
        let said = batch.and_then(|batch| {
            let first = *before;
            *before += batch.examples;
            self.predictor.some_of(file, batch, first, self.top)
        });
        match said {
            Ok(said) => self.said.extend(said.into_iter().map(Ok)),
            Err(error) => {
                self.said.push_back(Err(error));
                self.long = None;
            }
        }
        Some(())
    }
}

/// A file by how many examples it holds: as many as go through the network together, or more.
enum Opened<'a> {
    Short(Batch),
    Long(Box<dyn Iterator<Item = Result<Batch>> + 'a>),
}

fn opened(mut batches: FileBatches) -> Result<Opened> {
    let first = batches.next().transpose()?;
    Ok(match (first, batches.next()) {
        (Some(batch), None) => Opened::Short(batch),
        (first, second) => Opened::Long(Box::new(first.map(Ok).into_iter().chain(second).chain(batches))),
    })
}

impl Iterator for Predictions<'_> {
    type Item = Result<Prediction>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(said) = self.said.pop_front() {
                return Some(said);
            }
            if self.go_on().is_some() {
                continue;
            }
            self.long = None;
            if self.files.is_empty() {
                return None;
            }
            self.read();
        }
    }
}
