//! Language modelling: which token stands at every position.

use ansatz_core::{
    BoxedHead, Component, ConfigError, Error, FeatureSpec, Features, Head, Layer, Registry, Result, Scorer,
    Shared, Target, Targets, TaskConfig,
};
use ansatz_ops::Linear;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, TensorData, activation, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LanguageScorer, Transform, TransformConfig};

/// Which token stands at every position: the next one, where the backbone is causal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageModelConfig {
    /// A map, a nonlinearity and a norm before the logits, as masked language models have. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<TransformConfig>,
    /// Whether the table of the stem is used, turned round, instead of a matrix of the head's own.
    pub tied: bool,
    /// Whether every token has a bias.
    pub bias: bool,
    /// What the logits are multiplied by; a number other than 0.
    pub scale: f64,
    /// Holds the logits between −cap and cap, by `cap · tanh(logit / cap)`; above 0. Left out: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<f64>,
}

impl Default for LanguageModelConfig {
    fn default() -> Self {
        Self { transform: None, tied: true, bias: false, scale: 1.0, cap: None }
    }
}

impl Component for LanguageModelConfig {
    const KIND: &'static str = "language-model";
    const ABOUT: &'static str = "which token stands at every position, by cross entropy";
    const CITATION: &'static str = "tied embeddings: Press and Wolf, Using the Output Embedding to Improve \
        Language Models, 2017, arXiv:1608.05859";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if !self.scale.is_finite() || self.scale == 0.0 {
            return Err(ConfigError::value("scale", self.scale.to_string(), "a number other than 0"));
        }
        if let Some(transform) = &self.transform {
            transform.check().map_err(|error| error.under("transform"))?;
        }
        match self.cap {
            Some(cap) if !(cap.is_finite() && cap > 0.0) => {
                Err(ConfigError::value("cap", cap.to_string(), "a number above 0"))
            }
            _ => Ok(()),
        }
    }
}

/// Tokens of the vocabulary.
fn vocabulary(target: &Target) -> Result<usize> {
    match target {
        Target::Tokens { vocabulary } if *vocabulary > 0 => Ok(*vocabulary),
        Target::MaskedTokens { .. } => Err(Error::input(
            "the labels of the data",
            "they are tokens that are hidden",
            "text whose next tokens are foretold",
            "leave data.masking out, or choose the task `masked-language-model`",
        )),
        _ => Err(Error::input(
            "the labels of the data",
            "they are no tokens of a vocabulary",
            "text, whose tokens a language model foretells",
            "choose the data model `text`, or the task `classify`",
        )),
    }
}

impl LanguageModelConfig {
    /// Builds the head for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(
        &self,
        width: usize,
        vocabulary: usize,
        device: &Device,
    ) -> Result<LanguageModelHead, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let weight =
            (!self.tied).then(|| Linear { weight: normal.init([width, vocabulary], device), bias: None });
        let bias = self.bias.then(|| Initializer::Zeros.init([vocabulary], device));
        Ok(LanguageModelHead {
            transform: self.transform.as_ref().map(|transform| transform.init(width, device)),
            output: weight,
            bias,
            scale: self.scale,
            cap: self.cap,
            vocabulary,
        })
    }
}

impl TaskConfig for LanguageModelConfig {
    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead> {
        Ok(BoxedHead::new(self.build(features.width, vocabulary(target)?, device)?))
    }

    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(LanguageScorer::new(vocabulary(target)?)))
    }
}

/// `logits = cap · tanh(scale · (x W + b) / cap)`, W the stem's own table turned round where they are tied, x the
/// transformed tokens where there is a transform.
///
/// # Shapes
/// `[batch, length, width]` → `[batch, length, vocabulary]`.
#[derive(Module, Debug)]
pub struct LanguageModelHead {
    /// Before the logits, where there is one.
    pub transform: Option<Transform>,
    /// W `[width, vocabulary]`, unless tied.
    pub output: Option<Linear>,
    /// b `[vocabulary]`.
    pub bias: Option<Param<Tensor<1>>>,
    scale: f64,
    cap: Option<f64>,
    vocabulary: usize,
}

impl Head for LanguageModelHead {
    /// # Panics
    /// When the head is tied and the stem left no table.
    fn forward(&self, mut features: Features) -> Tensor<3> {
        let [batch, length, width] = features.tokens.dims();
        if let Some(transform) = &self.transform {
            features.tokens = transform.forward(features.tokens);
        }
        let mut logits = match &self.output {
            Some(output) => output.forward(features.tokens),
            None => {
                let table = features.shared.find::<2>(Shared::EMBEDDING);
                let table = table.expect("a tied head stands behind a stem that leaves its table");
                let rows = features.tokens.reshape([batch * length, width]);
                rows.matmul(table.transpose()).reshape([batch, length, self.vocabulary])
            }
        };
        assert_shape!(logits, [batch, length, self.vocabulary]);
        if let Some(bias) = &self.bias {
            logits = logits + bias.val().unsqueeze();
        }
        if self.scale != 1.0 {
            logits = logits * self.scale;
        }
        match self.cap {
            Some(cap) => (logits / cap).tanh() * cap,
            None => logits,
        }
    }

