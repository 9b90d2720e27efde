//! Mixing the pictures and labels of a batch: mixup (Zhang, Cissé, Dauphin & Lopez-Paz 2018, "mixup:
//! beyond empirical risk minimization") and cutmix (Yun et al. 2019, "CutMix: regularization strategy to
//! train strong classifiers with localizable features").

use ansatz_core::{ConfigError, Targets};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::in_range;
use crate::pictures::PictureSize;

/// Mixing the pictures and labels of a batch. Where both kinds are on, each batch draws one of them.
///
/// Labels become distributions over classes, weighted as the pictures are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// α of mixup, 0–10: the weight of the first picture is drawn from Beta(α, α). 0 turns it off.
    pub mixup: f64,
    /// α of cutmix, 0–10: the share of the first picture that stays is drawn from Beta(α, α), the rest is
    /// a rectangle of the second. 0 turns it off.
    pub cutmix: f64,
}

/// How the pictures of one batch are mixed.
#[derive(Debug, Clone, PartialEq)]
pub enum Mixture {
    /// `weight · first + (1 − weight) · second`.
    Blend {
        /// The second picture of each.
        partners: Vec<usize>,
        /// In 0–1.
        weight: f32,
    },
    /// A rectangle of the second picture in the first.
    Paste {
        /// The second picture of each.
        partners: Vec<usize>,
        /// Rows of the rectangle.
        rows: std::ops::Range<usize>,
        /// Columns of the rectangle.
        columns: std::ops::Range<usize>,
        /// The share of the first picture that is left.
        weight: f32,
    },
}

impl Mix {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        in_range("mixup", self.mixup, 0.0, 10.0)?;
        in_range("cutmix", self.cutmix, 0.0, 10.0)
    }

    /// Draws how a batch is mixed; nothing where both kinds are off.
    pub fn draw(&self, examples: usize, size: PictureSize, random: &mut ChaCha8Rng) -> Option<Mixture> {
        let paste = match (self.mixup > 0.0, self.cutmix > 0.0) {
            (false, false) => return None,
            (true, true) => random.random_bool(0.5),
            (_, paste) => paste,
        };
        let alpha = if paste { self.cutmix } else { self.mixup };
        // In range by `check`, so the distribution exists.
        let weight = Beta::new(alpha, alpha).map_or(1.0, |beta| beta.sample(random));
        let mut partners: Vec<usize> = (0..examples).collect();
        partners.shuffle(random);
        if !paste {
            return Some(Mixture::Blend { partners, weight: weight as f32 });
        }
        let side = (1.0 - weight).sqrt();
        let mut span = |length: usize| {
            let half = (side * length as f64 / 2.0).round() as usize;
            let centre = random.random_range(0..length);
            centre.saturating_sub(half)..(centre + half).min(length)
        };
        let (rows, columns) = (span(size.height), span(size.width));
        let replaced = (rows.len() * columns.len()) as f32 / (size.height * size.width) as f32;
        Some(Mixture::Paste { partners, rows, columns, weight: 1.0 - replaced })
    }
}

impl Mixture {
    /// Mixes pictures `[examples, height, width, channels]` in place and gives the labels of the mixtures.
    pub fn apply(
        &self,
        pictures: &mut [f32],
        size: PictureSize,
        labels: &[usize],
        classes: usize,
    ) -> Targets {
        let given = pictures.to_vec();
        let (Self::Blend { partners, weight } | Self::Paste { partners, weight, .. }) = self;
        let seconds = partners.iter().map(|&partner| &given[partner * size.values()..][..size.values()]);
        for (picture, second) in pictures.chunks_exact_mut(size.values()).zip(seconds) {
            match self {
                Self::Blend { weight, .. } => {
                    for (value, other) in picture.iter_mut().zip(second) {
                        *value = weight * *value + (1.0 - weight) * other;
                    }
                }
                Self::Paste { rows, columns, .. } => {
                    for row in rows.clone() {
                        let from = (row * size.width + columns.start) * size.channels;
                        let piece = from..from + columns.len() * size.channels;
                        picture[piece.clone()].copy_from_slice(&second[piece]);
                    }
                }
            }
        }
        let mut values = vec![0.0; labels.len() * classes];
        for ((row, &label), &partner) in values.chunks_exact_mut(classes).zip(labels).zip(partners) {
            row[label] += weight;
            row[labels[partner]] += 1.0 - weight;
        }
        Targets::Distribution { classes, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_data::{Purpose, stream};

    const SIZE: PictureSize = PictureSize { height: 2, width: 2, channels: 1 };

    #[test]
    fn blending_weighs_pictures_and_labels_alike() {
        let mut pictures = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let mixture = Mixture::Blend { partners: vec![1, 0], weight: 0.75 };
        let targets = mixture.apply(&mut pictures, SIZE, &[0, 1], 3);
        assert_eq!(pictures, [0.25, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 0.75]);
        let values = vec![0.75, 0.25, 0.0, 0.25, 0.75, 0.0];
        assert_eq!(targets, Targets::Distribution { classes: 3, values });
    }

    #[test]
    fn pasting_replaces_a_rectangle() {
        let mut pictures = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let mixture = Mixture::Paste { partners: vec![1, 1], rows: 0..1, columns: 1..2, weight: 0.75 };
        let targets = mixture.apply(&mut pictures, SIZE, &[0, 1], 2);
        assert_eq!(pictures, [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(targets, Targets::Distribution { classes: 2, values: vec![0.75, 0.25, 0.0, 1.0] });
    }

    #[test]
    fn drawn_weights_match_the_area_and_labels_sum_to_one() {
        let size = PictureSize { height: 28, width: 28, channels: 1 };
        let mix = Mix { mixup: 0.2, cutmix: 1.0 };
        for index in 0..50 {
            let mixture = mix.draw(4, size, &mut stream(0, Purpose::Batch, 0, index)).unwrap();
            let mut pictures = vec![0.5; 4 * size.values()];
            let Targets::Distribution { values, .. } = mixture.apply(&mut pictures, size, &[0, 1, 2, 3], 4)
            else {
                panic!("mixing gives distributions")
            };
            for row in values.chunks(4) {
                assert!(
                    (row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row.iter().all(|&value| value >= 0.0)
                );
            }
        }
        assert_eq!(Mix::default().draw(4, size, &mut stream(0, Purpose::Batch, 0, 0)), None);
    }
}
