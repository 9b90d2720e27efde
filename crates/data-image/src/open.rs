//! A set of pictures, read and split.

use ansatz_core::{Batch, Encoder, Exhibit, OpenData, Part, Places, Result, Targets, Variation};
use ansatz_data::{Division, Purpose, hiding, stream};

use crate::augment::{Augment, Warp};
use crate::config::ImageConfig;
use crate::contact_sheet::{enlarge, to_png};
use crate::decode::Filter;
use crate::encoder::ImageEncoder;
use crate::masking::Masking;
use crate::pictures::Pictures;
use crate::preparation::Preparation;
use crate::source::Found;

/// A set of pictures, read and split.
pub struct OpenPictures {
    encoder: ImageEncoder,
    augment: Augment,
    masking: Option<Masking>,
    /// What training and validation are parts of.
    train: Pictures,
    test: Pictures,
    parts: Division,
    damaged: Vec<String>,
}

/// Damaged files that are named one by one.
const NAMED: usize = 20;

impl OpenPictures {
    /// Reads the source, takes the validation part off the training part, and fits the normalisation on
    /// what is left of it.
    ///
    /// # Errors
    /// When the source is not there or not what it should be, or a split leaves nothing.
    pub fn open(config: &ImageConfig, places: &Places) -> Result<Self> {
        let background = config.background();
        let Found { classes, train, test, damaged } =
            config.source.read(places, background, config.invert, config.masking.is_none())?;
        let seed = config.validation_seed;
        let parts = Division::stratified(&train.labels, config.validation, seed)?;
        let parts = parts.keeping(config.train, &train.labels, seed)?;
        if let Some(masking) = &config.masking {
            masking.fits(train.size).map_err(|error| error.under("data"))?;
        }
        let normalisation = config.normalise.resolve(&train, &parts.kept)?;
        let preparation = Preparation {
            size: train.size,
            classes,
            normalisation,
            invert: config.invert,
            background,
            filter: Filter::default(),
        };
        let encoder = ImageEncoder::new(preparation, config);
        let (augment, masking) = (config.augment.clone(), config.masking.clone());
        Ok(Self { encoder, augment, masking, train, test, parts, damaged })
    }

    /// The pictures that a part lies in, and the place of one of its examples there.
    fn find(&self, part: Part, index: usize) -> (&Pictures, usize) {
        match part {
            Part::Train => (&self.train, self.parts.kept[index]),
            Part::Validation => (&self.train, self.parts.held_out[index]),
            Part::Test => (&self.test, index),
        }
    }

    /// The class of an example.
    ///
    /// # Panics
    /// If there is no such example.
    pub fn label(&self, part: Part, index: usize) -> usize {
        let (pictures, place) = self.find(part, index);
        pictures.labels[place]
    }
}

impl OpenData for OpenPictures {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        match part {
            Part::Train => self.parts.kept.len(),
            Part::Validation => self.parts.held_out.len(),
            Part::Test => self.test.len(),
        }
    }

    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let size = self.train.size;
        let mut values = vec![0.0; indices.len() * size.values()];
        let mut warp = Warp::default();
        for (picture, &index) in values.chunks_exact_mut(size.values()).zip(indices) {
            let (pictures, place) = self.find(part, index);
            pictures.write(place, picture)?;
            if let Some(Variation { seed, epoch }) = variation {
                let mut random = stream(seed, Purpose::Example, epoch, index as u64);
                self.augment.apply(picture, size, &mut random, &mut warp);
            }
        }
        let labels: Vec<usize> = indices.iter().map(|&index| self.label(part, index)).collect();
        // An example comes once in an epoch, or seldom again, so the first one tells the batches of an epoch apart.
        let mixture = variation.zip(indices.first()).and_then(|(Variation { seed, epoch }, &first)| {
            let mut random = stream(seed, Purpose::Batch, epoch, first as u64);
            self.augment.mix.draw(indices.len(), size, &mut random)
        });
        let classes = self.encoder.fitted().classes.len();
        let targets = match mixture {
            Some(mixture) => mixture.apply(&mut values, size, &labels, classes),
            None => Targets::Classes(labels),
        };
        Ok(match &self.masking {
            None => self.encoder.batch(values, targets),
            Some(masking) => {
                self.encoder.masked_batch(values, masking, |place| hiding(variation, indices[place]))
            }
        })
    }

    fn targets(&self, part: Part) -> Option<Targets> {
        let classes =
            || Targets::Classes((0..self.examples(part)).map(|index| self.label(part, index)).collect());
        self.masking.is_none().then(classes)
    }

    fn notes(&self) -> Vec<String> {
        let (damaged, all) = (self.damaged.len(), self.damaged.len() + self.train.len() + self.test.len());
        if damaged == 0 {
            return Vec::new();
        }
        let mut notes =
            vec![format!("{damaged} of {all} files cannot be read as pictures, and are left out:")];
        notes.extend(self.damaged.iter().take(NAMED).cloned());
        if damaged > NAMED {
            notes.push(format!("and {} more", damaged - NAMED));
        }
        notes
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let (pictures, place) = self.find(part, index);
        let scale = |byte: u8| (u32::from(byte) * 255 / u32::from(pictures.full_scale)) as u8;
        let bytes: Vec<u8> = pictures.bytes(place)?.iter().map(|&byte| scale(byte)).collect();
        to_png(&enlarge(&bytes, pictures.size)).map(Exhibit::Png)
    }
}
