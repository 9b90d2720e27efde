//! Each patch a token.

use ansatz_core::{ConfigError, FeatureSpec, Features, Grid, Inputs, Layer, Stem};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::pictures::PictureSize;
use crate::stem::{PatchesConfig, projection_layer, read};

/// Each patch of `p × q` pixels a token, row by row, flattened and projected (Dosovitskiy et al. 2021, "An image is
/// worth 16×16 words", eq. 1: `[x_class; x_p E]`; positions are the backbone's business):
/// `[batch, height, width, channels]` → `[batch, (height / p) × (width / q), width]`.
///
/// Without a width to project to, tokens are the flattened patches of `p × q × channels` values. Learned tokens may
/// stand in front: one of the class, and behind it one of distillation (Touvron et al., DeiT, 2021,
/// arXiv:2012.12877, section 4). Both begin as zeros, as the papers' code has them.
#[derive(Module, Debug)]
pub struct Patches {
    projection: Option<Linear>,
    class_token: Option<Param<Tensor<3>>>,
    distillation_token: Option<Param<Tensor<3>>>,
    #[module(skip)]
    sides: [usize; 2],
    height: usize,
    width: usize,
    channels: usize,
}

impl Patches {
    /// A stem for pictures of a size.
    ///
    /// # Errors
    /// When the patches do not divide the picture.
    pub fn new(
        size: PictureSize,
        config: &PatchesConfig,
        token_width: Option<usize>,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let PictureSize { height, width, channels } = size;
        let sides = config.sides();
        if !height.is_multiple_of(sides[0]) || !width.is_multiple_of(sides[1]) {
            return Err(undivided(config, [height, width]));
        }
        let values = sides[0] * sides[1] * channels;
        let token = |wanted: bool| {
            wanted.then(|| Initializer::Zeros.init([1, 1, token_width.unwrap_or(values)], device))
        };
        Ok(Self {
            projection: token_width.map(|to| LinearConfig::new(values, to).init(device)),
            class_token: token(config.class_token),
            distillation_token: token(config.distillation_token),
            sides,
            height,
            width,
            channels,
        })
    }

    fn grid(&self) -> Grid {
        Grid { height: self.height / self.sides[0], width: self.width / self.sides[1] }
    }

    /// The learned tokens, in their order.
    fn learned(&self) -> impl Iterator<Item = &Param<Tensor<3>>> {
        self.class_token.iter().chain(&self.distillation_token)
    }

    /// Values per token.
    fn token_width(&self) -> usize {
        let flat = self.sides[0] * self.sides[1] * self.channels;
        self.projection.as_ref().map_or(flat, |projection| projection.weight.lazy_shape()[1])
    }
}

fn undivided(config: &PatchesConfig, picture: [usize; 2]) -> ConfigError {
    let [height, width] = picture;
    if let Some(across) = config.width {
        let problem =
            format!("patches of {}×{across} pixels do not divide pictures of {height}×{width}", config.size);
        let key = if height.is_multiple_of(config.size) { "width" } else { "size" };
        return ConfigError::value(format!("stem.patches.{key}"), problem, "a divisor of that side");
    }
    let problem = format!("patches of {} pixels do not divide pictures of {height}×{width}", config.size);
    let divisors =
        (1..=height.min(width)).filter(|side| picture.iter().all(|whole| whole.is_multiple_of(*side)));
    let divisors: Vec<String> = divisors.map(|side| side.to_string()).collect();
    ConfigError::value("stem.patches.size", problem, format!("one of {}", divisors.join(", ")))
}

impl Stem for Patches {
    fn forward(&self, inputs: &Inputs) -> ansatz_core::Result<Features> {
        let pixels = read(inputs, [self.height, self.width, self.channels])?;
        let [batch, _, _, channels] = pixels.dims();
        let ([high, wide], grid) = (self.sides, self.grid());
        // [batch, rows, high, columns, wide, channels] → [batch, rows, columns, high, wide, channels]
        let split = pixels.reshape([batch, grid.height, high, grid.width, wide * channels]);
        let tokens = split.swap_dims(2, 3).reshape([batch, grid.tokens(), high * wide * channels]);
        let tokens = match &self.projection {
            Some(projection) => projection.forward(tokens),
            None => tokens,
        };
        let mut parts: Vec<_> = self.learned().map(|token| token.val().repeat_dim(0, batch)).collect();
        if parts.is_empty() {
            return Ok(Features { grid: Some(grid), ..Features::row(tokens) });
        }
        parts.push(tokens);
        Ok(Features::row(Tensor::cat(parts, 1)))
    }

    fn output(&self) -> FeatureSpec {
        match self.learned().count() {
            0 => FeatureSpec::picture(self.grid(), self.token_width()),
            learned => FeatureSpec::row(learned + self.grid().tokens(), self.token_width()),
        }
    }

