//! The typed config of the data model.

use std::path::Path;

use ansatz_core::{
    Component, ConfigError, DataModel, Encoder, Modality, OpenData, Places, Proposal, Registry,
};
use ansatz_data::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::encoder::ImageEncoder;
use crate::masking::Masking;
use crate::open::OpenPictures;
use crate::preparation::{Normalise, Preparation};
use crate::recognise::recognise;
use crate::source::Source;
use crate::stem::StemConfig;

/// Pictures with a class each, or of which some patches are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// Where the pictures come from.
    pub source: Source,
    /// What is taken off the training part, class by class, for validation: `{ fraction = 0.1 }` or
    /// `{ count = 5000 }`; `{ count = 0 }` trains on all.
    pub validation: Share,
    /// Seed of that choice; independent of the run's seed.
    pub validation_seed: u64,
    /// What of the rest is learned from, class by class: for trying how few examples are enough. Left out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Share>,
    /// How values are brought to a common scale.
    pub normalise: Normalise,
    /// How training pictures are varied.
    pub augment: Augment,
    /// How a picture becomes tokens.
    pub stem: StemConfig,
    /// Patches that are hidden, for the task `masked-patches`: classes are not looked at, and a folder need have none.
    /// Left out: the class of each picture is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
    /// Whether a picture is judged together with its mirror image: the network's outputs for both are averaged, at
    /// twice the cost. Training stays as it is.
    pub mirror: bool,
    /// Whether PNG and JPEG files are inverted when read, for dark on light where the network knows
    /// light on dark.
    pub invert: bool,
    /// Brightness in 0–1 behind transparent pixels of files and beside those of other proportions. Unset:
    /// 0 (black) for MNIST, Fashion-MNIST and the digits, 1 (white) for folders.
    pub background: Option<f64>,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            source: Source::default(),
            validation: Share::Fraction(0.1),
            validation_seed: 0,
            train: None,
            normalise: Normalise::default(),
            augment: Augment::default(),
            stem: StemConfig::default(),
            masking: None,
            mirror: false,
            invert: false,
            background: None,
        }
    }
}

impl ImageConfig {
    /// The background that applies.
    pub fn background(&self) -> f64 {
        self.background.unwrap_or_else(|| self.source.background())
    }

    /// [`DataModel::open`] with the concrete type.
    ///
    /// # Errors
    /// As there.
    pub fn open_pictures(&self, places: &Places) -> ansatz_core::Result<OpenPictures> {
        OpenPictures::open(self, places)
    }
}

impl Component for ImageConfig {
    const KIND: &'static str = "image";
    const ABOUT: &'static str =
        "Pictures with a class each: digits, mnist, fashion-mnist, folders of files, idx files.";
    const CITATION: &'static str = "";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        self.source.check()?;
        self.normalise.check()?;
        self.stem.check()?;
        self.augment.check().map_err(|error| error.under("augment"))?;
        self.validation.check("validation.fraction")?;
        self.train.unwrap_or(Share::Count(1)).check("train.fraction")?;
        if let Some(masking) = &self.masking {
            masking.check().map_err(|error| error.under("masking"))?;
            if self.mirror {
                let problem = "what is hidden on one side would be told on the other";
                return Err(ConfigError::value("mirror", problem, "false beside data.masking"));
            }
        }
        match self.background {
            Some(value) if !(0.0..=1.0).contains(&value) => {
                Err(ConfigError::value("background", format!("{value}"), "0 to 1"))
            }
            _ => Ok(()),
        }
    }
}

impl DataModel for ImageConfig {
    fn open(&self, places: &Places) -> ansatz_core::Result<Box<dyn OpenData>> {
        Ok(Box::new(self.open_pictures(places)?))
    }

    fn restore(&self, preparation: &ansatz_core::Preparation) -> ansatz_core::Result<Box<dyn Encoder>> {
        Ok(Box::new(ImageEncoder::new(Preparation::from_json(preparation)?, self)))
    }

    fn recognise(&self, path: &Path) -> ansatz_core::Result<Option<Proposal>> {
        recognise(path)
    }

    fn modality(&self) -> Option<&dyn Modality> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ImageConfig, ConfigError> {
        let mut config: ImageConfig = ansatz_core::parse(text.parse().expect("TOML"))?;
        config.complete(&Registry::default())?;
        Ok(config)
    }

    /// MNIST as the peers trained on it: whole-pixel shift of up to 2, rotation of up to 10°, all 60,000.
    const MNIST: &str = "
        source = 'mnist'
        validation = { count = 0 }
        normalise = { given = { mean = [0.1307], deviation = [0.3081] } }
        augment = { shift = 2, rotate = 10.0 }
    ";

    /// Fashion-MNIST likewise: flip, crop from a padding of 2, a square of 8×8 in half of the pictures.
    const FASHION: &str = "
        source = 'fashion-mnist'
        validation = { count = 0 }
        normalise = { given = { mean = [0.2860], deviation = [0.3530] } }
        augment = { flip = 0.5, crop = 2, erase = { probability = 0.5, size = 8 } }
    ";

    #[test]
    fn the_published_recipes_can_be_written() {
        assert_eq!(read(MNIST).unwrap().augment.rotate, 10.0);
        assert_eq!(read(FASHION).unwrap().augment.erase.size, 8);
        let folder =
            read("source = { folder = { path = 'pets', channels = 1 } }\nstem = { patches = { size = 8 } }");
        assert_eq!(folder.unwrap().background(), 1.0);
    }

    #[test]
    fn every_value_survives_being_written_out() {
        for text in [MNIST, FASHION, ""] {
            let config = read(text).unwrap();
            let written = toml::to_string(&config).unwrap();
            assert_eq!(read(&written).unwrap(), config);
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert!(
            message("augment = { erase = { probability = 1.5 } }")
                .starts_with("config: `augment.erase.probability`: 1.5\n  expected: 0 to 1\n")
        );
        assert!(message("augment = { flop = 0.5 }").contains("did you mean `flip`?"));
        assert!(message("source = { folder = {} }").contains("`source.folder.path`: no folder is named"));
        assert!(message("normalise = { given = { mean = [0.5], deviation = [0.0] } }").contains("above 0"));
        assert!(message("train = { fraction = 1.0 }").contains("`train.fraction`"));
        assert!(message("masking = { share = 1.0 }").contains("`masking.share`"));
        assert!(message("masking = { size = 0 }").contains("`masking.size`"));
        assert!(message("masking = {}\nmirror = true").contains("`mirror`"));
        assert!(message("stem = { patches = { size = 0 } }").contains("`stem.patches.size`"));
    }
}
