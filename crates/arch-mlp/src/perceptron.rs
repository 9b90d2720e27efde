//! The multilayer perceptron over each token by itself: the plainest of all networks.

use ansatz_core::{
    Backbone, BackboneConfig, BoxedBackbone, Build, Component, ConfigError, Context, FeatureSpec, Features,
    Layer, Recurrent, Registry, Result, State,
};
use ansatz_ops::{Activation, Linear, LinearConfig, dropout};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Linear maps of each token, with a function behind each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Values per token behind each layer; without layers tokens stay as they are, and the head alone learns of them.
    pub widths: Vec<usize>,
    /// The function behind each layer.
    pub activation: Activation,
    /// Probability with which each value behind a layer is dropped while training, 0 up to but not including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { widths: Vec::new(), activation: Activation::Relu, dropout: 0.0 }
    }
}

impl Component for MlpConfig {
    const KIND: &'static str = "mlp";
    const ABOUT: &'static str =
        "linear maps of each token by itself with a function behind each; without layers, nothing at all";
    const CITATION: &'static str = "Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, \
         1986, doi:10.1038/323533a0";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.widths.contains(&0) {
            let problem = format!("{:?} is not a list of widths", self.widths);
            return Err(ConfigError::value("widths", problem, "numbers above 0"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("a probability of {}", self.dropout);
            return Err(ConfigError::value("dropout", problem, "0 up to but not including 1"));
        }
        if self.dropout > 0.0 && self.widths.is_empty() {
            return Err(ConfigError::value("dropout", "there is no layer to drop values of", "0, or layers"));
        }
        Ok(())
    }
}

impl MlpConfig {
    /// Builds the network for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<Perceptron, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let inputs = std::iter::once(&width).chain(&self.widths);
        let layers = inputs.zip(&self.widths).map(|(&from, &to)| LinearConfig::new(from, to).init(device));
        Ok(Perceptron {
            layers: layers.collect(),
            dropout: DropoutConfig::new(self.dropout).init(),
            activation: self.activation,
        })
    }
}

impl BackboneConfig for MlpConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input.width, build.device)?))
    }
}

/// `x ← f(x W + b)`, layer by layer, for each token by itself.
///
/// # Shapes
/// `[batch, length, inputs]` → `[batch, length, outputs]`.
#[derive(Module, Debug)]
pub struct Perceptron {
    /// From the first to the last.
    pub layers: Vec<Linear>,
    dropout: Dropout,
    #[module(skip)]
    activation: Activation,
}

impl Perceptron {
    fn run(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, length, inputs] = tokens.dims();
        let outputs = self.width(inputs);
        let layer =
            |tokens, layer: &Linear| dropout(&self.dropout, self.activation.apply(layer.forward(tokens)));
        let tokens = self.layers.iter().fold(tokens, layer);
        assert_shape!(tokens, [batch, length, outputs]);
        tokens
    }

    /// Values per token behind the last layer.
    fn width(&self, inputs: usize) -> usize {
        self.layers.last().map_or(inputs, |layer| layer.weight.lazy_shape()[1])
    }
}

impl Backbone for Perceptron {
    fn forward(&self, features: Features) -> Features {
        let tokens = self.run(features.tokens.clone());
        features.with_tokens(tokens)
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        input.with_width(self.width(input.width))
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let row = |(index, layer): (usize, &Linear)| {
            let [from, to] = layer.weight.lazy_shape().dims();
            Layer {
                name: format!("layers.{index}"),
                output: input.with_width(to).to_string(),
                parameters: layer.num_params(),
                flops: (input.length * (2 * from + 1) * to) as u64,
                activations: input.length * to,
            }
        };
        self.layers.iter().enumerate().map(row).collect()
    }
}

impl Recurrent for Perceptron {
    fn state(&self, _batch: usize, _device: &Device) -> State {
        State::new()
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        state.position += length;
        self.run(tokens)
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_conformance::Property;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn networks_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        for widths in [vec![5], vec![4, 7]] {
            let config = MlpConfig { widths, activation: Activation::Tanh, dropout: 0.0 };
            let build = |input: &FeatureSpec, device: &Device| {
                Ok(BoxedBackbone::new(config.build(input.width, device)?))
            };
            let checked = ansatz_conformance::backbone(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(Property::Recurrence));
        }
    }

    #[test]
    fn layers_follow_each_other_and_without_any_tokens_stay() {
        let device = ansatz_device::open("cpu").unwrap();
        let tokens = Tensor::<3>::random([2, 3, 4], Distribution::Default, &device);
        let none = MlpConfig::default().build(4, &device).unwrap();
        none.run(tokens.clone()).into_data().assert_eq(&tokens.to_data(), true);
        let config = MlpConfig { widths: vec![5, 2], activation: Activation::Relu, dropout: 0.0 };
        let network = config.build(4, &device).unwrap();
        let layer = |tokens: Tensor<3>, index: usize| {
            let layer = &network.layers[index];
            let weight = layer.weight.val().unsqueeze::<3>();
            let bias = layer.bias.as_ref().expect("a bias").val().unsqueeze::<3>();
            (tokens.matmul(weight) + bias).clamp_min(0.0)
        };
        let expected = layer(layer(tokens.clone(), 0), 1).into_data();
        network.run(tokens).into_data().assert_approx_eq::<f32>(&expected, Tolerance::default());
        let spec = FeatureSpec::row(3, 4);
        assert_eq!(network.output(&spec), FeatureSpec::row(3, 2));
        assert_eq!(network.layers(&spec).iter().map(|layer| layer.parameters).sum::<usize>(), 25 + 12);
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (config, path) in [
            (MlpConfig { widths: vec![3, 0], ..MlpConfig::default() }, "widths"),
            (MlpConfig { widths: vec![3], dropout: 1.0, ..MlpConfig::default() }, "dropout"),
            (MlpConfig { dropout: 0.5, ..MlpConfig::default() }, "dropout"),
        ] {
            let said = config.clone().complete(&Registry::default()).unwrap_err().to_string();
            assert!(said.contains(&format!("`{path}`")), "{said}");
        }
    }
}
