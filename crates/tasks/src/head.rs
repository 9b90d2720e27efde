//! The head of classification.

use ansatz_core::{FeatureSpec, Features, Head, Layer, Result, Targets};
use ansatz_ops::{Linear, LinearConfig, Norm};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::weights::Weight;
use crate::{ClassifyConfig, ClassifyLoss, Pool, binary_cross_entropy, cross_entropy, squared_hinge};

/// `logits = norm(pool(x)) W + b`, with the norm where there is one. A distilled head (Touvron et al., DeiT, 2021,
/// arXiv:2012.12877, section 4) maps the second token too, by `V` and `c`; the logits are then the mean of both.
///
/// Weights and bias are drawn from U(−1/√width, 1/√width), as torchvision and timm leave the last layer of
/// their convolutional networks.
///
/// # Shapes
/// `[batch, length, width]` → `[batch, 1, classes]`.
#[derive(Module, Debug)]
pub struct ClassifyHead {
    /// The norm behind pooling.
    pub norm: Option<Norm>,
    /// W `[width, classes]`.
    pub linear: Linear,
    /// V `[width, classes]`, where the head is distilled.
    pub distilled: Option<Linear>,
    #[module(skip)]
    pool: Pool,
    #[module(skip)]
    loss: ClassifyLoss,
    label_smoothing: f64,
    #[module(skip)]
    weights: Vec<Weight>,
}

impl ClassifyHead {
    pub(crate) fn new(config: &ClassifyConfig, width: usize, classes: usize, device: &Device) -> Self {
        let linear = || LinearConfig::new(width, classes).init(device);
        Self {
            norm: config.norm.map(|norm| norm.init(width, device)),
            linear: linear(),
            distilled: config.distilled.then(linear),
            pool: config.pool,
            loss: config.loss,
            label_smoothing: config.label_smoothing,
            weights: Vec::new(),
        }
    }

    /// The same with a weight for each class.
    pub(crate) fn with_weights(self, weights: Vec<Weight>) -> Self {
        Self { weights, ..self }
    }

    /// The logits of each linear map by itself, `[batch, classes]`: one, or two where the head is distilled.
    pub fn maps(&self, features: Features) -> Vec<Tensor<2>> {
        let second = self.distilled.as_ref().map(|distilled| {
            let [batch, _, width] = features.tokens.dims();
            let token = features.tokens.clone().narrow(1, 1, 1).reshape([batch, width]);
            distilled.forward(self.scaled(token))
        });
        let first = self.linear.forward(self.scaled(self.pool.forward(features)));
        std::iter::once(first).chain(second).collect()
    }

    fn scaled(&self, token: Tensor<2>) -> Tensor<2> {
        match &self.norm {
            Some(norm) => norm.forward(token),
            None => token,
        }
    }
}

impl Head for ClassifyHead {
    fn forward(&self, features: Features) -> Tensor<3> {
        let [batch, _, _] = features.tokens.dims();
        let maps = self.maps(features);
        let count = maps.len();
        let sum = maps.into_iter().reduce(|sum, map| sum + map).expect("a head has at least one map");
        let logits = if count == 1 { sum } else { sum / count as f64 };
        let [_, classes] = logits.dims();
        let outputs = logits.reshape([batch, 1, classes]);
        assert_shape!(outputs, [batch, 1, classes]);
        outputs
    }

    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        let [batch, positions, classes] = outputs.dims();
        assert_shape!(outputs, [batch, 1, classes]);
        let logits = outputs.reshape([batch * positions, classes]);
        let (smoothing, weights) = (self.label_smoothing, &self.weights);
        match (self.loss, targets) {
            (ClassifyLoss::SquaredHinge { margin }, _) => {
                squared_hinge::loss(logits, targets, margin, smoothing, weights)
            }
            (ClassifyLoss::CrossEntropy, Targets::Labels { .. }) => {
                binary_cross_entropy::loss(logits, targets, smoothing, weights)
            }
            (ClassifyLoss::CrossEntropy, _) => cross_entropy::loss(logits, targets, smoothing, weights),
        }
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let [width, classes] = self.linear.weight.lazy_shape().dims();
        let pooling = match self.pool {
            Pool::Mean | Pool::Max => input.length * width,
            Pool::First | Pool::Last => 0,
        };
        let maps = 1 + usize::from(self.distilled.is_some());
        let norm = self.norm.as_ref().map_or(0, |norm| maps as u64 * norm.flops());
        vec![Layer {
            name: "linear".to_owned(),
            output: format!("{classes} logits"),
            parameters: self.num_params(),
            flops: norm + (pooling + maps * 2 * width * classes) as u64,
            activations: classes,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_ops::NormConfig;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn one_position_of_logits_leaves_the_head() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = ClassifyConfig { label_smoothing: 0.1, ..ClassifyConfig::default() };
        let head = ClassifyHead::new(&config, 5, 3, &device);
        let tokens = Tensor::<3>::random([2, 7, 5], Distribution::Default, &device);
        let outputs = head.forward(Features::row(tokens));
        assert_eq!(outputs.dims(), [2, 1, 3]);
        assert!(head.loss(outputs, &Targets::Classes(vec![0, 2])).is_ok());
        let layers = head.layers(&FeatureSpec::row(7, 5));
        assert_eq!(layers[0].parameters, 5 * 3 + 3);
        assert_eq!(layers[0].flops, 35 + 30);
    }

    #[test]
    fn a_distilled_head_means_the_maps_of_two_tokens() {
        let device = ansatz_device::open("cpu").unwrap();
        let norm = Some(NormConfig::layer(1e-3));
        let config = ClassifyConfig { pool: Pool::First, distilled: true, norm, ..ClassifyConfig::default() };
        let head = ClassifyHead::new(&config, 5, 3, &device);
        let tokens = Tensor::<3>::random([2, 7, 5], Distribution::Default, &device);
        let token = |at: usize| tokens.clone().narrow(1, at, 1).reshape([2, 5]);
        let norm = head.norm.as_ref().expect("a norm");
        let second = head.distilled.as_ref().expect("a second map");
        let maps = [head.linear.forward(norm.forward(token(0))), second.forward(norm.forward(token(1)))];
        let expected = ((maps[0].clone() + maps[1].clone()) / 2.0).reshape([2, 1, 3]);
        let found = head.forward(Features::row(tokens.clone()));
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::default());
        for (found, expected) in head.maps(Features::row(tokens.clone())).into_iter().zip(maps) {
            found.into_data().assert_eq(&expected.into_data(), true);
        }
        assert_eq!(head.layers(&FeatureSpec::row(7, 5))[0].parameters, 2 * (5 * 3 + 3) + 10);
    }
}
