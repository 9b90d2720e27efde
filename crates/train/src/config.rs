//! `[train]`: how a network is trained.

use std::num::NonZeroUsize;

use ansatz_core::{ConfigError, Result, parse};
use ansatz_data::LoaderConfig;
use ansatz_run::Experiment;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use crate::average::AverageConfig;
use crate::fake_quantization::FakeQuantizationConfig;
use crate::gradual::GradualPruningConfig;
use crate::optimizer::OptimizerConfig;
use crate::sampling::{Batching, Sampling};
use crate::schedule::ScheduleConfig;
use crate::teacher::TeacherConfig;

/// How a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training part, at least 1.
    pub epochs: u64,
    /// Optimizer steps after which training ends even within an epoch; 0: no limit.
    pub max_steps: u64,
    /// Examples in a batch, at least 1. The last batch of an epoch may be smaller; no example is dropped.
    pub batch_size: usize,
    /// Which examples an epoch consists of: `"all"`, or `"balanced"`, of each class equally many.
    pub sampling: Sampling,
    /// Which of them make a batch: `"shuffled"`, whoever comes next, or `"by-length"`, those that are about as long.
    pub batches: Batching,
    /// Batches whose gradients are added up before each optimizer step, at least 1: a step then sees
    /// `batch_size × accumulation` examples, in the memory of `batch_size`. A step ends with the epoch.
    pub accumulation: usize,
    /// The largest norm of all gradients together; longer ones are shortened to it. 0: no limit.
    /// Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
    pub clip_norm: f64,
    /// Optimizer steps between two lines in the log, at least 1. The loss is read from the device, and
    /// found to be finite, this often.
    pub log_every: u64,
    /// Which weights are kept at the end. Without a validation part always the last.
    pub keep: Keep,
    /// How gradients become steps.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the steps.
    pub schedule: ScheduleConfig,
    /// The moving average of the weights.
    pub average: AverageConfig,
    /// When and how the validation part is judged.
    pub evaluation: EvaluationConfig,
    /// When training is given up.
    pub early_stopping: EarlyStoppingConfig,
    /// What a stopped run goes on from.
    pub checkpoint: CheckpointConfig,
    /// How batches are prepared.
    pub loading: LoadingConfig,
    /// The run that is imitated besides. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherConfig>,
    /// How the weights are seen rounded, as quantizing will leave them, while their floats learn. Left out: as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fake_quantization: Option<FakeQuantizationConfig>,
    /// How weights are left out while training goes on. Left out: none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<GradualPruningConfig>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            max_steps: 0,
            batch_size: 128,
            sampling: Sampling::default(),
            batches: Batching::default(),
            accumulation: 1,
            clip_norm: 0.0,
            log_every: 20,
            keep: Keep::Best,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            average: AverageConfig::default(),
            evaluation: EvaluationConfig::default(),
            early_stopping: EarlyStoppingConfig::default(),
            checkpoint: CheckpointConfig::default(),
            loading: LoadingConfig::default(),
            teacher: None,
            fake_quantization: None,
            prune: None,
        }
    }
}

/// Which weights are kept at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Keep {
    /// Those with the best scores on the validation part.
    Best,
    /// Those of the last step.
    Last,
}

/// When and how the validation part is judged. It is always judged behind the last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct EvaluationConfig {
    /// Examples in a batch, at least 1. Changes memory and speed only.
    pub batch_size: usize,
    /// Epochs between two evaluations; 0: none at the end of epochs.
    pub every_epochs: u64,
    /// Optimizer steps between two evaluations; 0: none within epochs.
    pub every_steps: u64,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { batch_size: 256, every_epochs: 1, every_steps: 0 }
    }
}

/// When training is given up. Prechelt, "Early stopping — but when?", 1998.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct EarlyStoppingConfig {
    /// Evaluations in a row without a better score after which training ends; 0: it never ends early.
    pub patience: u64,
}

/// What a stopped run goes on from. With `keep = "best"` the best evaluation's is written besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct CheckpointConfig {
    /// Epochs between two checkpoints; 0: none at the end of epochs.
    pub every_epochs: u64,
    /// Optimizer steps between two checkpoints; 0: none within epochs.
    pub every_steps: u64,
    /// How many of the newest checkpoints are kept, at least 1; the best is kept besides.
    pub keep_last: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every_epochs: 1, every_steps: 0, keep_last: 2 }
    }
}

/// How batches are prepared. Changes speed and memory, never a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct LoadingConfig {
    /// Threads that prepare batches; 0: the training thread does it.
    pub workers: usize,
    /// Batches that may lie ready, over all threads.
    pub prefetch: usize,
}

impl Default for LoadingConfig {
    fn default() -> Self {
        Self { workers: 1, prefetch: 4 }
    }
}

