//! The typed config of the data model.

use std::path::Path;

use ansatz_core::{
    Component, ConfigError, DataModel, Encoder, OpenData, Places, Preparation, Proposal, Registry, Result,
};
use ansatz_data::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recognise::recognise;
use super::{KernelsConfig, LabelledSeriesEncoder, LabelledSeriesSource, OpenLabelledSeries, SeriesAugment};
use crate::{Masking, StemConfig};

/// Series with a class each, or of which some patches are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelledSeriesConfig {
    /// Where the series come from.
    pub source: LabelledSeriesSource,
    /// Steps that are read, 1 up to 1048576; what is longer is cut at its end. Left out: as many as the longest series
    /// of the training part has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub length: Option<usize>,
    /// What stands behind series that are shorter.
    pub padding: Padding,
    /// What brings the values of each channel to one scale.
    pub scale: SeriesScale,
    /// How training series are varied.
    pub augment: SeriesAugment,
    /// What is taken off for testing, class by class, where the source has no test part of its own.
    pub test: Share,
    /// What is taken off the rest, class by class, for choosing.
    pub validation: Share,
    /// Seed of these two; independent of the run's seed.
    pub split_seed: u64,
    /// How a series becomes tokens. Patches hold all channels (`layout = "together"`) or are a picture with a row for
    /// each (`layout = "grid"`).
    pub stem: StemConfig,
    /// Kernels that nobody trains, in the place of a stem: a series is then one token of their responses, and what is
    /// left to learn, by the backbone `mlp` perhaps, can be linear. Strong where examples are few. What a series lacks
    /// behind its end is read as zeros.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<KernelsConfig>,
    /// Patches that are hidden, for the task `masked-patches`: classes are not looked at, and a file need have none. Left
    /// out: the class of each series is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
}

/// What stands behind series that are shorter than the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Tokens that are masked: no mixer and no pooling sees them.
    #[default]
    Mask,
    /// Zeros, on the scale of the network, that are read as if they had been measured.
    Zeros,
}

/// What brings the values of each channel to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesScale {
    /// Mean and deviation over the training part.
    #[default]
    Training,
    /// Each series by its own mean and deviation: where it lies and how far it swings then tells nothing.
    Series,
    /// The values as they are.
    None,
}

impl Default for LabelledSeriesConfig {
    fn default() -> Self {
        Self {
            source: LabelledSeriesSource::default(),
            length: None,
            padding: Padding::default(),
            scale: SeriesScale::default(),
            augment: SeriesAugment::default(),
            test: Share::Fraction(0.2),
            validation: Share::Fraction(0.0),
            split_seed: 0,
            stem: StemConfig::default(),
            kernels: None,
            masking: None,
        }
    }
}

impl Component for LabelledSeriesConfig {
    const KIND: &'static str = "labelled-series";
    const ABOUT: &'static str = "series with a class each, of any length and number of channels: .ts files as UCR and UEA publish them";
    const CITATION: &'static str = "Dau et al., The UCR Time Series Archive, 2019, arXiv:1810.07758; Bagnall et al., \
        The UEA multivariate time series classification archive, 2018, arXiv:1811.00075";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        const LONGEST: usize = 1 << 20;
        let length = self.length.unwrap_or(LONGEST);
        if !(1..=LONGEST).contains(&length) {
            return Err(ConfigError::value("length", format!("{length} steps"), "1 up to 1048576"));
        }
        self.stem.check(length, false)?;
        self.test.check("test")?;
        self.validation.check("validation")?;
        if self.stem.is_apart() {
            let problem = "channels that are apart would each have a class of their own";
            return Err(ConfigError::value("stem.patches.layout", problem, "\"together\" or \"grid\""));
        }
        if let Some(kernels) = &self.kernels {
            kernels.check().map_err(|error| error.under("kernels"))?;
            if self.stem != StemConfig::default() {
                let problem = "kernels make the token of a series";
                return Err(ConfigError::value("stem", problem, "data.kernels or data.stem, not both"));
            }
        }
        if let Some(masking) = &self.masking {
            masking.check(self.length).map_err(|error| error.under("masking"))?;
            if self.kernels.is_some() {
                let problem = "nothing of kernels is trained, and their responses hide nothing";
                return Err(ConfigError::value("masking", problem, "data.masking or data.kernels, not both"));
            }
        }
        self.augment.check().map_err(|error| error.under("augment"))
    }
}

impl DataModel for LabelledSeriesConfig {
    fn open(&self, places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(OpenLabelledSeries::open(self, places)?))
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(LabelledSeriesEncoder::restore(preparation, self)?))
    }

    fn recognise(&self, path: &Path) -> Result<Option<Proposal>> {
        recognise(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<LabelledSeriesConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        let checked = read.and_then(|mut config| config.complete(&Registry::default()));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (text, path) in [
            ("length = 0", "length"),
            ("test = { fraction = 1.0 }", "test"),
            ("validation = { fraction = -0.1 }", "validation"),
            ("augment = { jitter = -1.0 }", "augment.jitter"),
            ("augment = { warp = 0.9 }", "augment.warp"),
            ("augment = { slice = 0.0 }", "augment.slice"),
            ("stem = { patches = { length = 4 } }", "stem.patches.layout"),
            ("kernels = {}", "kernels.mini_rocket"),
            ("kernels = { mini_rocket = { features = 83 } }", "kernels.mini_rocket.features"),
            ("kernels = { mini_rocket = { dilations = 0 } }", "kernels.mini_rocket.dilations"),
            ("kernels = { hydra = { groups = 3 } }", "kernels.hydra.groups"),
            ("kernels = { hydra = { kernels = 1 } }", "kernels.hydra.kernels"),
            ("kernels = { hydra = {} }\nstem = 'channels'", "stem"),
            ("masking = { length = 0 }", "masking.length"),
            ("length = 9\nmasking = { length = 9 }", "masking.length"),
            ("masking = {}\nkernels = { hydra = {} }", "masking"),
            ("stem = { patches = { stride = 0, layout = 'grid' } }", "stem.patches.stride"),
            ("length = 3\nstem = { patches = { length = 4, layout = 'grid' } }", "stem.patches.length"),
        ] {
            let said = message(text);
            assert!(said.contains(&format!("`{path}`")), "{text}: {said}");
        }
        assert!(message("lenght = 3").contains("did you mean `length`?"));
    }
}
