//! What preprocessing must know, kept with a run so that it can predict on its own.

use ansatz_core::{ConfigError, Error};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::{Decoder, Filter};
use crate::pictures::{PictureSize, Pictures};

/// How values in 0–1 are brought to a common scale.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// By mean and standard deviation of each channel over the training part.
    #[default]
    Fitted,
    /// By given figures: `{ given = { mean = [0.1307], deviation = [0.3081] } }`.
    Given(Normalisation),
    /// Not at all.
    None,
}

impl Normalise {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self::Given(given) = self else { return Ok(()) };
        if let Some(deviation) =
            given.deviation.iter().find(|&&deviation| !(deviation > 0.0 && deviation.is_finite()))
        {
            return Err(ConfigError::value(
                "normalise.given.deviation",
                format!("{deviation}"),
                "a number above 0",
            ));
        }
        if let Some(mean) = given.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(ConfigError::value("normalise.given.mean", format!("{mean}"), "a finite number"));
        }
        Ok(())
    }

    /// The figures for the pictures of a training part.
    pub(crate) fn resolve(&self, train: &Pictures, indices: &[usize]) -> ansatz_core::Result<Normalisation> {
        let channels = train.size.channels;
        match self {
            Self::Fitted => Normalisation::fit(train, indices),
            Self::None => Ok(Normalisation { mean: vec![0.0; channels], deviation: vec![1.0; channels] }),
            Self::Given(given) => {
                for (name, values) in [("mean", &given.mean), ("deviation", &given.deviation)] {
                    if values.len() != channels {
                        return Err(ConfigError::value(
                            format!("normalise.given.{name}"),
                            format!("{} values", values.len()),
                            format!("{channels}, one per channel of the pictures"),
                        )
                        .into());
                    }
                }
                Ok(given.clone())
            }
        }
    }
}

/// Mean and standard deviation of each channel, for values in 0–1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// Subtracted from each channel.
    pub mean: Vec<f64>,
    /// Divides each channel after that; above 0.
    pub deviation: Vec<f64>,
}

impl Normalisation {
    /// Population mean and deviation over some of the pictures. Where a channel never varies, its
    /// deviation is taken as 1.
    ///
    /// # Errors
    /// When a picture can no longer be read from its file.
    pub fn fit(pictures: &Pictures, indices: &[usize]) -> ansatz_core::Result<Self> {
        let channels = pictures.size.channels;
        // Bytes are summed as whole numbers, so the figures do not depend on the order of pictures.
        let mut sums = vec![(0_u64, 0_u64); channels];
        for &index in indices {
            for pixel in pictures.bytes(index)?.chunks_exact(channels) {
                for ((sum, squares), &byte) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(byte);
                    *squares += u64::from(byte) * u64::from(byte);
                }
            }
        }
        let count = (indices.len() * pictures.size.height * pictures.size.width).max(1) as f64;
        let full_scale = f64::from(pictures.full_scale);
        let mean_and_deviation = |(sum, squares): (u64, u64)| {
            let mean = sum as f64 / count;
            let variance = (squares as f64 / count - mean * mean).max(0.0);
            (mean / full_scale, if variance > 0.0 { variance.sqrt() / full_scale } else { 1.0 })
        };
        let (mean, deviation) = sums.into_iter().map(mean_and_deviation).unzip();
        Ok(Self { mean, deviation })
    }

    /// The byte of a normalised value of a channel, as it would be seen.
    pub fn to_byte(&self, value: f32, channel: usize) -> u8 {
        let brightness = f64::from(value) * self.deviation[channel] + self.mean[channel];
        (brightness.clamp(0.0, 1.0) * 255.0).round() as u8
    }

    /// Normalises values `[…, channels]` in place.
    pub fn apply(&self, values: &mut [f32]) {
        let channels = self.mean.len();
        for (channel, (&mean, &deviation)) in self.mean.iter().zip(&self.deviation).enumerate() {
            let (mean, deviation) = (mean as f32, deviation as f32);
            let of_channel = values.iter_mut().skip(channel).step_by(channels);
            of_channel.for_each(|value| *value = (*value - mean) / deviation);
        }
    }
}

/// What preprocessing must know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// The size of the pictures trained on.
    pub size: PictureSize,
    /// Class names in the order of their indices.
    pub classes: Vec<String>,
    /// The scale of the values.
    pub normalisation: Normalisation,
    /// Whether files are inverted.
    pub invert: bool,
    /// Brightness in 0–1 behind and beside pictures.
    pub background: f64,
    /// How files are brought to their size.
    #[serde(default)]
    pub filter: Filter,
}

impl Preparation {
    /// Reads what [`Preparation::to_json`] gave.
    ///
    /// # Errors
    /// When the value is that of another data model.
    pub fn from_json(value: &serde_json::Value) -> ansatz_core::Result<Self> {
        let read: Result<Self, _> = serde_json::from_value(value.clone());
        let problem = match read {
            Ok(read) if read.fits() => return Ok(read),
            Ok(_) => "sizes, channels and figures do not fit together".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(Error::input(
            "the stored preprocessing",
            problem,
            "what a run on pictures stores",
            "use the run folder as it was written, with the data model `image`",
        ))
    }

    /// What reads files as training did.
    pub fn decoder(&self) -> Decoder {
        let Self { size, background, invert, filter, .. } = *self;
        Decoder { size, background, invert, filter }
    }

    /// The whole as JSON.
    ///
    /// # Errors
    /// When a figure is not finite.
    pub fn to_json(&self) -> ansatz_core::Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|error| Error::Failed(format!("preprocessing: {error}")))
    }

    fn fits(&self) -> bool {
        let channels = self.size.channels;
        [1, 3].contains(&channels)
            && self.size.values() > 0
            && self.normalisation.mean.len() == channels
            && self.normalisation.deviation.len() == channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::Pixels;

    #[test]
    fn figures_are_those_of_the_given_pictures_alone() {
        let size = PictureSize { height: 1, width: 2, channels: 3 };
        let pixels = Pixels::Held(vec![0, 10, 255, 255, 10, 255, 99, 99, 99, 99, 99, 99]);
        let pictures = Pictures { size, full_scale: 255, pixels, labels: vec![0, 1] };
        let fitted = Normalisation::fit(&pictures, &[0]).unwrap();
        assert_eq!(fitted.mean, [0.5, 10.0 / 255.0, 1.0]);
        assert_eq!(fitted.deviation, [0.5, 1.0, 1.0]);
        let mut values = [0.0, 10.0 / 255.0, 1.0, 1.0, 10.0 / 255.0, 1.0];
        fitted.apply(&mut values);
        assert_eq!(values, [-1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        let bytes = [(-1.0, 0), (0.0, 0), (1.0, 0), (9.0, 0), (0.0, 1)];
        assert_eq!(bytes.map(|(value, channel)| fitted.to_byte(value, channel)), [0, 128, 255, 255, 10]);
    }

    #[test]
    fn json_of_another_kind_is_refused() {
        let message =
            Preparation::from_json(&serde_json::json!({ "vocabulary": 7 })).unwrap_err().to_string();
        assert!(message.starts_with("the stored preprocessing: unknown field `vocabulary`"), "{message}");
    }
}
