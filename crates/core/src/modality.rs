//! Examples of several modalities: what a data model must be able to do to read one of them.

use burn::tensor::TensorData;

use crate::{BoxedStem, Build, Exhibit, Preparation, Records, Result, Variation};

/// A data model that reads one modality of examples that have several, such as a picture beside a text.
///
/// What belongs to the example as a whole, its label and the part of the data that it is in, is not its business.
pub trait Modality: Send + Sync {
    /// Reads this modality of all `records`, which have its columns alone, and fits what must be fitted on those of
    /// index `train` alone. Cells that are all missing are an example without this modality.
    ///
    /// # Errors
    /// When a cell cannot be read as this kind of data, or the settings ask for what belongs to the whole example.
    fn fit(&self, records: &Records, train: &[usize]) -> Result<FittedModality>;

    /// Rebuilds what [`ModalityEncoder::preparation`] gave.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn ModalityEncoder>>;
}

/// A modality, fitted on a set of records.
pub struct FittedModality {
    /// What reads new records.
    pub encoder: Box<dyn ModalityEncoder>,
    /// All records that it was given.
    pub examples: Box<dyn ModalityExamples>,
    /// What a person should know of them, in full sentences.
    pub notes: Vec<String>,
}

/// Fitted preprocessing of one modality.
pub trait ModalityEncoder: Send + Sync {
    /// What must be stored to restore this encoder.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn preparation(&self) -> Result<Preparation>;

    /// Reads this modality of all `records`.
    ///
    /// # Errors
    /// When a cell cannot be read as this kind of data.
    fn read(&self, records: &Records) -> Result<Box<dyn ModalityExamples>>;

    /// Builds the stem, for a network that wants tokens of `width` values or takes what comes.
    ///
    /// # Errors
    /// When the configured stem does not fit the data.
    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem>;
}

/// One modality of many examples, in memory.
pub trait ModalityExamples: Send + Sync {
    /// Whether the example has this modality.
    fn is_present(&self, index: usize) -> bool;

    /// The inputs of these examples, as they are or varied for training, always of one length, so that an example's
    /// tokens stand at the same positions in every batch. An example without this modality is filled with any values.
    ///
    /// # Errors
    /// When an example cannot be prepared.
    fn inputs(&self, indices: &[usize], variation: Option<Variation>) -> Result<Vec<(String, TensorData)>>;

    /// This modality of an example as a person would look at it.
    ///
    /// # Errors
    /// When it cannot be drawn.
    fn exhibit(&self, index: usize) -> Result<Exhibit>;
}
