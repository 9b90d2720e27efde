//! A series, read and cut into windows.

use ansatz_core::{Batch, Encoder, Exhibit, OpenData, Part, Places, Result, Targets, Variation};
use ansatz_data::hiding;

use crate::encoder::Prepared;
use crate::naive::naive_errors;
use crate::parts::Parts;
use crate::series::Series;
use crate::source::Found;
use crate::{Scaling, SeriesConfig, SeriesEncoder};

/// A series, read and cut into windows; each window is an example.
pub struct OpenSeries {
    encoder: SeriesEncoder,
    series: Series,
    parts: Parts,
    config: SeriesConfig,
}

impl OpenSeries {
    /// Reads the source, cuts it by time, and fits the scale on the training part.
    ///
    /// # Errors
    /// When the source is not there or not what it should be, or a part has no window.
    pub fn open(config: &SeriesConfig, places: &Places) -> Result<Self> {
        let Found { series, time } = config.source.read(config.longest_gap, places)?;
        let parts = Parts::new(&series, config.window(), config.train, config.validation)?;
        let channels = series.channels.len();
        let training = parts.training_steps * channels;
        let scaling = Scaling::fit(&series.values[..training], &series.observed[..training], channels);
        let prepared = Prepared {
            channels: series.channels.clone(),
            naive: naive_errors(&series, parts.training_steps, config.season, &scaling),
            scaling,
            time,
            step: series.clock.map(|clock| clock.step),
        };
        Ok(Self { encoder: SeriesEncoder::new(prepared, config), series, parts, config: config.clone() })
    }

    /// The scale of each channel.
    pub fn scaling(&self) -> &Scaling {
        self.encoder.scaling()
    }
}

impl OpenData for OpenSeries {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        self.parts.of(part).len()
    }

    /// Windows are never varied, but in what of them is hidden.
    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let all = self.parts.of(part);
        let targets: Vec<usize> = indices.iter().map(|&index| all[index]).collect();
        if let Some(masking) = &self.config.masking {
            let random = |place: usize| hiding(variation, targets[place]);
            return Ok(self.encoder.masked_batch(&self.series, &targets, masking, random));
        }
        let (channels, horizon) = (self.series.channels.len(), self.config.horizon);
        let values =
            targets.iter().flat_map(|&target| self.encoder.scaled(&self.series, target, horizon)).collect();
        let observed: Vec<bool> = targets
            .iter()
            .flat_map(|&target| &self.series.observed[target * channels..(target + horizon) * channels])
            .copied()
            .collect();
        let observed = if observed.iter().all(|observed| *observed) { None } else { Some(observed) };
        Ok(Batch {
            examples: targets.len(),
            inputs: self.encoder.inputs(&self.series, &targets),
            targets: Targets::Series { values, observed },
        })
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let target = self.parts.of(part)[index];
        let name = |step: usize| self.series.name(step);
        if self.config.masking.is_some() {
            return Ok(Exhibit::Text(format!(
                "{} to {}",
                name(target),
                name(target + self.config.length - 1)
            )));
        }
        Ok(Exhibit::Text(format!(
            "{} to {} foretold, {} to {} read",
            name(target),
            name(target + self.config.horizon - 1),
            name(target - self.config.length),
            name(target - 1)
        )))
    }
}
