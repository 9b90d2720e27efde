//! Data models: from a source to batches.

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::component::AnyConfig;
use crate::{BoxedStem, Build, Codec, Error, Modality, Proposal, Result, Target, Targets};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What the network learns from, and the only part that anything may be fitted on.
    Train,
    /// What choices are made by: the best checkpoint, early stopping.
    Validation,
    /// What the figures are reported on, once, at the end.
    Test,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// Folders that a data model may read.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where fetched data sets live.
    pub data: PathBuf,
}

/// How the examples of an epoch are varied: all randomness follows from these two numbers and the example's
/// index, so any epoch can be drawn again from its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variation {
    /// The run's seed.
    pub seed: u64,
    /// Epochs done before this one.
    pub epoch: u64,
}

/// Named input tensors of a batch, on the host.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Examples in the batch.
    pub examples: usize,
    /// Inputs by name; the first dimension of each is the batch.
    pub inputs: Vec<(String, TensorData)>,
    /// Labels.
    pub targets: Targets,
}

impl Batch {
    /// Puts the inputs on `device`.
    pub fn inputs(&self, device: &Device) -> Inputs {
        Inputs { tensors: self.inputs.clone(), device: device.clone() }
    }

    /// Puts the inputs on `device` and hands the labels out, without a copy on the host.
    pub fn into_parts(self, device: &Device) -> (Inputs, Targets) {
        (Inputs { tensors: self.inputs, device: device.clone() }, self.targets)
    }

    /// The examples `range` alone, as in evaluation: without their labels.
    pub fn rows(&self, range: std::ops::Range<usize>) -> Self {
        let cut = |(name, data): &(String, TensorData)| {
            let mut shape = data.shape().clone();
            let each = data.bytes().len() / shape[0].max(1);
            shape[0] = range.len();
            let bytes = data.bytes()[range.start * each..range.end * each].to_vec();
            (name.clone(), TensorData::from_bytes_vec(bytes, shape, data.dtype()))
        };
        Self {
            examples: range.len(),
            inputs: self.inputs.iter().map(cut).collect(),
            targets: Targets::Unknown,
        }
    }

    /// Puts the examples of `other` behind these, so that one forward pass serves both.
    ///
    /// # Errors
    /// With `other`, when its inputs are of other names, types or shapes, or labels are known: those could be of
    /// two kinds.
    pub fn append(&mut self, other: Batch) -> std::result::Result<(), Box<Batch>> {
        let alike = |((name, ours), (other, theirs)): (&(String, TensorData), &(String, TensorData))| {
            let behind = |data: &TensorData| data.shape().iter().skip(1).copied().collect::<Vec<_>>();
            name == other && ours.dtype() == theirs.dtype() && behind(ours) == behind(theirs)
        };
        let unlabelled = self.targets == Targets::Unknown && other.targets == Targets::Unknown;
        let fits = unlabelled && self.inputs.len() == other.inputs.len();
        if !(fits && self.inputs.iter().zip(&other.inputs).all(alike)) {
            return Err(Box::new(other));
        }
        for ((_, ours), (_, theirs)) in self.inputs.iter_mut().zip(&other.inputs) {
            let mut shape = ours.shape().clone();
            shape[0] += theirs.shape()[0];
            let bytes = [&ours.bytes()[..], &theirs.bytes()[..]].concat();
            *ours = TensorData::from_bytes_vec(bytes, shape, ours.dtype());
        }
        self.examples += other.examples;
        Ok(())
    }
}

/// Named input tensors of a batch, bound for a device.
#[derive(Debug, Clone)]
pub struct Inputs {
    tensors: Vec<(String, TensorData)>,
    device: Device,
}

impl Inputs {
    /// These tensors, bound for `device`; the first dimension of each is the batch.
    pub fn new(tensors: Vec<(String, TensorData)>, device: &Device) -> Self {
        Self { tensors, device: device.clone() }
    }

