//! RandAugment (Cubuk, Zoph, Shlens & Le 2020, "RandAugment: practical automated data augmentation with
//! a reduced search space").

use ansatz_core::ConfigError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::{Affine, Warp, in_range, operations};
use crate::pictures::PictureSize;

/// Random operations chosen per picture from fourteen: identity, contrast stretching, histogram
/// equalizing, rotation, solarizing, posterizing, colour, contrast, brightness, sharpness, shear and
/// shift along either axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// Operations per picture (N in the paper); 0 turns it off.
    pub operations: usize,
    /// Strength of each (M in the paper), 0–30: at 30 a rotation by 30°, a shear of 0.3, a shift of 45 %
    /// of the picture, a change of colour by 90 %.
    pub magnitude: f64,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self { operations: 0, magnitude: 9.0 }
    }
}

const STRONGEST: f64 = 30.0;

impl RandAugment {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        in_range("magnitude", self.magnitude, 0.0, STRONGEST)
    }

    pub(super) fn apply(
        &self,
        picture: &mut [f32],
        size: PictureSize,
        fill: f32,
        random: &mut ChaCha8Rng,
        warp: &mut Warp,
    ) {
        let strength = (self.magnitude / STRONGEST) as f32;
        for _ in 0..self.operations {
            let number = random.random_range(0..14);
            let signed = if random.random_bool(0.5) { strength } else { -strength };
            let factor = 1.0 + 0.9 * signed;
            let mut warped = |affine: Affine| warp.apply(picture, size, &affine, fill);
            // The share of the picture that the widest shift covers: 150 of 331 pixels in the paper.
            let shift = |pixels: usize| (signed * 150.0 / 331.0 * pixels as f32).round();
            let slant = (0.3 * signed).atan();
            let none = Affine::IDENTITY;
            match number {
                0 => {}
                1 => operations::autocontrast(picture, size),
                2 => operations::equalize(picture, size),
                3 => warped(Affine { rotation: (30.0 * signed).to_radians(), ..none }),
                4 => operations::solarize(picture, 1.0 - strength),
                5 => operations::posterize(picture, 8 - (4.0 * strength).round() as u32),
                6 => operations::colour(picture, size, factor),
                7 => operations::contrast(picture, size, factor),
                8 => operations::brightness(picture, factor),
                9 => operations::sharpness(picture, size, factor),
                10 => warped(Affine { shear: [slant, 0.0], ..none }),
                11 => warped(Affine { shear: [0.0, slant], ..none }),
                12 => warped(Affine { shift: [0.0, shift(size.width)], ..none }),
                _ => warped(Affine { shift: [shift(size.height), 0.0], ..none }),
            }
        }
    }
}
