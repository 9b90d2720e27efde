//! The typed config of forecasting.

use ansatz_core::{
    BoxedHead, Component, ConfigError, Error, FeatureSpec, Registry, Result, Scorer, Target, TaskConfig,
};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ForecastHead, ForecastLoss, ForecastScorer};

/// The next steps of a series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForecastConfig {
    /// How tokens become a forecast.
    pub projection: Projection,
    /// What is learned from: `"mse"`, `"mae"`, or `{ quantiles = [0.1, 0.5, 0.9] }`.
    pub loss: ForecastLoss,
    /// Probability with which each value before the last map is dropped while training, 0 up to but not
    /// including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

/// How tokens become a forecast. Where channels pass the network apart, or are the rows of a picture, each
/// channel's tokens become its forecast by one map for all; otherwise the tokens become that of all channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// All tokens one behind the other, mapped linearly.
    #[default]
    Flatten,
    /// Their mean, mapped linearly.
    Mean,
    /// The largest of each value, mapped linearly.
    Max,
    /// The first token, mapped linearly.
    First,
    /// The last token, mapped linearly: in a causal network it has seen all others.
    Last,
    /// Each token is a channel, as the stem `channels` makes them, and is mapped to its forecast; tokens
    /// behind the channels are left out.
    Channels,
    /// No map: each token is a step of the forecast, each of its values a channel.
    None,
}

impl Component for ForecastConfig {
    const KIND: &'static str = "forecast";
    const ABOUT: &'static str = "the next steps of a series, by squared or absolute error or by quantiles";
    const CITATION: &'static str = "quantiles: Koenker and Bassett, Regression Quantiles, 1978; flattened tokens: Nie \
        et al., PatchTST, 2023, arXiv:2211.14730";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("a probability of {}", self.dropout);
            return Err(ConfigError::value("dropout", problem, "0 up to but not including 1"));
        }
        self.loss.check().map_err(|error| error.under("loss"))
    }
}

/// The channels and the horizon of a target, and whether channels are apart.
fn series(target: &Target) -> Result<(&[String], usize, bool)> {
    match target {
        Target::Series { channels, horizon, apart, .. } if !channels.is_empty() && *horizon > 0 => {
            Ok((channels, *horizon, *apart))
        }
        Target::HiddenValues(_) => Err(Error::input(
            "the labels of the data",
            "they are values that are hidden",
            "the steps that follow a window",
            "leave data.masking out, or choose the task `masked-patches`",
        )),
        _ => Err(Error::input(
            "the labels of the data",
            "they are no steps of a series",
            "a series, whose next steps are foretold",
            "choose the data model `series`, or the task `classify`",
        )),
    }
}

impl TaskConfig for ForecastConfig {
    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead> {
        self.clone().complete(&Registry::default())?;
        let (channels, horizon, apart) = series(target)?;
        Ok(BoxedHead::new(ForecastHead::new(self, features, [channels.len(), horizon], apart, device)?))
    }

    fn quantiles(&self) -> &[f64] {
        self.loss.quantiles()
    }

    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>> {
        let (channels, horizon, _) = series(target)?;
        let naive = match target {
            Target::Series { naive, .. } => &naive[..],
            _ => &[],
        };
        Ok(Box::new(ForecastScorer::new(channels.to_vec(), horizon, self.loss.clone()).with_naive(naive)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<ForecastConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        read.and_then(|mut config| config.complete(&Registry::default())).unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert!(message("dropout = 1.0").contains("`dropout`"));
        assert!(message("loss = { quantiles = [] }").contains("`loss.quantiles`"));
        assert!(message("loss = { quantiles = [0.5, 0.5] }").contains("`loss.quantiles[1]`"));
        assert!(message("loss = { quantiles = [0.0] }").contains("`loss.quantiles[0]`"));
        assert!(message("loss = 'msee'").contains("msee"));
        assert!(message("projection = 'flat'").contains("flatten"));
    }

    #[test]
    fn data_that_is_no_series_is_refused() {
        let target = Target::Classes { names: vec!["a".to_owned()] };
        assert!(ForecastConfig::default().scorer(&target).is_err());
        let channels = vec!["a".to_owned()];
        let target = Target::Series { channels, horizon: 2, apart: false, naive: Vec::new() };
        assert!(ForecastConfig::default().scorer(&target).is_ok());
        assert!(crate::ClassifyConfig::default().scorer(&target).is_err());
        assert!(crate::LanguageModelConfig::default().scorer(&target).is_err());
    }
}