    /// Where the tensors will be.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The float input `name` of rank `D`.
    ///
    /// # Errors
    /// When there is none of that name and rank.
    pub fn float<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        Ok(Tensor::from_data(self.find(name, D)?.clone(), &self.device))
    }

    /// The input `name` of rank `D` that holds whole numbers.
    ///
    /// # Errors
    /// When there is none of that name and rank.
    pub fn int<const D: usize>(&self, name: &str) -> Result<Tensor<D, Int>> {
        Ok(Tensor::from_data(self.find(name, D)?.clone(), &self.device))
    }

    /// Whether there is an input `name`.
    pub fn holds(&self, name: &str) -> bool {
        self.tensors.iter().any(|(known, _)| known == name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The inputs whose names begin with `prefix` and a slash, without these.
    pub fn under(&self, prefix: &str) -> Self {
        let inner = |name: &str| Some(name.strip_prefix(prefix)?.strip_prefix('/')?.to_owned());
        let tensors = self.tensors.iter().filter_map(|(name, data)| Some((inner(name)?, data.clone())));
        Self { tensors: tensors.collect(), device: self.device.clone() }
    }

    fn find(&self, name: &str, rank: usize) -> Result<&TensorData> {
        let found = self.tensors.iter().find(|(known, data)| known == name && data.rank() == rank);
        let (_, data) = found.ok_or_else(|| {
            let known: Vec<_> =
                self.tensors.iter().map(|(name, data)| format!("{name} of rank {}", data.rank())).collect();
            Error::input(
                format!("input `{name}` of rank {rank}"),
                "the batch has no such input",
                known.join(", "),
                "train and predict with the data model that the run was made with",
            )
        })?;
        Ok(data)
    }
}

/// Something a person can look at: an example as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exhibit {
    /// A PNG file.
    Png(Vec<u8>),
    /// Plain text.
    Text(String),
}

impl Exhibit {
    /// The ending of its file, and what stands in it.
    pub fn into_file(self) -> (&'static str, Vec<u8>) {
        match self {
            Self::Png(bytes) => ("png", bytes),
            Self::Text(text) => ("txt", text.into_bytes()),
        }
    }
}

/// One kind of data: its typed config, which opens a data set and restores what was fitted on one.
pub trait DataModel: AnyConfig {
    /// Reads the source, splits it, and fits what must be fitted on the training part alone.
    ///
    /// # Errors
    /// When the source is not there (saying how to get it) or not what it should be.
    fn open(&self, places: &Places) -> Result<Box<dyn OpenData>>;

    /// Rebuilds the preprocessing of a run from what [`Encoder::preparation`] gave.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>>;

    /// How files of a user's own at `path` would be read; `None` where they are not of this kind.
    ///
    /// # Errors
    /// When they are of this kind, and cannot be used.
    fn recognise(&self, _path: &Path) -> Result<Option<Proposal>> {
        Ok(None)
    }

    /// How it reads one modality of examples that have several; `None` where it cannot.
    fn modality(&self) -> Option<&dyn Modality> {
        None
    }
}

/// What preprocessing needs to know, fitted on the training part and stored with a run as JSON.
pub type Preparation = serde_json::Value;

/// A data set that was read and split. Workers draw batches from it in parallel.
pub trait OpenData: Send + Sync {
    /// The fitted preprocessing.
    fn encoder(&self) -> &dyn Encoder;

    /// How many examples `part` has.
    fn examples(&self, part: Part) -> usize;

    /// The named examples of `part`, as they are or varied for training.
    ///
    /// # Errors
    /// When an example cannot be read.
    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch>;

    /// The labels of all examples of `part`, in their order; `None` where only reading the examples tells.
    fn targets(&self, _part: Part) -> Option<Targets> {
        None
    }

    /// How many tokens each example of `part` has, in their order; `None` where all have as many.
    fn lengths(&self, _part: Part) -> Option<Vec<usize>> {
        None
    }

    /// What a person should know of the data before trusting a figure, in full sentences.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// An example as a person would look at it.
    ///
    /// # Errors
    /// When it cannot be read or drawn.
    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit>;
}

/// Fitted preprocessing: all that is needed to turn a new file into a batch.
pub trait Encoder: Send + Sync {
    /// What the examples are labelled with.
    fn target(&self) -> &Target;

    /// What must be stored to restore this encoder.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn preparation(&self) -> Result<Preparation>;

    /// What turns text into tokens and back, where the data is text.
    fn codec(&self) -> Option<&dyn Codec> {
        None
    }

    /// Builds the stem, for a backbone that wants tokens of `width` values or takes what comes.
    ///
    /// # Errors
    /// When the configured stem does not fit the data, e.g. patches that do not divide the picture.
    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem>;

    /// An example of which values are hidden, beside what a network told of them: `asked` are the labels of a batch of this
    /// one, `outputs` what was told. `index` decides what of it is drawn where it has several parts, such as channels. `None`
    /// where nothing is hidden.
    ///
    /// # Errors
    /// When it cannot be drawn.
    fn restored(&self, _asked: &Targets, _index: usize, _outputs: &[f32]) -> Result<Option<Exhibit>> {
        Ok(None)
    }

    /// Other views of the same examples, such as mirror images, whose outputs are averaged with theirs when the
    /// network is judged and used. None by default.
    ///
    /// # Errors
    /// When the batch is of another kind of data.
    fn views(&self, _batch: &Batch) -> Result<Vec<Batch>> {
        Ok(Vec::new())
    }