    fn layers(&self) -> Vec<Layer> {
        let tokens = self.grid().tokens();
        let learned = [("class_token", &self.class_token), ("distillation_token", &self.distillation_token)];
        let learned = learned.into_iter().filter(|(_, token)| token.is_some()).map(|(name, _)| Layer {
            name: name.to_owned(),
            output: format!("1 token of {}", self.token_width()),
            parameters: self.token_width(),
            flops: 0,
            activations: self.token_width(),
        });
        let projection = self.projection.iter().map(|projection| projection_layer(projection, tokens));
        projection.chain(learned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData};

    const SIZE: PictureSize = PictureSize { height: 4, width: 6, channels: 2 };

    fn features(stem: &Patches, pixels: &Tensor<4>) -> Features {
        let inputs = vec![(crate::stem::INPUT.to_owned(), pixels.to_data())];
        stem.forward(&Inputs::new(inputs, &pixels.device())).expect("a fitting picture")
    }

    #[test]
    fn patches_are_read_row_by_row() {
        let device = ansatz_device::open("cpu").unwrap();
        let pixels = Tensor::<4>::random([3, 4, 6, 2], Distribution::Default, &device);
        for (size, width, [high, wide]) in [(2, None, [2, 2]), (2, Some(3), [2, 3]), (1, Some(6), [1, 6])] {
            let config = PatchesConfig { size, width, ..PatchesConfig::default() };
            let stem = Patches::new(SIZE, &config, None, &device).unwrap();
            let tokens = features(&stem, &pixels);
            assert_eq!(tokens.grid, Some(Grid { height: 4 / high, width: 6 / wide }));
            // The second patch of the last row, of the last picture.
            let row = 4 - high;
            let across = if wide == 6 { 0 } else { wide };
            let patch = pixels.clone().slice([2..3, row..row + high, across..across + wide, 0..2]);
            let at = (4 / high - 1) * (6 / wide) + across / wide;
            let token = tokens.tokens.slice([2..3, at..at + 1, 0..high * wide * 2]);
            let values = |data: TensorData| data.try_to_vec::<f32>().unwrap();
            assert_eq!(values(token.into_data()), values(patch.into_data()));
        }
    }

    #[test]
    fn learned_tokens_stand_in_front_and_are_trained() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let pixels = Tensor::<4>::random([3, 4, 6, 2], Distribution::Default, &device);
        for distillation_token in [false, true] {
            let config =
                PatchesConfig { size: 2, class_token: true, distillation_token, ..PatchesConfig::default() };
            let mut stem = Patches::new(SIZE, &config, Some(5), &device).unwrap();
            let set = |value: f64| Param::from_tensor(Tensor::full([1, 1, 5], value, &device).require_grad());
            stem.class_token = Some(set(7.0));
            stem.distillation_token = stem.distillation_token.map(|_| set(8.0));
            let tokens = features(&stem, &pixels);
            assert_eq!((tokens.grid, stem.output().grid), (None, None));
            let learned = 1 + usize::from(distillation_token);
            assert_eq!(tokens.tokens.dims(), [3, learned + 6, 5]);
            assert_eq!(stem.output(), FeatureSpec::row(learned + 6, 5));
            let front = tokens.tokens.clone().slice([2..3, 0..learned, 0..1]);
            let front = front.into_data().try_to_vec::<f32>().unwrap();
            assert_eq!(front, [7.0, 8.0][..learned]);
            let plain = Patches { class_token: None, distillation_token: None, ..stem.clone() };
            let behind = tokens.tokens.clone().slice([0..3, learned..learned + 6, 0..5]);
            behind.into_data().assert_eq(&features(&plain, &pixels).tokens.into_data(), true);
            let gradients = tokens.tokens.sum().backward();
            for token in stem.learned() {
                let gradient = token.val().grad(&gradients).expect("tracked");
                gradient.into_data().assert_eq(&TensorData::from([[[3.0f32; 5]]]), true);
            }
            assert_eq!(stem.layers().iter().map(|layer| layer.parameters).sum::<usize>(), stem.num_params());
        }
    }

    #[test]
    fn patches_that_do_not_fit_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        for (config, path) in [
            (PatchesConfig { size: 3, ..PatchesConfig::default() }, "`stem.patches.size`"),
            (PatchesConfig { size: 2, width: Some(4), ..PatchesConfig::default() }, "`stem.patches.width`"),
            (PatchesConfig { size: 2, width: Some(0), ..PatchesConfig::default() }, "`stem.patches.width`"),
            (
                PatchesConfig { distillation_token: true, ..PatchesConfig::default() },
                "`stem.patches.distillation_token`",
            ),
        ] {
            let message = Patches::new(SIZE, &config, None, &device).unwrap_err().to_string();
            assert!(message.contains(path), "{message}");
        }
    }
}
