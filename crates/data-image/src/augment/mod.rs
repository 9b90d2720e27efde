//! Varying training pictures, so that a network sees no picture twice in the same form.
//!
//! Every draw follows from (seed, epoch, index of the example): see [`ansatz_data::random`].

mod affine;
mod erase;
mod mix;
mod operations;
mod rand_augment;
mod reframe;

use ansatz_core::ConfigError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use affine::{Affine, Warp};
pub use erase::Erase;
pub use mix::{Mix, Mixture};
pub use rand_augment::RandAugment;

use crate::pictures::PictureSize;

/// How training pictures are varied. Everything is off by default.
///
/// The steps are applied in the order of these fields, on values in 0–1, before normalising: `flip`
/// first, `erase` last, then, on the whole batch, `mix`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Probability of mirroring left and right, 0–1.
    pub flip: f64,
    /// Largest shift in whole pixels along each axis, uniform in −shift..shift.
    pub shift: usize,
    /// Largest rotation in degrees, 0–180, uniform in −rotate..rotate, about the centre.
    pub rotate: f64,
    /// Largest change of size, 0–0.9: the factor is uniform in 1 − scale..1 + scale.
    pub scale: f64,
    /// Largest slant in degrees, 0–60, uniform in −shear..shear.
    pub shear: f64,
    /// Random operations chosen per picture.
    pub rand_augment: RandAugment,
    /// Padding in pixels on every side, from which a random piece of the old size is cut.
    pub crop: usize,
    /// A square that is blanked.
    pub erase: Erase,
    /// Mixing the pictures and labels of a batch.
    pub mix: Mix,
    /// Brightness in 0–1 that comes in from outside a picture and fills what is erased.
    pub fill: f64,
}

impl Augment {
    /// Checks the ranges.
    ///
    /// # Errors
    /// With the key, what it says and its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("flip", self.flip, 0.0, 1.0)?;
        in_range("rotate", self.rotate, 0.0, 180.0)?;
        in_range("scale", self.scale, 0.0, 0.9)?;
        in_range("shear", self.shear, 0.0, 60.0)?;
        in_range("fill", self.fill, 0.0, 1.0)?;
        self.rand_augment.check().map_err(|error| error.under("rand_augment"))?;
        self.erase.check().map_err(|error| error.under("erase"))?;
        self.mix.check().map_err(|error| error.under("mix"))
    }

    /// Varies one picture `[height, width, channels]` of values in 0–1.
    pub fn apply(&self, picture: &mut [f32], size: PictureSize, random: &mut ChaCha8Rng, warp: &mut Warp) {
        let fill = self.fill as f32;
        if self.flip > 0.0 && random.random_bool(self.flip) {
            reframe::mirror(picture, size);
        }
        if let Some(affine) = self.draw_affine(random) {
            warp.apply(picture, size, &affine, fill);
        }
        self.rand_augment.apply(picture, size, fill, random, warp);
        if self.crop > 0 {
            let [down, right] = [0; 2].map(|_| random.random_range(0..=2 * self.crop));
            let offset = |drawn: usize| drawn as isize - self.crop as isize;
            reframe::shift(picture, size, offset(down), offset(right), fill);
        }
        self.erase.apply(picture, size, fill, random);
    }

    /// One map for shift, rotation, scale and shear together, so that pixels are blended only once.
    fn draw_affine(&self, random: &mut ChaCha8Rng) -> Option<Affine> {
        let mut affine = Affine::IDENTITY;
        if self.shift > 0 {
            let most = self.shift as i64;
            affine.shift = [0; 2].map(|_| random.random_range(-most..=most) as f32);
        }
        let mut up_to = |most: f64| if most > 0.0 { random.random_range(-most..=most) as f32 } else { 0.0 };
        affine.rotation = up_to(self.rotate).to_radians();
        affine.scale = 1.0 + up_to(self.scale);
        affine.shear = [up_to(self.shear).to_radians(), 0.0];
        (affine != Affine::IDENTITY).then_some(affine)
    }
}

fn in_range(key: &str, value: f64, least: f64, most: f64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::value(key, format!("{value}"), format!("{least} to {most}")))
    }
}