impl TrainConfig {
    /// Reads and checks `[train]` of an experiment.
    ///
    /// # Errors
    /// With the dotted path, `train.…`, of the key at fault.
    pub fn from_experiment(experiment: &Experiment) -> Result<Self, ConfigError> {
        let read = || {
            let config = Self::from_table(&experiment.train)?;
            config.check()?;
            Ok(config)
        };
        read().map_err(|error: ConfigError| error.under("train"))
    }

    /// Reads the choices first: seen alone, their errors name the key itself.
    fn from_table(table: &toml::Table) -> Result<Self, ConfigError> {
        if let Some(toml::Value::Table(optimizer)) = table.get("optimizer") {
            OptimizerConfig::from_table(optimizer.clone()).map_err(|error| error.under("optimizer"))?;
        }
        if let Some(toml::Value::Table(schedule)) = table.get("schedule") {
            ScheduleConfig::from_table(schedule.clone()).map_err(|error| error.under("schedule"))?;
        }
        parse(table.clone())
    }

    /// Every value, as it would stand in a config file.
    ///
    /// # Errors
    /// When a number is too large for TOML.
    pub fn settings(&self) -> Result<toml::Table, ConfigError> {
        toml::Table::try_from(self).map_err(|error| ConfigError::Syntax(error.to_string()))
    }

    /// How batches of `batch_size` examples are loaded.
    pub(crate) fn loader(&self, batch_size: usize) -> LoaderConfig {
        let LoadingConfig { workers, prefetch } = self.loading;
        LoaderConfig {
            batch_size: NonZeroUsize::new(batch_size).unwrap_or(NonZeroUsize::MIN),
            workers,
            prefetch,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("accumulation", self.accumulation)?;
        at_least_one("log_every", self.log_every)?;
        at_least_one("evaluation.batch_size", self.evaluation.batch_size)?;
        at_least_one("checkpoint.keep_last", self.checkpoint.keep_last)?;
        require("clip_norm", self.clip_norm, self.clip_norm >= 0.0, "a norm above 0, or 0 for no limit")?;
        self.optimizer.check().map_err(|error| error.under("optimizer"))?;
        self.schedule.check().map_err(|error| error.under("schedule"))?;
        self.average.check().map_err(|error| error.under("average"))?;
        if let Some(teacher) = &self.teacher {
            teacher.check().map_err(|error| error.under("teacher"))?;
        }
        if let Some(rounding) = &self.fake_quantization {
            rounding.check().map_err(|error| error.under("fake_quantization"))?;
        }
        match &self.prune {
            Some(prune) => prune.check().map_err(|error| error.under("prune")),
            None => Ok(()),
        }
    }
}

fn at_least_one<N: Into<Count>>(path: &str, number: N) -> Result<(), ConfigError> {
    match number.into() {
        Count(0) => Err(ConfigError::value(path, "0 is too little", "a whole number, at least 1")),
        Count(_) => Ok(()),
    }
}

/// A whole number of either width.
struct Count(u64);

impl From<u64> for Count {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<usize> for Count {
    fn from(number: usize) -> Self {
        Self(number as u64)
    }
}

/// Refuses a number unless it is finite and `holds`.
pub(crate) fn require(path: &str, given: f64, holds: bool, expected: &str) -> Result<(), ConfigError> {
    if given.is_finite() && holds {
        return Ok(());
    }
    Err(ConfigError::value(path, format!("{given} is out of range"), expected))
}

/// Fills in every setting of `[train]` that was left to its default.
///
/// # Errors
/// Like [`TrainConfig::from_experiment`].
pub fn complete(experiment: &mut Experiment) -> Result<(), ConfigError> {
    experiment.train = TrainConfig::from_experiment(experiment)?.settings()?;
    Ok(())
}

/// The JSON Schema of `[train]`, complete in itself, to stand under `$defs/train`.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<TrainConfig>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Choice;
    use proptest::prelude::*;

    fn experiment(train: &str) -> Experiment {
        Experiment {
            title: String::new(),
            seed: 0,
            data: Choice::of("image"),
            backbone: Choice::of("stack"),
            task: Choice::of("classify"),
            init: None,
            train: train.parse().unwrap(),
        }
    }

    fn error(train: &str) -> String {
        TrainConfig::from_experiment(&experiment(train)).unwrap_err().to_string()
    }

    #[test]
    fn every_default_is_rendered_and_read_back() {
        let mut experiment = experiment("epochs = 3\n[optimizer]\nlearning_rate = 1");
        complete(&mut experiment).unwrap();
        let train = &experiment.train;
        assert_eq!(train["optimizer"]["kind"].as_str(), Some("adamw"));
        assert_eq!(train["optimizer"]["learning_rate"].as_float(), Some(1.0));
        assert_eq!(train["schedule"]["kind"].as_str(), Some("cosine"));
        assert_eq!(train["checkpoint"]["keep_last"].as_integer(), Some(2));
        let expected = TrainConfig {
            epochs: 3,
            optimizer: OptimizerConfig::AdamW(crate::AdamW { learning_rate: 1.0, ..Default::default() }),
            ..TrainConfig::default()
        };
        assert_eq!(TrainConfig::from_experiment(&experiment).unwrap(), expected);
        let once = experiment.train.clone();
        complete(&mut experiment).unwrap();
        assert_eq!(experiment.train, once);
    }