    /// The files of this kind at `path`: itself, or those inside a folder, sorted.
    ///
    /// # Errors
    /// When there is nothing of this kind at `path`.
    fn files(&self, path: &Path) -> Result<Vec<PathBuf>>;

    /// What a file of this kind may be called, for a hint.
    fn usual_file(&self) -> &'static str {
        "FILE"
    }

    /// Reads a file, which most often is one example, with unknown targets.
    ///
    /// # Errors
    /// When the file cannot be read as this kind of data.
    fn encode(&self, path: &Path) -> Result<FileBatches<'_>>;

    /// What the outputs of a network for the file at `path` say of the steps behind it, in the file's own
    /// units; `outputs` are those of one example, for each step and channel one value for each of `quantiles`,
    /// or one where there are none. `None` for data that have no future.
    ///
    /// # Errors
    /// When the file cannot be read any more, or the outputs are those of another network.
    fn forecast(&self, _path: &Path, _outputs: &[f32], _quantiles: &[f64]) -> Result<Option<Forecast>> {
        Ok(None)
    }
}

/// The examples of a file in their order, as batches of at most [`FileBatches::TOGETHER`] examples.
pub struct FileBatches<'a>(Box<dyn Iterator<Item = Result<Batch>> + 'a>);

impl<'a> FileBatches<'a> {
    /// The most examples of a batch.
    pub const TOGETHER: usize = 64;

    /// A file that is one batch.
    pub fn alone(batch: Batch) -> Self {
        Self(Box::new(std::iter::once(Ok(batch))))
    }

    /// A file of so many examples, of which `read` gives a range at a time.
    pub fn of(examples: usize, mut read: impl FnMut(Range<usize>) -> Result<Batch> + 'a) -> Self {
        let firsts = (0..examples).step_by(Self::TOGETHER);
        Self(Box::new(firsts.map(move |first| read(first..examples.min(first + Self::TOGETHER)))))
    }
}

impl Iterator for FileBatches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// What a network foretells of a series, in the series' own units.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Forecast {
    /// The steps: their times, or how far ahead they lie, counted from 1.
    pub steps: Vec<String>,
    /// What is foretold of each step: the channels, each with its quantiles where there are some.
    pub columns: Vec<String>,
    /// Row by row, `[steps][columns]`.
    pub values: Vec<Vec<f64>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(values: &[[f32; 2]], name: &str) -> Batch {
        let data = TensorData::new(values.concat(), [values.len(), 2]);
        Batch { examples: values.len(), inputs: vec![(name.to_owned(), data)], targets: Targets::Unknown }
    }

    #[test]
    fn batches_of_one_shape_are_joined() {
        let mut joined = batch(&[[1.0, 2.0]], "pixels");
        joined.append(batch(&[[3.0, 4.0], [5.0, 6.0]], "pixels")).expect("they fit");
        assert_eq!(joined.examples, 3);
        let expected = TensorData::from([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        joined.inputs[0].1.assert_eq(&expected, true);
        let last = joined.rows(1..3);
        assert_eq!(last.examples, 2);
        last.inputs[0].1.assert_eq(&TensorData::from([[3.0f32, 4.0], [5.0, 6.0]]), true);
    }

    #[test]
    fn inputs_under_a_name_are_told_apart() {
        let device = ansatz_device::open("cpu").unwrap();
        let data = TensorData::new(vec![1.0f32, 2.0], [1, 2]);
        let named = |name: &str| (name.to_owned(), data.clone());
        let inputs = Inputs::new(vec![named("picture/pixels"), named("pictures/x"), named("text")], &device);
        let under = inputs.under("picture");
        assert!(under.holds("pixels") && !under.holds("text") && !under.holds("x"));
        assert_eq!(under.tensors.len(), 1);
    }

    #[test]
    fn batches_that_do_not_fit_come_back() {
        let mut first = batch(&[[1.0, 2.0]], "pixels");
        let wide = Batch {
            inputs: vec![("pixels".to_owned(), TensorData::new(vec![0.0f32; 3], [1, 3]))],
            ..batch(&[[0.0; 2]], "pixels")
        };
        let labelled = Batch { targets: Targets::Classes(vec![0]), ..batch(&[[0.0; 2]], "pixels") };
        for other in [wide, labelled, batch(&[[0.0; 2]], "tokens")] {
            assert_eq!(first.append(other.clone()).expect_err("it does not fit").inputs, other.inputs);
        }
        assert_eq!(first.examples, 1);
    }
}
