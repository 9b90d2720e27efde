//! A part of a data set as burn knows data sets.

use std::sync::Arc;

use ansatz_core::{Batch, Error, OpenData, Part, Result};
use burn_dataset::Dataset;

/// The examples of one part, each as a batch of one and unvaried, for whatever reads burn's [`Dataset`]: its
/// samplers, windows and loaders. Training here uses [`Loader`](crate::Loader), which draws whole batches.
#[derive(Clone)]
pub struct Examples {
    data: Arc<dyn OpenData>,
    part: Part,
}

impl Examples {
    /// The examples of `part`.
    pub fn new(data: Arc<dyn OpenData>, part: Part) -> Self {
        Self { data, part }
    }
}

impl Dataset<Batch, Error> for Examples {
    fn get(&self, index: usize) -> Result<Batch> {
        assert!(index < self.len(), "example {index} of {}", self.len());
        self.data.batch(self.part, &[index], None)
    }

    fn get_many(&self, indices: Vec<usize>) -> Result<Vec<Batch>> {
        indices.into_iter().map(|index| self.get(index)).collect()
    }

    fn len(&self) -> usize {
        self.data.examples(self.part)
    }
}