    #[test]
    fn errors_name_the_whole_path_and_the_nearest_key() {
        for (train, path, hint) in [
            ("epoch = 3", "`train.epoch`", "did you mean `epochs`"),
            ("optimiser = {}", "`train.optimiser`", "did you mean `optimizer`"),
            ("[optimizer]\nlearnin_rate = 1", "`train.optimizer.learnin_rate`", "`learning_rate`"),
            ("[optimizer]\nkind = \"adam\"", "`train.optimizer.kind`", "did you mean `adamw`"),
            ("[schedule]\nkind = \"cosin\"", "`train.schedule.kind`", "did you mean `cosine`"),
            ("[optimizer]\nlearning_rate = \"x\"", "`train.optimizer.learning_rate`", "invalid type"),
            ("[checkpoint]\nkeep = 3", "`train.checkpoint.keep`", "keep_last"),
        ] {
            let error = error(train);
            assert!(error.contains(path) && error.contains(hint), "{train}: {error}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (train, path) in [
            ("epochs = 0", "train.epochs"),
            ("batch_size = 0", "train.batch_size"),
            ("accumulation = 0", "train.accumulation"),
            ("log_every = 0", "train.log_every"),
            ("clip_norm = -1", "train.clip_norm"),
            ("clip_norm = nan", "train.clip_norm"),
            ("average.decay = 1", "train.average.decay"),
            ("fake_quantization.bits = 1", "train.fake_quantization.bits"),
            ("fake_quantization.scales.group.size = 0", "train.fake_quantization.scales.group.size"),
            ("evaluation.batch_size = 0", "train.evaluation.batch_size"),
            ("checkpoint.keep_last = 0", "train.checkpoint.keep_last"),
            ("optimizer.learning_rate = 0", "train.optimizer.learning_rate"),
            ("optimizer.betas = [0.9, 1.0]", "train.optimizer.betas.1"),
            ("optimizer = { kind = \"sgd\", momentum = 0 }", "train.optimizer.nesterov"),
            ("optimizer = { kind = \"muon\", momentum = 1 }", "train.optimizer.momentum"),
            ("schedule.warmup = 1", "train.schedule.warmup"),
            ("teacher = { temperature = 2 }", "train.teacher.run"),
            ("teacher = { run = \"a\", temperature = 0 }", "train.teacher.temperature"),
            ("teacher = { run = \"a\", share = 0 }", "train.teacher.share"),
            ("teacher = { run = \"a\", share = 1.5 }", "train.teacher.share"),
            ("teacher = { run = \"a\", outputs = -1 }", "train.teacher.outputs"),
            ("teacher = { run = \"a\", outputs = 0 }", "train.teacher.outputs"),
            ("teacher = { run = \"a\", hidden = { weight = 0 } }", "train.teacher.hidden.weight"),
            ("teacher = { run = \"a\", influence = { weight = inf } }", "train.teacher.influence.weight"),
            ("prune = { ratio = 1 }", "train.prune.ratio"),
            ("prune = { ratio = 0.5, initial = 0.5 }", "train.prune.initial"),
            ("prune = { until = 1.5 }", "train.prune.until"),
            ("prune = { from = 0.7, until = 0.7 }", "train.prune.from"),
            ("prune = { every = 0 }", "train.prune.every"),
            ("schedule = { kind = \"one-cycle\", rise = 0 }", "train.schedule.rise"),
            ("schedule = { kind = \"plateau\", factor = 1 }", "train.schedule.factor"),
            (
                "schedule = { kind = \"warmup-stable-decay\", warmup = 0.5, decay = 0.6 }",
                "train.schedule.decay",
            ),
        ] {
            let error = error(train);
            assert!(error.contains(&format!("`{path}`")), "{train}: {error}");
        }
    }

    #[test]
    fn the_schema_knows_every_key_and_refers_to_nothing() {
        let schema = schema();
        let settings = TrainConfig::default().settings().unwrap();
        for key in settings.keys() {
            let description = &schema["properties"][key]["description"];
            assert!(description.is_string(), "{key}: {schema:#}");
        }
        let text = schema.to_string();
        assert!(!text.contains("$ref") && !text.contains("$defs"), "{schema:#}");
        let kinds: Vec<&str> = schema["properties"]["optimizer"]["anyOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|option| option["properties"]["kind"]["const"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["adamw", "sgd", "lion", "muon"]);
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(key in "[a-z_]{1,12}", inner in "[a-z_]{1,12}", value in -9.0..9.0_f64) {
            let _ = TrainConfig::from_experiment(&experiment(&format!("{key} = {value}")));
            for table in ["optimizer", "schedule", "average"] {
                let _ = TrainConfig::from_experiment(&experiment(&format!("[{table}]\n{inner} = {value}")));
            }
        }
    }
}
