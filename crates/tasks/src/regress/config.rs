//! The typed config of regression.

use ansatz_core::{
    BoxedHead, Component, ConfigError, Error, FeatureSpec, Registry, Result, Scorer, Target, TaskConfig,
};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RegressHead, RegressLoss, RegressScorer};
use crate::Pool;

/// A number per example, in its own unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegressConfig {
    /// How the tokens of an example become one.
    pub pool: Pool,
    /// The norm of the token that was made, in front of the linear map. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<NormConfig>,
    /// What is learned from: `"mse"` or `"mae"`.
    pub loss: RegressLoss,
}

impl Default for RegressConfig {
    fn default() -> Self {
        Self { pool: Pool::Mean, norm: None, loss: RegressLoss::default() }
    }
}

impl Component for RegressConfig {
    const KIND: &'static str = "regress";
    const ABOUT: &'static str = "a number per example, by squared or absolute error, in its own unit";
    const CITATION: &'static str = "";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        match self.norm.map(|norm| norm.check()) {
            Some(Err((key, problem, expected))) => {
                Err(ConfigError::value(format!("norm.{key}"), problem, expected))
            }
            _ => Ok(()),
        }
    }
}

/// The name, the mean and the deviation of the number.
fn number(target: &Target) -> Result<(&str, [f64; 2])> {
    match target {
        Target::Number { name, mean, deviation } if mean.is_finite() && *deviation > 0.0 => {
            Ok((name, [*mean, *deviation]))
        }
        _ => Err(Error::input(
            "the labels of the data",
            "they are no numbers",
            "a number per example",
            "choose the task `classify`, or a data model with target = { number = … }",
        )),
    }
}

impl TaskConfig for RegressConfig {
    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead> {
        self.clone().complete(&Registry::default())?;
        number(target)?;
        Ok(BoxedHead::new(RegressHead::new(self, features.width, device)))
    }

    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>> {
        let (name, scale) = number(target)?;
        Ok(Box::new(RegressScorer::new(name, scale, self.loss)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassifyConfig, ForecastConfig, LanguageModelConfig};

    #[test]
    fn numbers_are_asked_of_regression_alone() {
        let number = Target::Number { name: "age".to_owned(), mean: 3.0, deviation: 2.0 };
        assert!(RegressConfig::default().scorer(&number).is_ok());
        let tasks: [&dyn TaskConfig; 3] =
            [&ClassifyConfig::default(), &ForecastConfig::default(), &LanguageModelConfig::default()];
        for task in tasks {
            assert!(task.scorer(&number).is_err(), "{task:?}");
        }
        let flat = Target::Number { name: "age".to_owned(), mean: 3.0, deviation: 0.0 };
        for target in [flat, Target::Classes { names: vec!["a".to_owned()] }] {
            let said = RegressConfig::default().scorer(&target).err().expect("refused").to_string();
            assert!(said.contains("they are no numbers"), "{said}");
        }
    }
}
