//! The typed config of the data model.

use std::path::Path;

use ansatz_core::{
    Component, ConfigError, DataModel, Encoder, OpenData, Places, Preparation, Proposal, Registry, Result,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::masking::Masking;
use crate::parts::Window;
use crate::recognise::recognise;
use crate::{Calendar, InstanceNorm, OpenSeries, SeriesEncoder, Source, StemConfig};

/// Time series: windows of past steps, of which the next ones are foretold, or some that are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesConfig {
    /// Where the series comes from.
    pub source: Source,
    /// Past steps that are read, 1 up to 1048576.
    #[schemars(range(min = 1, max = 1048576))]
    pub length: usize,
    /// Steps that are foretold, 1 up to 1048576.
    #[schemars(range(min = 1, max = 1048576))]
    pub horizon: usize,
    /// The share of all steps, from the first on, that is for training: above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub train: f64,
    /// The share behind it that choices are made by, 0 up to 1; the rest is what the figures are reported on.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub validation: f64,
    /// Missing values between observed ones are put on a straight line where at most so many steps are
    /// missing. A longer gap is in no window.
    pub longest_gap: usize,
    /// What the calendar says of each step, for the network to read beside the values. Needs a source with
    /// times.
    pub calendar: Vec<Calendar>,
    /// What is taken off each channel of a window before the network reads it, and given back to the
    /// forecast.
    pub instance_norm: InstanceNorm,
    /// Steps of a season, 1 up to 1048576, such as 24 hours: the figure `mase` is the absolute error over that of
    /// foretelling the value of a season before on the training part.
    #[schemars(range(min = 1, max = 1048576))]
    pub season: usize,
    /// How a window becomes tokens.
    pub stem: StemConfig,
    /// Patches that are hidden, for the task `masked-patches`: nothing is foretold, and `horizon` and `season` say
    /// nothing. Left out: the next steps are foretold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
}

impl Default for SeriesConfig {
    fn default() -> Self {
        Self {
            source: Source::default(),
            length: 168,
            horizon: 24,
            train: 0.6,
            validation: 0.2,
            longest_gap: 6,
            calendar: Vec::new(),
            instance_norm: InstanceNorm::default(),
            season: 1,
            stem: StemConfig::default(),
            masking: None,
        }
    }
}

impl SeriesConfig {
    /// The sizes of a window. One of which patches are hidden is asked itself, and nothing behind it.
    pub(crate) fn window(&self) -> Window {
        match self.masking {
            Some(_) => Window { length: 0, horizon: self.length },
            None => Window { length: self.length, horizon: self.horizon },
        }
    }

    /// [`DataModel::open`] with the concrete type.
    ///
    /// # Errors
    /// As there.
    pub fn open_series(&self, places: &Places) -> Result<OpenSeries> {
        OpenSeries::open(self, places)
    }
}

impl Component for SeriesConfig {
    const KIND: &'static str = "series";
    const ABOUT: &'static str =
        "time series: past steps are read, the next ones foretold; CSV files, traffic, energy, electricity";
    const CITATION: &'static str = "parts by time, windows and scale: Zhou et al., Informer, 2021, arXiv:2012.07436; \
        instance norm: Kim et al., Reversible Instance Normalization, 2022, openreview.net/forum?id=cGDAkQo1C0p";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        self.source.check()?;
        for (name, steps) in [("length", self.length), ("horizon", self.horizon), ("season", self.season)] {
            if !(1..=1 << 20).contains(&steps) {
                return Err(ConfigError::value(name, format!("{steps} steps"), "1 up to 1048576"));
            }
        }
        if !(self.train > 0.0 && self.train <= 1.0) {
            return Err(ConfigError::value("train", format!("a share of {}", self.train), "above 0 up to 1"));
        }
        if !(self.validation >= 0.0 && self.train + self.validation <= 1.0 + 1e-9) {
            let problem = format!("a share of {} beside {} for training", self.validation, self.train);
            return Err(ConfigError::value("validation", problem, "0 or more, and no more than is left"));
        }
        if !self.calendar.is_empty() && !self.source.has_times() {
            let expected = "a source with times: name their column as data.source.file.time";
            return Err(ConfigError::value("calendar", "the source has no time stamps", expected));
        }
        if let Some(masking) = &self.masking {
            masking.check(Some(self.length)).map_err(|error| error.under("masking"))?;
        }
        self.stem.check(self.length, !self.calendar.is_empty())
    }
}

impl DataModel for SeriesConfig {
    fn open(&self, places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(self.open_series(places)?))
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(SeriesEncoder::restore(preparation, self)?))
    }

    fn recognise(&self, path: &Path) -> Result<Option<Proposal>> {
        recognise(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<SeriesConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        let checked = read.and_then(|mut config| config.complete(&Registry::default()));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (text, path) in [
            ("length = 0", "length"),
            ("horizon = 0", "horizon"),
            ("season = 0", "season"),
            ("train = 0.0", "train"),
            ("train = nan", "train"),
            ("validation = 0.5", "validation"),
            ("validation = -0.1", "validation"),
            ("source = { waves = 0 }", "source.waves"),
            ("source = { file = { path = 'a.csv', columns = ['t'], time = 't' } }", "source.file.columns"),
            ("source = { file = { path = 'a.csv' } }\ncalendar = ['hour-of-day']", "calendar"),
            ("calendar = ['hour-of-day']\nstem = { patches = {} }", "calendar"),
            ("masking = { length = 168 }", "masking.length"),
            ("masking = { share = 0.0 }", "masking.share"),
            ("stem = { patches = { length = 0 } }", "stem.patches.length"),
            ("stem = { patches = { stride = 0 } }", "stem.patches.stride"),
            ("stem = { patches = { length = 200 } }", "stem.patches.length"),
            ("stem = { patches = { layout = 'grid', class_token = true } }", "stem.patches.class_token"),
        ] {
            let said = message(text);
            assert!(said.contains(&format!("`{path}`")), "{text}: {said}");
        }
        assert!(message("lenght = 3").contains("did you mean `length`?"));
    }
}
