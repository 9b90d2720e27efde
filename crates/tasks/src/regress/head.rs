//! The head of regression.

use ansatz_core::{FeatureSpec, Features, Head, Layer, Result, Targets};
use ansatz_ops::{Linear, LinearConfig, Norm};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use super::{RegressConfig, RegressLoss};
use crate::Pool;

/// `y = norm(pool(x)) w + b`, with the norm where there is one.
///
/// # Shapes
/// `[batch, length, width]` → `[batch, 1, 1]`, on the scale of the training part, where its mean is 0 and its
/// deviation 1.
#[derive(Module, Debug)]
pub struct RegressHead {
    /// The norm behind pooling.
    pub norm: Option<Norm>,
    /// w `[width, 1]` and b.
    pub linear: Linear,
    #[module(skip)]
    pool: Pool,
    #[module(skip)]
    loss: RegressLoss,
}

impl RegressHead {
    pub(super) fn new(config: &RegressConfig, width: usize, device: &Device) -> Self {
        Self {
            norm: config.norm.map(|norm| norm.init(width, device)),
            linear: LinearConfig::new(width, 1).init(device),
            pool: config.pool,
            loss: config.loss,
        }
    }
}

impl Head for RegressHead {
    fn forward(&self, features: Features) -> Tensor<3> {
        let [batch, _, _] = features.tokens.dims();
        let token = self.pool.forward(features);
        let token = match &self.norm {
            Some(norm) => norm.forward(token),
            None => token,
        };
        let outputs = self.linear.forward(token).reshape([batch, 1, 1]);
        assert_shape!(outputs, [batch, 1, 1]);
        outputs
    }

    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        self.loss.apply(outputs, targets)
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let [width, _] = self.linear.weight.lazy_shape().dims();
        let pooling = match self.pool {
            Pool::Mean | Pool::Max => input.length * width,
            Pool::First | Pool::Last => 0,
        };
        vec![Layer {
            name: "linear".to_owned(),
            output: "1 number".to_owned(),
            parameters: self.num_params(),
            flops: (pooling + 2 * width) as u64 + self.norm.as_ref().map_or(0, Norm::flops),
            activations: 1,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_ops::NormConfig;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn a_number_leaves_the_head() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = RegressConfig { norm: Some(NormConfig::layer(1e-3)), ..RegressConfig::default() };
        let head = RegressHead::new(&config, 5, &device);
        let tokens = Tensor::<3>::random([2, 7, 5], Distribution::Default, &device);
        let found = head.forward(Features::row(tokens.clone()));
        let mean = tokens.mean_dim(1).reshape([2, 5]);
        let expected = head.linear.forward(head.norm.as_ref().expect("a norm").forward(mean));
        found
            .into_data()
            .assert_approx_eq::<f32>(&expected.reshape([2, 1, 1]).into_data(), Tolerance::default());
        let layers = head.layers(&FeatureSpec::row(7, 5));
        assert_eq!(layers[0].parameters, 5 + 1 + 10);
    }
}
