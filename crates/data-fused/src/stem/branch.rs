//! The branch of one modality.

use ansatz_core::{
    BoxedBackbone, BoxedStem, Build, Error, FeatureSpec, Features, Inputs, Layer, ModalityEncoder, Result,
};
use ansatz_ops::dropout;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Bool, Tensor, TensorData};

use crate::ModalityConfig;

/// A modality's stem, the backbone of its own where it has one, and what stands for it where it is missing.
#[derive(Module, Debug)]
pub struct Branch {
    /// Inputs → features.
    pub stem: BoxedStem,
    /// Features → features.
    pub encoder: Option<BoxedBackbone>,
    /// What stands for the modality where it is missing, `[1, width]`.
    pub missing: Param<Tensor<2>>,
    dropout: Dropout,
    #[module(skip)]
    name: String,
}

/// What comes out of a branch.
pub(crate) struct Found {
    /// The features of all examples.
    pub(crate) features: Features,
    /// `[batch, 1, 1]`, 1 where the example has this modality, else 0.
    pub(crate) present: Tensor<3>,
    /// What stands for it where it is missing, `[1, 1, width]`.
    pub(crate) missing: Tensor<3>,
}

impl Branch {
    /// The branch of a modality, its tokens of `width` values where the encoder wants no other.
    ///
    /// # Errors
    /// When stem and encoder do not fit together.
    pub(crate) fn new(
        config: &ModalityConfig,
        modality: &dyn ModalityEncoder,
        width: Option<usize>,
        build: &Build,
    ) -> Result<Self> {
        let encoder = config.encoder.as_ref().map(|encoder| encoder.resolve("encoder", build.registry));
        let encoder = encoder.transpose()?;
        let wanted = match &encoder {
            Some(encoder) => encoder.width(),
            None => width,
        };
        let stem = modality.stem(wanted, build).map_err(|error| error.under("data"))?;
        if stem.rows() > 1 || stem.source().is_some() {
            let problem = format!("`{}` makes several rows of one example", config.data.kind);
            return Err(Error::input("data.modalities", problem, "a row of tokens", "choose another stem"));
        }
        let encoder = encoder.map(|encoder| encoder.init(&stem.output(), build)).transpose();
        let encoder = encoder.map_err(|error| error.under("encoder"))?;
        let spec = encoder.as_ref().map_or(stem.output(), |encoder| encoder.output(&stem.output()));
        Ok(Self {
            stem,
            encoder,
            missing: Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, spec.width], build.device),
            dropout: DropoutConfig::new(config.dropout).init(),
            name: config.name.clone(),
        })
    }

    /// The features of this modality. Where a batch has no inputs of it, it is missing in all
    /// examples.
    ///
    /// # Errors
    /// When the inputs are not those of the stem.
    pub(crate) fn forward(&self, inputs: &Inputs, present: Tensor<3>) -> Result<Found> {
        let missing = self.missing.val().unsqueeze::<3>();
        let own = inputs.under(&self.name);
        if own.is_empty() {
            let [batch, _, _] = present.dims();
            let [_, _, width] = missing.dims();
            let FeatureSpec { length, grid, .. } = self.output();
            let tokens = missing.clone().expand([batch, length, width]);
            let features = Features { grid, ..Features::row(tokens) };
            return Ok(Found { features, present, missing });
        }
        let features = self.stem.forward(&own)?;
        let features = match &self.encoder {
            Some(encoder) => encoder.forward(features),
            None => features,
        };
        let tokens = dropout(&self.dropout, features.tokens.clone());
        Ok(Found { features: features.with_tokens(tokens), present, missing })
    }

    /// The shape of its features.
    pub(crate) fn output(&self) -> FeatureSpec {
        let spec = self.stem.output();
        self.encoder.as_ref().map_or(spec, |encoder| encoder.output(&spec))
    }

    pub(crate) fn layers(&self) -> Vec<Layer> {
        let under = |layer: Layer, part: &str| layer.under(&format!("{}.{part}", self.name));
        let encoder = self.encoder.iter().flat_map(|encoder| encoder.layers(&self.stem.output()));
        let missing = Layer {
            name: format!("{}.missing", self.name),
            output: "1 token".to_owned(),
            parameters: self.missing.lazy_shape().num_elements(),
            flops: 0,
            activations: 0,
        };
        let stem = self.stem.layers().into_iter().map(|layer| under(layer, "stem"));
        stem.chain(encoder.map(|layer| under(layer, "encoder"))).chain([missing]).collect()
    }
}

impl Found {
    /// `[batch, 1, 1]`, 1 where the example lacks this modality.
    fn absent(&self) -> Tensor<3> {
        self.present.clone().neg() + 1.0
    }

    /// The tokens, in their stead what stands for the modality where it is missing.
    pub(crate) fn tokens(&self) -> Tensor<3> {
        self.features.tokens.clone() * self.present.clone() + self.missing.clone() * self.absent()
    }

    /// `[batch, length]`, true where a token is to be seen: of a missing modality, the first alone.
    pub(crate) fn mask(&self) -> Tensor<2, Bool> {
        let [batch, length, _] = self.features.tokens.dims();
        let device = self.features.tokens.device();
        let real = match &self.features.mask {
            Some(mask) => mask.clone().float(),
            None => Tensor::ones([batch, length], &device),
        };
        let present: Tensor<2> = self.present.clone().reshape([batch, 1]);
        let first: Vec<f32> = (0..length).map(|place| f32::from(u8::from(place == 0))).collect();
        let first = Tensor::<2>::from_data(TensorData::new(first, [1, length]), &device);
        let absent = present.clone().neg() + 1.0;
        (real * present + first * absent).greater_elem(0.5)
    }

    /// One vector for each example, `[batch, width]`.
    pub(crate) fn pooled(&self, pool: crate::ModalityPool) -> Tensor<2> {
        let [batch, _, width] = self.features.tokens.dims();
        let tokens = self.features.tokens.clone();
        let pooled = match (pool, &self.features.mask) {
            (crate::ModalityPool::First, _) => tokens.narrow(1, 0, 1),
            (crate::ModalityPool::Mean, None) => tokens.mean_dim(1),
            (crate::ModalityPool::Mean, Some(mask)) => {
                let real = mask.clone().float();
                let [_, length] = real.dims();
                let shares = real.clone() / real.sum_dim(1).clamp_min(1.0);
                shares.reshape([batch, 1, length]).matmul(tokens)
            }
        };
        let seen = pooled * self.present.clone() + self.missing.clone() * self.absent();
        seen.reshape([batch, width])
    }
}
