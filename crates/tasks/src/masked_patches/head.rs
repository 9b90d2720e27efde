//! The head of masked patches.

use ansatz_core::{Error, FeatureSpec, Features, Grid, Head, HiddenValues, Layer, Result, Shared, Targets};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use super::{MaskedPatchesConfig, loss};
use crate::RegressLoss;

/// The map from each token to the values that it stands for: `y = x W + b`, one for all (Xie et al., SimMIM, 2022,
/// section 3.4; Nie et al., PatchTST, 2023, section 3.2).
///
/// A backbone that makes a picture coarser has fewer tokens, each of which stands for more values. What the stem took off
/// each channel of a series is given back: `y σ + μ`.
///
/// # Shapes
/// `[rows, length, width]`, where rows are examples or the rows of examples, → `[batch, rows × columns, channels]`, all
/// values of an example.
#[derive(Module, Debug)]
pub struct MaskedPatchesHead {
    /// W `[width, values of a token]` and b.
    pub patches: Linear,
    size: [usize; 3],
    #[module(skip)]
    tokens: Grid,
    rows: usize,
    learned: usize,
    #[module(skip)]
    loss: RegressLoss,
}

impl MaskedPatchesHead {
    /// A head for features of a shape, which tells values that stand as `hidden` says.
    ///
    /// # Errors
    /// When the tokens do not divide the values.
    pub fn new(
        config: &MaskedPatchesConfig,
        features: &FeatureSpec,
        hidden: &HiddenValues,
        device: &Device,
    ) -> Result<Self> {
        let HiddenValues { size, tokens, rows, learned } = *hidden;
        let [height, width, channels] = size;
        let tokens = features.grid.unwrap_or(tokens);
        let learned = if features.grid.is_some() { 0 } else { learned };
        let refused = |problem: String, remedy: &str| {
            Error::input(
                "the tokens of the network",
                problem,
                "tokens that stand for as many values each",
                remedy,
            )
        };
        if features.length * rows < tokens.tokens() + learned * rows {
            let problem = format!("{} of {} are left", features.length * rows, tokens.tokens());
            return Err(refused(
                problem,
                "choose a backbone that keeps its tokens, or makes a picture of them coarser",
            ));
        }
        let divides = |all: usize, some: usize| some > 0 && all.is_multiple_of(some);
        if !divides(height, tokens.height) || !divides(width, tokens.width) {
            let problem = format!("{}×{} do not divide {height}×{width} values", tokens.height, tokens.width);
            let remedy = "choose patches as long as they are apart, whose length divides that of the data, and a \
                backbone whose strides do";
            return Err(refused(problem, remedy));
        }
        let values = (height / tokens.height) * (width / tokens.width) * channels;
        let patches = LinearConfig::new(features.width, values).init(device);
        Ok(Self { patches, size, tokens, rows, learned, loss: config.loss })
    }
}

