//! The head of masked patches.

use ansatz_core::{
    ConfigError, Error, FeatureSpec, Features, Grid, Head, HiddenValues, Layer, Result, Shared, Targets,
};
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
            Error::input("task.kind", problem, "tokens that stand for as many values each", remedy)
        };
        if features.length * rows < tokens.tokens() + learned * rows {
            let problem = format!(
                "{} tokens are left of {} that hide patches",
                features.length * rows,
                tokens.tokens()
            );
            return Err(refused(problem, "choose a backbone that keeps the tokens, or a picture of them"));
        }
        let divides = |all: usize, some: usize| some > 0 && all.is_multiple_of(some);
        if !divides(height, tokens.height) || !divides(width, tokens.width) {
            let problem =
                format!("{}×{} tokens do not divide {height}×{width} values", tokens.height, tokens.width);
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
