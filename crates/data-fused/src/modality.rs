//! One modality of an example: which columns it is in, what reads them, and what encodes them.

use std::sync::Arc;

use ansatz_core::{Choice, ConfigError, DataModel, Modality, Records, Registry, Result, role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One modality of an example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModalityConfig {
    /// What it is called, in messages and in the table of layers; without a slash.
    pub name: String,
    /// The columns that it is in: one for a picture (of file names) or a text, any number for a table.
    pub columns: Vec<String>,
    /// The data model that reads them. Its source is `{ records = { … } }`, and may be left out.
    pub data: Choice<role::Data>,
    /// A backbone of its own behind the stem, e.g. convolutions over a picture. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<Choice<role::Backbone>>,
    /// How its tokens become one vector, where the join asks for one.
    pub pool: ModalityPool,
    /// Values that this vector is projected to, for the join `concat-features`. Left out: as wide as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<usize>,
    /// Probability with which each value that comes out of this modality is dropped while training, 0 up to but not
    /// including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

/// How the tokens of a modality become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModalityPool {
    /// The mean over all real tokens.
    #[default]
    Mean,
    /// The first token.
    First,
}

impl Default for ModalityConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            columns: Vec::new(),
            data: Choice::of("image"),
            encoder: None,
            pool: ModalityPool::default(),
            features: None,
            dropout: 0.0,
        }
    }
}

impl ModalityConfig {
    /// Checks the ranges and completes the choices.
    ///
    /// # Errors
    /// With the path, the problem and what was expected.
    pub(crate) fn complete(&mut self, registry: &Registry) -> Result<ModalityModel, ConfigError> {
        if self.name.is_empty() || self.name.contains('/') {
            return Err(ConfigError::value("name", format!("{:?}", self.name), "a name without a slash"));
        }
        if self.columns.is_empty() {
            return Err(ConfigError::value(
                "columns",
                "there are none",
                "at least one column of the records",
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("a probability of {}", self.dropout);
            return Err(ConfigError::value("dropout", problem, "0 up to but not including 1"));
        }
        if self.features == Some(0) {
            return Err(ConfigError::value("features", "0 values", "at least 1"));
        }
        if !self.data.settings.contains_key("source") {
            let records =
                [("records".to_owned(), toml::Table::new().into())].into_iter().collect::<toml::Table>();
            self.data.settings.insert("source".to_owned(), records.into());
        }
        // A data model that reads no records may not know such a source: say first that it is not of those.
        let model: Arc<dyn DataModel> = match self.data.resolve("data", registry) {
            Ok(model) => Arc::from(model),
            Err(error) => {
                let bare = Choice::<role::Data>::of(&self.data.kind).resolve("data", registry)?;
                if bare.modality().is_none() {
                    return Err(no_modality(&self.data.kind));
                }
                return Err(error);
            }
        };
        if model.modality().is_none() {
            return Err(no_modality(&self.data.kind));
        }
        self.data.complete("data", registry)?;
        if let Some(encoder) = &mut self.encoder {
            encoder.complete("encoder", registry)?;
        }
        Ok(ModalityModel(model))
    }

    /// The columns of this modality in `records`; `None` where there is none of them.
    ///
    /// # Errors
    /// When there are some of them alone.
    pub(crate) fn find(&self, records: &Records) -> Result<Option<Records>> {
        if self.columns.iter().any(|name| records.columns.contains(name)) {
            return records.select(&self.columns).map(Some);
        }
        Ok(None)
    }
}

fn no_modality(kind: &str) -> ConfigError {
    let problem = format!("`{kind}` does not read one modality of several");
    ConfigError::value("data.kind", problem, "image, labelled-text, table, or one of your own that does")
}

/// A data model that is known to read a modality.
#[derive(Debug, Clone)]
pub(crate) struct ModalityModel(Arc<dyn DataModel>);

impl ModalityModel {
    /// The same, as what it does.
    ///
    /// # Errors
    /// When it does not, which [`ModalityConfig::complete`] has seen to.
    pub(crate) fn modality(&self) -> Result<&dyn Modality> {
        self.0.modality().ok_or_else(|| no_modality("data").into())
    }
}