impl Head for MaskedPatchesHead {
    fn forward(&self, features: Features) -> Tensor<3> {
        let [rows, _, width] = features.tokens.dims();
        let Self { size: [high, wide, channels], tokens: Grid { height, width: across }, .. } = *self;
        let batch = rows / self.rows;
        let of_row = height * across / self.rows;
        let tokens = features.tokens.narrow(1, self.learned, of_row).reshape([batch, height * across, width]);
        let patches = self.patches.forward(tokens);
        // [batch, rows, columns, high, wide × channels] → [batch, rows, high, columns, wide × channels]
        let each = [high / height, wide / across * channels];
        let values = patches.reshape([batch, height, across, each[0], each[1]]).swap_dims(2, 3);
        let values = values.reshape([batch, high * wide, channels]);
        assert_shape!(values, [batch, high * wide, channels]);
        let found =
            |name| features.shared.find::<3>(name).map(|taken| taken.reshape([batch, high, 1, channels]));
        let (Some(location), Some(scale)) = (found(Shared::SERIES_LOCATION), found(Shared::SERIES_SCALE))
        else {
            return values;
        };
        let whole = values.reshape([batch, high, wide, channels]) * scale + location;
        whole.reshape([batch, high * wide, channels])
    }

    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        loss::mean(self.loss, outputs, targets)
    }

    fn layers(&self, _input: &FeatureSpec) -> Vec<Layer> {
        let [height, width, channels] = self.size;
        vec![Layer {
            name: "patches".to_owned(),
            output: format!("{height}×{width} values of {channels}"),
            parameters: self.patches.num_params(),
            flops: (2 * self.tokens.tokens() * self.patches.weight.lazy_shape().num_elements()) as u64,
            activations: height * width * channels,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    fn head(features: &FeatureSpec, hidden: &HiddenValues) -> Result<MaskedPatchesHead> {
        let device = ansatz_device::open("cpu").unwrap();
        MaskedPatchesHead::new(&MaskedPatchesConfig::default(), features, hidden, &device)
    }

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// Each value by itself, from the token that it lies in: `tokens` `[batch × rows, length, width]`.
    fn naive(head: &MaskedPatchesHead, tokens: &Tensor<3>) -> Vec<f32> {
        let [all_rows, length, width] = tokens.dims();
        let [high, wide, channels] = head.size;
        let Grid { height, width: across } = head.tokens;
        let (tokens, weight) = (floats(tokens.clone()), floats(head.patches.weight.val()));
        let bias = floats(head.patches.bias.as_ref().expect("a bias").val());
        let (patch_high, patch_wide, values) = (high / height, wide / across, bias.len());
        let of_row = height * across / head.rows;
        let mut told = Vec::new();
        for example in 0..all_rows / head.rows {
            for (row, column) in (0..high).flat_map(|row| (0..wide).map(move |column| (row, column))) {
                let token = row / patch_high * across + column / patch_wide;
                let place = (example * head.rows + token / of_row) * length + head.learned + token % of_row;
                for channel in 0..channels {
                    let value = (row % patch_high * patch_wide + column % patch_wide) * channels + channel;
                    let product = |at: usize| tokens[place * width + at] * weight[at * values + value];
                    told.push(bias[value] + (0..width).map(product).sum::<f32>());
                }
            }
        }
        told
    }

    #[test]
    fn each_value_is_told_by_the_token_that_it_lies_in() {
        let grid = |height, width| Grid { height, width };
        let hidden = |size, tokens, rows, learned| HiddenValues { size, tokens, rows, learned };
        for (features, hidden) in [
            // A picture of patches, and one that a backbone made coarser.
            (FeatureSpec::picture(grid(2, 3), 5), hidden([4, 6, 3], grid(2, 3), 1, 0)),
            (FeatureSpec::picture(grid(2, 1), 5), hidden([4, 6, 3], grid(4, 6), 1, 0)),
            // Two learned tokens before patches of a picture.
            (FeatureSpec::row(8, 5), hidden([4, 6, 1], grid(2, 3), 1, 2)),
            // Steps of two channels; channels apart, each behind a learned token; tokens of the calendar behind channels.
            (FeatureSpec::row(4, 5), hidden([1, 8, 2], grid(1, 4), 1, 0)),
            (FeatureSpec::row(5, 5), hidden([3, 8, 1], grid(3, 4), 3, 1)),
            (FeatureSpec::row(6, 5), hidden([4, 8, 1], grid(4, 1), 1, 0)),
        ] {
            let head = head(&features, &hidden).unwrap();
            let device = ansatz_device::open("cpu").unwrap();
            let shape = [2 * hidden.rows, features.length, features.width];
            let tokens = Tensor::<3>::random(shape, Distribution::Default, &device);
            let [high, wide, channels] = hidden.size;
            let told = head.forward(Features { grid: features.grid, ..Features::row(tokens.clone()) });
            assert_eq!(told.dims(), [2, high * wide, channels]);
            let expected = Tensor::<1>::from_floats(naive(&head, &tokens).as_slice(), &device);
            let expected = expected.reshape(told.dims());
            told.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
            let layers = head.layers(&features);
            assert_eq!(layers[0].parameters, head.num_params());
        }
    }

    #[test]
    fn what_was_taken_off_a_channel_is_given_back() {
        let device = ansatz_device::open("cpu").unwrap();
        let kind = |height, width| Grid { height, width };
        for (size, tokens, rows) in [([1, 4, 2], kind(1, 2), 1), ([2, 4, 1], kind(2, 2), 2)] {
            let hidden = HiddenValues { size, tokens, rows, learned: 0 };
            let head = head(&FeatureSpec::row(2, 3), &hidden).unwrap();
            let tokens = || Features::row(Tensor::<3>::ones([rows, 2, 3], &device));
            let plain = floats(head.forward(tokens()));
            let features = tokens();
            let leave = |name, values: [f32; 2]| {
                features.shared.leave(name, Tensor::<3>::from_data([[values]], &device))
            };
            leave(Shared::SERIES_LOCATION, [1.0, 10.0]);
            leave(Shared::SERIES_SCALE, [2.0, 3.0]);
            let told = floats(head.forward(features));
            for (at, (told, plain)) in told.iter().zip(plain).enumerate() {
                let second = if size[0] == 2 { at / 4 == 1 } else { at % 2 == 1 };
                let expected = if second { plain * 3.0 + 10.0 } else { plain * 2.0 + 1.0 };
                assert!((told - expected).abs() < 1e-5, "{size:?} {at}");
            }
        }
    }

    #[test]
    fn tokens_that_do_not_divide_the_values_are_named() {
        let hidden =
            HiddenValues { size: [1, 10, 1], tokens: Grid { height: 1, width: 4 }, rows: 1, learned: 0 };
        let said = head(&FeatureSpec::row(4, 3), &hidden).expect_err("refused").to_string();
        assert!(said.contains("1×4 do not divide 1×10 values"), "{said}");
        let hidden = HiddenValues { tokens: Grid { height: 1, width: 5 }, ..hidden };
        let said = head(&FeatureSpec::row(1, 3), &hidden).expect_err("refused").to_string();
        assert!(said.contains("1 of 5 are left"), "{said}");
    }
}
