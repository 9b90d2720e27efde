//! The typed config of the data model.

use std::path::Path;

use ansatz_core::{
    Choice, Component, ConfigError, DataModel, Encoder, Error, OpenData, Places, Preparation, Proposal,
    Registry, Result,
};
use ansatz_data::{SplitConfig, TargetColumn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::modality::ModalityModel;
use crate::recognise::recognise;
use crate::{FusedEncoder, FusedSource, Join, ModalityConfig, OpenFused};

/// Examples of several modalities.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FusedConfig {
    /// Where the records come from.
    pub source: FusedSource,
    /// What is foretold: `{ class = "class" }`, `{ number = "weight" }`, or, where an example may have several labels,
    /// `{ labels = { column = "topics", separator = ";" } }` or `{ flags = ["art", "war"] }`.
    pub target: TargetColumn,
    /// The modalities, at least one; their order is that of tokens and features.
    pub modalities: Vec<ModalityConfig>,
    /// How they are joined into one X.
    pub join: Join,
    /// Probability with which each modality of a training example is hidden, 0 up to but not including 1; one that is
    /// there is always left. What stands for a hidden modality, and for one that is missing, is learned.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub modality_dropout: f64,
    /// How records are divided into parts.
    pub split: SplitConfig,
    #[serde(skip)]
    models: Vec<ModalityModel>,
}

impl Default for FusedConfig {
    fn default() -> Self {
        let modality = |name: &str, column: &str, kind: &str| ModalityConfig {
            name: name.to_owned(),
            columns: vec![column.to_owned()],
            data: Choice::of(kind),
            ..ModalityConfig::default()
        };
        Self {
            source: FusedSource::default(),
            target: TargetColumn::Class("class".to_owned()),
            modalities: vec![
                modality("picture", "picture", "image"),
                modality("title", "title", "labelled-text"),
            ],
            join: Join::default(),
            modality_dropout: 0.0,
            split: SplitConfig::default(),
            models: Vec::new(),
        }
    }
}

impl FusedConfig {
    /// What reads each modality.
    ///
    /// # Errors
    /// When [`Component::complete`] was not called.
    pub(crate) fn models(&self) -> Result<&[ModalityModel]> {
        if self.models.len() == self.modalities.len() {
            return Ok(&self.models);
        }
        Err(Error::Failed("the config of fused data was not completed with a registry".to_owned()))
    }
}

impl Component for FusedConfig {
    const KIND: &'static str = "fused";
    const ABOUT: &'static str = "examples of several modalities, such as picture, text and numbers, joined into one: records, clip-art";
    const CITATION: &'static str = "hidden modalities: Neverova et al., ModDrop, 2015, arXiv:1501.00102; gated: Arevalo et \
        al., Gated Multimodal Units for Information Fusion, 2017, arXiv:1702.01992; cross-attention: Tsai et al., \
        Multimodal Transformer for Unaligned Multimodal Language Sequences, 2019, arXiv:1906.00295";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        self.source.check()?;
        self.target.check()?;
        self.split.check().map_err(|error| error.under("split"))?;
        self.join.check(self.modalities.len()).map_err(|error| error.under("join"))?;
        if !(0.0..1.0).contains(&self.modality_dropout) {
            let problem = format!("a probability of {}", self.modality_dropout);
            return Err(ConfigError::value("modality_dropout", problem, "0 up to but not including 1"));
        }
        if self.modalities.is_empty() {
            return Err(ConfigError::value("modalities", "there are none", "at least one"));
        }
        self.models.clear();
        for (index, modality) in self.modalities.iter_mut().enumerate() {
            let path = format!("modalities[{index}]");
            let model = modality.complete(registry).map_err(|error| error.under(&path))?;
            let foretold = self.target.columns();
            if let Some(column) = modality.columns.iter().find(|column| foretold.contains(&column.as_str())) {
                let problem = format!("`{column}` is what is foretold");
                return Err(ConfigError::value(format!("{path}.columns"), problem, "other columns"));
            }
            if modality.features.is_some() && self.join != Join::ConcatFeatures {
                let problem = "only the join `concat-features` projects each modality by itself";
                return Err(ConfigError::value(format!("{path}.features"), problem, "no such key"));
            }
            self.models.push(model);
        }
        let names: Vec<&str> = self.modalities.iter().map(|modality| modality.name.as_str()).collect();
        match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
            Some((index, name)) => {
                let problem = format!("two modalities are called `{name}`");
                Err(ConfigError::value(format!("modalities[{index}].name"), problem, "a name of its own"))
            }
            None => Ok(()),
        }
    }
}

impl DataModel for FusedConfig {
    fn open(&self, places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(OpenFused::open(self, places)?))
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(FusedEncoder::restore(preparation, self)?))
    }

    fn recognise(&self, path: &Path) -> Result<Option<Proposal>> {
        recognise(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<FusedConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        let checked = read.and_then(|mut config| config.complete(&crate::open::tests::registry()));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn values_that_do_not_fit_are_named() {
        for (text, path) in [
            ("source = { file = { path = '' } }", "source.file.path"),
            ("modality_dropout = 1.0", "modality_dropout"),
            ("modalities = []", "modalities"),
            ("modalities = [{ columns = ['a'] }]", "modalities[0].name"),
            ("modalities = [{ name = 'a' }]", "modalities[0].columns"),
            ("modalities = [{ name = 'a', columns = ['class'] }]", "modalities[0].columns"),
            ("modalities = [{ name = 'a', columns = ['a'], dropout = 2.0 }]", "modalities[0].dropout"),
            ("modalities = [{ name = 'a', columns = ['a'], features = 0 }]", "modalities[0].features"),
            (
                "modalities = [{ name = 'a', columns = ['a'] }, { name = 'a', columns = ['b'] }]",
                "modalities[1].name",
            ),
            (
                "modalities = [{ name = 'a', columns = ['a'], data = { kind = 'text' } }]",
                "modalities[0].data.kind",
            ),
            (
                "modalities = [{ name = 'a', columns = ['a'], data = { kind = 'image', flip = 1 } }]",
                "modalities[0].data.flip",
            ),
            (
                "join = 'gated'\nmodalities = [{ name = 'a', columns = ['a'], features = 3 }]",
                "modalities[0].features",
            ),
            ("join = { cross-attention = {} }\nmodalities = [{ name = 'a', columns = ['a'] }]", "join"),
            ("join = { cross-attention = { heads = 0 } }", "join.cross-attention.heads"),
        ] {
            let said = message(text);
            assert!(said.contains(&format!("`{path}`")), "{text}: {said}");
        }
    }

    #[test]
    fn a_modality_without_a_source_reads_records() {
        let mut config = FusedConfig::default();
        assert!(config.models().is_err());
        config.complete(&crate::open::tests::registry()).unwrap();
        let source = &config.modalities[0].data.settings["source"]["records"];
        assert_eq!(source["height"].as_integer(), Some(64));
        let again: FusedConfig = ansatz_core::parse(toml::Table::try_from(&config).unwrap()).unwrap();
        assert_eq!(again.modalities, config.modalities);
    }
}