    /// The mean of `−log softmax(logits)` at the targets, in nats.
    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        let [batch, length, vocabulary] = outputs.dims();
        let (places, tokens) = asked(targets, batch * length)?;
        let rows = chosen(outputs.reshape([batch * length, vocabulary]), &places);
        Ok(cross_entropy(rows, tokens))
    }

    /// Logits are computed at the positions that are asked alone.
    fn loss_of_features(&self, mut features: Features, targets: &Targets) -> Result<Tensor<1>> {
        let [batch, length, width] = features.tokens.dims();
        let (places, tokens) = asked(targets, batch * length)?;
        let rows = chosen(features.tokens.reshape([batch * length, width]), &places);
        features.tokens = rows.unsqueeze();
        Ok(cross_entropy(self.forward(features).squeeze_dim(0), tokens))
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        vec![Layer {
            name: "output".to_owned(),
            output: format!("{} × {} logits", input.length, self.vocabulary),
            parameters: self.num_params(),
            flops: (2 * input.length * input.width * self.vocabulary) as u64
                + input.length as u64 * self.transform.as_ref().map_or(0, Transform::flops),
            activations: input.length * self.vocabulary,
        }]
    }
}

/// The positions, of so many, that are asked, and the tokens that are there.
fn asked(targets: &Targets, positions: usize) -> Result<(Vec<i64>, Vec<i64>)> {
    let Targets::Tokens(wanted) = targets else {
        let problem = "a language model learns from tokens, and the labels are none";
        return Err(Error::Failed(problem.to_owned()));
    };
    if wanted.len() != positions {
        return Err(Error::Failed(format!("{} labels for {positions} tokens", wanted.len())));
    }
    let asked: (Vec<i64>, Vec<i64>) = wanted
        .iter()
        .zip(0..)
        .filter_map(|(token, place)| token.map(|token| (place, i64::from(token))))
        .unzip();
    if asked.0.is_empty() {
        return Err(Error::Failed("no token of the batch is to be foretold".to_owned()));
    }
    Ok(asked)
}

/// The rows at `places`, which are sorted and name none twice.
fn chosen(rows: Tensor<2>, places: &[i64]) -> Tensor<2> {
    let [count, _] = rows.dims();
    if places.len() == count {
        return rows;
    }
    let places = Tensor::<1, Int>::from_data(TensorData::from(places), &rows.device());
    rows.select(0, places)
}

/// The mean of `−log softmax(logits)` at `tokens`.
fn cross_entropy(logits: Tensor<2>, tokens: Vec<i64>) -> Tensor<1> {
    let asked = tokens.len();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [asked, 1]), &logits.device());
    activation::log_softmax(logits, 1).gather(1, tokens).mean().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn tied_logits_are_products_with_the_table() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = LanguageModelConfig { scale: 0.5, cap: Some(2.0), ..LanguageModelConfig::default() };
        let head = config.build(4, 6, &device).unwrap();
        let table = Tensor::<2>::random([6, 4], Distribution::Normal(0.0, 1.0), &device);
        let features = Features::row(Tensor::random([2, 3, 4], Distribution::Normal(0.0, 1.0), &device));
        features.shared.leave(Shared::EMBEDDING, table.clone());
        let expected = features.tokens.clone().matmul(table.transpose().unsqueeze());
        let expected = (expected * 0.25).tanh() * 2.0;
        let found = head.forward(features).into_data();
        found.assert_approx_eq::<f32>(&expected.into_data(), Tolerance::default());
    }

    #[test]
    fn positions_without_a_target_do_not_count() {
        let device = ansatz_device::open("cpu").unwrap();
        let head = LanguageModelConfig { tied: false, ..LanguageModelConfig::default() };
        let head = head.build(4, 3, &device).unwrap();
        let logits = Tensor::<3>::from_data([[[0.0, 0.0, 1.0], [9.0, 0.0, 0.0]]], &device);
        let loss = head.loss(logits, &Targets::Tokens(vec![Some(2), None])).unwrap();
        let expected = (1.0f32.exp() + 2.0).ln() - 1.0;
        assert!((loss.into_scalar::<f32>() - expected).abs() < 1e-6);
        let logits = Tensor::<3>::zeros([1, 2, 3], &device);
        assert!(head.loss(logits.clone(), &Targets::Tokens(vec![None, None])).is_err());
        assert!(head.loss(logits, &Targets::Tokens(vec![None])).is_err());
    }

    #[test]
    fn the_loss_of_features_is_that_of_the_outputs() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        for transform in [None, Some(TransformConfig::default())] {
            let config = LanguageModelConfig { tied: false, bias: true, transform, ..Default::default() };
            let head = config.build(4, 6, &device).unwrap();
            let tokens =
                Tensor::<3>::random([2, 3, 4], Distribution::Normal(0.0, 1.0), &device).require_grad();
            for wanted in [vec![None, Some(3), None, None, Some(0), Some(5)], vec![Some(1); 6]] {
                let targets = Targets::Tokens(wanted);
                let features = || Features::row(tokens.clone());
                let whole = head.loss(head.forward(features()), &targets).unwrap();
                let few = head.loss_of_features(features(), &targets).unwrap();
                let gradient = |loss: Tensor<1>| tokens.grad(&loss.backward()).unwrap().into_data();
                let tolerance = Tolerance::absolute(1e-6);
                few.to_data().assert_approx_eq::<f32>(&whole.to_data(), tolerance);
                gradient(few).assert_approx_eq::<f32>(&gradient(whole), tolerance);
            }
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = LanguageModelConfig::default();
        let cap = LanguageModelConfig { cap: Some(0.0), ..default.clone() };
        assert!(cap.build(4, 3, &device).unwrap_err().to_string().contains("`cap`"));
        let scale = LanguageModelConfig { scale: f64::NAN, ..default };
        assert!(scale.build(4, 3, &device).unwrap_err().to_string().contains("`scale`"));
    }
}
