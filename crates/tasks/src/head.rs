//! The head of classification.

use ansatz_core::{FeatureSpec, Features, Head, Layer, Result, Targets};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::{Pool, cross_entropy};

/// `logits = pool(x) W + b`.
///
/// Weights and bias are drawn from U(−1/√width, 1/√width), as torchvision and timm leave the last layer of
/// their convolutional networks.
///
/// # Shapes
/// `[batch, length, width]` → `[batch, 1, classes]`.
#[derive(Module, Debug)]
pub struct ClassifyHead {
    /// W `[width, classes]`.
    pub linear: Linear,
    #[module(skip)]
    pool: Pool,
    label_smoothing: f64,
}

impl ClassifyHead {
    pub(crate) fn new(
        width: usize,
        classes: usize,
        pool: Pool,
        label_smoothing: f64,
        device: &Device,
    ) -> Self {
        Self { linear: LinearConfig::new(width, classes).init(device), pool, label_smoothing }
    }
}

impl Head for ClassifyHead {
    fn forward(&self, features: Features) -> Tensor<3> {
        let [batch, _, _] = features.tokens.dims();
        let logits = self.linear.forward(self.pool.forward(features));
        let [_, classes] = logits.dims();
        let outputs = logits.reshape([batch, 1, classes]);
        assert_shape!(outputs, [batch, 1, classes]);
        outputs
    }

    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        let [batch, positions, classes] = outputs.dims();
        assert_shape!(outputs, [batch, 1, classes]);
        cross_entropy::loss(outputs.reshape([batch * positions, classes]), targets, self.label_smoothing)
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let [width, classes] = self.linear.weight.lazy_shape().dims();
        let pooling = match self.pool {
            Pool::Mean | Pool::Max => input.length * width,
            Pool::First | Pool::Last => 0,
        };
        vec![Layer {
            name: "linear".to_owned(),
            output: format!("{classes} logits"),
            parameters: self.num_params(),
            flops: (pooling + 2 * width * classes) as u64,
            activations: classes,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn one_position_of_logits_leaves_the_head() {
        let device = ansatz_device::open("cpu").unwrap();
        let head = ClassifyHead::new(5, 3, Pool::Mean, 0.1, &device);
        let tokens = Tensor::<3>::random([2, 7, 5], Distribution::Default, &device);
        let outputs = head.forward(Features::row(tokens));
        assert_eq!(outputs.dims(), [2, 1, 3]);
        assert!(head.loss(outputs, &Targets::Classes(vec![0, 2])).is_ok());
        let layers = head.layers(&FeatureSpec::row(7, 5));
        assert_eq!(layers[0].parameters, 5 * 3 + 3);
        assert_eq!(layers[0].flops, 35 + 30);
    }
}
