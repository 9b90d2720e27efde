//! Fitted preprocessing: from records to what the network reads.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Encoder, Error, FileBatches, ModalityEncoder, ModalityExamples, Preparation,
    Records, Result, Target, Targets, Variation,
};
use ansatz_data::{read_records, record_files};
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use crate::FusedConfig;
use crate::stem::{Branch, FusedStem, PRESENT};

/// What a run must keep to read records as it did in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prepared {
    target: Target,
    /// What each modality keeps, in their order.
    modalities: Vec<Preparation>,
}

/// Fitted preprocessing of examples of several modalities.
pub struct FusedEncoder {
    config: FusedConfig,
    encoders: Vec<Box<dyn ModalityEncoder>>,
    target: Target,
}

/// One modality of many examples; `None` where no record has it.
pub(crate) type Examples = Option<Box<dyn ModalityExamples>>;

impl FusedEncoder {
    pub(crate) fn new(config: &FusedConfig, encoders: Vec<Box<dyn ModalityEncoder>>, target: Target) -> Self {
        Self { config: config.clone(), encoders, target }
    }

    /// From what a run kept.
    ///
    /// # Errors
    /// When `preparation` is of another data model, or of other modalities.
    pub fn restore(preparation: &Preparation, config: &FusedConfig) -> Result<Self> {
        let damaged = |problem: String| {
            let expected = "what the data model `fused` keeps";
            Error::input("the run's preparation", problem, expected, "use a whole run of fused data")
        };
        let kept: Prepared =
            serde_json::from_value(preparation.clone()).map_err(|error| damaged(error.to_string()))?;
        let models = config.models()?;
        if kept.modalities.len() != models.len() {
            return Err(damaged(format!("{} modalities, not {}", kept.modalities.len(), models.len())));
        }
        let restored =
            models.iter().zip(&kept.modalities).map(|(model, kept)| model.modality()?.restore(kept));
        Ok(Self::new(config, restored.collect::<Result<_>>()?, kept.target))
    }

    /// The inputs of the examples `indices`, of which `hidden` says which modalities are not to be seen.
    pub(crate) fn inputs(
        &self,
        examples: &[Examples],
        indices: &[usize],
        variation: Option<Variation>,
        hidden: impl Fn(usize) -> Vec<bool>,
    ) -> Result<Vec<(String, TensorData)>> {
        let count = self.encoders.len();
        let mut present = Vec::with_capacity(indices.len() * count);
        for &index in indices {
            let seen = examples.iter().zip(hidden(index)).map(|(examples, hidden)| {
                !hidden && examples.as_ref().is_some_and(|examples| examples.is_present(index))
            });
            present.extend(seen.map(|seen| f32::from(u8::from(seen))));
        }
        let mut inputs = Vec::new();
        for (modality, examples) in self.config.modalities.iter().zip(examples) {
            let Some(examples) = examples else { continue };
            let own = examples.inputs(indices, variation)?;
            inputs.extend(own.into_iter().map(|(name, data)| (format!("{}/{name}", modality.name), data)));
        }
        inputs.push((PRESENT.to_owned(), TensorData::new(present, [indices.len(), count])));
        Ok(inputs)
    }

    /// Every modality of `records`.
    fn read(&self, records: &Records) -> Result<Vec<Examples>> {
        let modalities = self.config.modalities.iter().zip(&self.encoders);
        let read = modalities.map(|(modality, encoder)| {
            modality.find(records)?.map(|records| encoder.read(&records)).transpose()
        });
        let read = read.collect::<Result<Vec<Examples>>>()?;
        if read.iter().any(Option::is_some) {
            return Ok(read);
        }
        let wanted: Vec<String> =
            self.config.modalities.iter().flat_map(|modality| modality.columns.clone()).collect();
        let file = records.file().map_or(String::new(), |file| file.display().to_string());
        let problem =
            format!("it has none of the columns that the network reads, but {}", records.columns.join(", "));
        Err(Error::input(file, problem, format!("some of {}", wanted.join(", ")), "rename the columns"))
    }
}

impl Encoder for FusedEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        let modalities = self.encoders.iter().map(|encoder| encoder.preparation()).collect::<Result<_>>()?;
        serde_json::to_value(Prepared { target: self.target.clone(), modalities })
            .map_err(|error| Error::Failed(format!("preprocessing: {error}")))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        let wanted = self.config.join.wanted_width(width);
        let branches = self.config.modalities.iter().zip(&self.encoders).enumerate();
        let branches = branches.map(|(index, (modality, encoder))| {
            let branch = Branch::new(modality, &**encoder, wanted, build);
            branch.map_err(|error| error.under(&format!("modalities[{index}]")))
        });
        let branches = branches.collect::<Result<Vec<_>>>()?;
        Ok(BoxedStem::new(FusedStem::new(branches, &self.config, width, build.device)?))
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        record_files(path)
    }

    fn usual_file(&self) -> &'static str {
        "RECORDS.csv"
    }

    /// One example for each record of the file. A modality of which the file has no column is missing in all of them; a
    /// target that stands there is not looked at.
    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let records = read_records(path)?;
        let examples = self.read(&records)?;
        let count = records.rows.len();
        let is_there = |index: &usize| examples.iter().flatten().any(|examples| examples.is_present(*index));
        if let Some(index) = (0..count).find(|index| !is_there(index)) {
            let place = &records.rows.get(index)?.place;
            let problem = "nothing is there of what the network reads";
            return Err(Error::input(
                place,
                problem,
                "at least one modality",
                "fill the record, or remove it",
            ));
        }
        let nothing_dropped = vec![false; self.encoders.len()];
        Ok(FileBatches::of(count, move |range| {
            let indices: Vec<usize> = range.collect();
            let inputs = self.inputs(&examples, &indices, None, |_| nothing_dropped.clone())?;
            Ok(Batch { examples: indices.len(), inputs, targets: Targets::Unknown })
        }))
    }
}
