//! An experiment: which data, which network, which task, and how it is trained.

use std::path::Path;

use ansatz_core::{
    BackboneConfig, Choice, ConfigError, DataModel, Error, Registry, Result, TaskConfig, parse, role,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{InitConfig, Patch};

/// An experiment, as a config file describes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// One line that says what the experiment is; stands over its report.
    #[serde(default)]
    pub title: String,
    /// All randomness follows from this number: parameters, order of examples, augmentation, dropout.
    #[serde(default)]
    pub seed: u32,
    /// Where the examples come from and how they become batches.
    pub data: Choice<role::Data>,
    /// The body of the network.
    pub backbone: Choice<role::Backbone>,
    /// What the network is asked: head, loss and scores.
    pub task: Choice<role::Task>,
    /// Another run that training starts from. Left out: every weight is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// How the network is trained. Read by the training crate.
    #[serde(default)]
    #[schemars(with = "TrainReference")]
    pub train: toml::Table,
}

/// Stands in the schema for the settings of the training crate.
struct TrainReference;

impl JsonSchema for TrainReference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "train".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "$ref": "#/$defs/train" })
    }
}

/// The typed configs of an experiment's components.
pub struct Plan {
    /// Where the examples come from.
    pub data: Box<dyn DataModel>,
    /// The body of the network.
    pub backbone: Box<dyn BackboneConfig>,
    /// What it is asked.
    pub task: Box<dyn TaskConfig>,
}

impl Experiment {
    /// Reads a config file, puts `patches` over it, and fills in every default.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or does not describe an experiment.
    pub fn read(path: &Path, patches: &[Patch], registry: &Registry) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::input(
                path.display(),
                "there is no such file",
                "a config file in TOML, such as configs/digits.toml",
                "check the path; `ls configs` shows those that come with Ansatz",
            ),
            std::io::ErrorKind::InvalidData => Error::input(
                path.display(),
                "the file is not text in UTF-8",
                "a config file in TOML, such as configs/digits.toml",
                "give the path of a config file",
            ),
            _ => Error::file(path, "read")(error),
        })?;
        Self::from_toml(&text, patches, registry).map_err(|error| match error {
            Error::Config(ConfigError::Syntax(problem)) => Error::input(
                path.display(),
                format!("not valid TOML: {problem}"),
                "a config file in TOML, such as configs/digits.toml",
                "mend the line that the message points at",
            ),
            other => other,
        })
    }

    /// Reads TOML, puts `patches` over it, and fills in every default.
    ///
    /// # Errors
    /// When the text is not TOML or does not describe an experiment.
    pub fn from_toml(text: &str, patches: &[Patch], registry: &Registry) -> Result<Self> {
        let mut table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax(error.to_string()))?;
        for patch in patches {
            patch.apply(&mut table)?;
        }
        let mut experiment: Self = parse(table)?;
        experiment.data.complete("data", registry)?;
        experiment.backbone.complete("backbone", registry)?;
        experiment.task.complete("task", registry)?;
        if let Some(init) = &experiment.init {
            init.check().map_err(|error| error.under("init"))?;
        }
        Ok(experiment)
    }

    /// The typed configs of the components.
    ///
    /// # Errors
    /// When a component is not registered or its settings do not fit.
    pub fn plan(&self, registry: &Registry) -> Result<Plan> {
        Ok(Plan {
            data: self.data.resolve("data", registry)?,
            backbone: self.backbone.resolve("backbone", registry)?,
            task: self.task.resolve("task", registry)?,
        })
    }

    /// The experiment as TOML, with every value that will be used.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    pub fn render(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|error| ConfigError::Syntax(error.to_string()).into())
    }

    /// The JSON Schema of experiments: every key with its meaning, every registered component. `train` is
    /// the schema of the training settings, which this crate does not know.
    pub fn schema(registry: &Registry, train: serde_json::Value) -> serde_json::Value {
        let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
        let mut root = Self::json_schema(&mut generator).to_value();
        let mut definitions = registry.definitions(&mut generator);
        definitions.extend(generator.take_definitions(true));
        definitions.insert("train".to_owned(), train);
        if let Some(root) = root.as_object_mut() {
            root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
            root.insert("title".to_owned(), "An Ansatz experiment".into());
            root.insert("$defs".to_owned(), definitions.into());
        }
        root
    }
}
