//! An MLP over the tokens, for each channel alone.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Registry, Result};
use ansatz_ops::Activation;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Two linear maps over the tokens, for each channel alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenMlpConfig {
    /// Hidden tokens as a multiple of the width of a token, above 0 up to 64; the product is rounded.
    #[schemars(range(max = 64.0))]
    pub expansion: f64,
    /// Hidden tokens themselves, 1 up to 1048576, in the place of `expansion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub hidden: Option<usize>,
    /// The function between the two maps.
    pub activation: Activation,
    /// Whether the two maps add a bias.
    pub bias: bool,
}

impl Default for TokenMlpConfig {
    fn default() -> Self {
        Self { expansion: 0.5, hidden: None, activation: Activation::Gelu, bias: true }
    }
}

/// The most hidden tokens.
const LARGEST: usize = 1 << 20;

impl Component for TokenMlpConfig {
    const KIND: &'static str = "token-mlp";
    const ABOUT: &'static str =
        "two linear maps over the tokens with a nonlinearity between them, for each channel alone";
    const CITATION: &'static str =
        "Tolstikhin et al., MLP-Mixer: An all-MLP Architecture for Vision, 2021, arXiv:2105.01601";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if let Some(hidden) = self.hidden
            && !(1..=LARGEST).contains(&hidden)
        {
            return Err(ConfigError::value("hidden", hidden.to_string(), format!("1 up to {LARGEST}")));
        }
        if self.expansion > 0.0 && self.expansion <= 64.0 {
            return Ok(());
        }
        Err(ConfigError::value("expansion", format!("a ratio of {}", self.expansion), "above 0 up to 64"))
    }
}

impl TokenMlpConfig {
    /// Builds the mixer for up to `length` tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, length: usize, width: usize, device: &Device) -> Result<TokenMlp, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let hidden = self.hidden.unwrap_or_else(|| ((self.expansion * width as f64).round() as usize).max(1));
        let map = |inputs: usize, outputs: usize| {
            let glorot = Initializer::XavierUniform { gain: 1.0 };
            glorot.init_with([inputs, outputs], Some(inputs), Some(outputs), device)
        };
        let bias = |outputs: usize| self.bias.then(|| Initializer::Zeros.init([outputs], device));
        Ok(TokenMlp {
            expand: map(length, hidden),
            expand_bias: bias(hidden),
            contract: map(hidden, length),
            contract_bias: bias(length),
            activation: self.activation,
            width,
        })
    }
}

impl MixerConfig for TokenMlpConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        let length = build.input_for(Self::KIND)?.length;
        Ok(BoxedMixer::new(self.build(length, width, build.device)?))
    }
}

/// An MLP over the tokens, for each channel alone (Tolstikhin et al. 2021, equation 1; norm and sum are the stack's):
///
/// ```text
/// y(·, c) = f(x(·, c) W₁ + b₁) W₂ + b₂
/// ```
///
/// A row of fewer tokens than it was built for is read as if zeros stood behind it; so is padding, wherever it
/// stands. Parameters are drawn as in google-research/vision_transformer: Glorot uniform, biases zero.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct TokenMlp {
    /// W₁ `[length, hidden]`.
    pub expand: Param<Tensor<2>>,
    /// b₁ `[hidden]`.
    pub expand_bias: Option<Param<Tensor<1>>>,
    /// W₂ `[hidden, length]`.
    pub contract: Param<Tensor<2>>,
    /// b₂ `[length]`.
    pub contract_bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    activation: Activation,
    width: usize,
}

impl TokenMlp {
    /// The most tokens.
    fn length(&self) -> usize {
        self.expand.lazy_shape()[0]
    }
}

impl Mixer for TokenMlp {
    /// # Panics
    /// When there are more tokens than the mixer was built for.
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        assert!(length <= self.length(), "{length} tokens, but weights for {}", self.length());
        let tokens = match &context.mask {
            // What is no token may hold anything, even numbers that are none.
            Some(mask) => {
                assert_shape!(mask, [batch, length]);
                let padding = mask.clone().bool_not().unsqueeze_dim::<3>(2).expand([batch, length, width]);
                tokens.mask_fill(padding, 0.0)
            }
            None => tokens,
        };
        let add = |x: Tensor<3>, bias: Option<Tensor<1>>| match bias {
            Some(bias) => x + bias.unsqueeze(),
            None => x,
        };
        let expand = self.expand.val().narrow(0, 0, length);
        let bias = self.expand_bias.as_ref().map(|bias| bias.val());
        let hidden = self.activation.apply(add(tokens.swap_dims(1, 2).matmul(expand.unsqueeze()), bias));
        let contract = self.contract.val().narrow(1, 0, length);
        let bias = self.contract_bias.as_ref().map(|bias| bias.val().narrow(0, 0, length));
        let output = add(hidden.matmul(contract.unsqueeze()), bias).swap_dims(1, 2);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn limit(&self) -> Option<usize> {
        Some(self.length())
    }

    fn flops(&self, length: usize) -> u64 {
        4 * (length * self.contract.lazy_shape()[0] * self.width) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::FeatureSpec;
    use burn::tensor::Distribution;

    #[test]
    fn the_mixer_is_the_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        for (length, width, hidden, bias) in
            [(1usize, 1usize, 1usize, true), (4, 3, 5, false), (5, 2, 3, true)]
        {
            let config = TokenMlpConfig {
                hidden: Some(hidden),
                bias,
                activation: Activation::Relu,
                ..Default::default()
            };
            let mut mixer = config.build(length, width, &device).unwrap();
            let draw =
                |size: usize| Param::from_tensor(Tensor::random([size], Distribution::Default, &device));
            mixer.expand_bias = mixer.expand_bias.map(|_| draw(hidden));
            mixer.contract_bias = mixer.contract_bias.map(|_| draw(length));
            let tokens = Tensor::<3>::random([2, length, width], Distribution::Normal(0.0, 1.0), &device);
            let values = |data: burn::tensor::TensorData| data.try_to_vec::<f32>().unwrap();
            let x = values(tokens.to_data());
            let [expand, contract] = [&mixer.expand, &mixer.contract].map(|map| values(map.val().to_data()));
            let [first, second] = [&mixer.expand_bias, &mixer.contract_bias]
                .map(|bias| bias.as_ref().map_or(vec![0.0; 8], |bias| values(bias.val().to_data())));
            let found = values(mixer.forward(tokens, &Context::default()).into_data());
            for (example, channel) in (0..2).flat_map(|example| (0..width).map(move |at| (example, at))) {
                let at = |token: usize| (example * length + token) * width + channel;
                for to in 0..length {
                    let mut sum = second[to];
                    for unit in 0..hidden {
                        let inner: f32 =
                            (0..length).map(|from| x[at(from)] * expand[from * hidden + unit]).sum();
                        sum += (inner + first[unit]).max(0.0) * contract[unit * length + to];
                    }
                    assert!((found[at(to)] - sum).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn token_mlps_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        for config in [
            TokenMlpConfig::default(),
            TokenMlpConfig {
                hidden: Some(3),
                bias: false,
                activation: Activation::Silu,
                ..Default::default()
            },
        ] {
            let build = |input: &FeatureSpec, device: &Device| {
                config.init(input.width, &Build::new(&registry, device).over(*input))
            };
            let checked = ansatz_conformance::mixer_over(build).check(&device);
            checked.unwrap_or_else(|failure| panic!("{config:?}: {failure}"));
            let checked =
                ansatz_conformance::mixer_over(build).inputs(ansatz_conformance::grids(4)).check(&device);
            checked.unwrap_or_else(|failure| panic!("{config:?}: {failure}"));
        }
    }

    #[test]
    fn it_takes_no_more_tokens_than_it_knows() {
        let device = ansatz_device::open("cpu").unwrap();
        let mixer = TokenMlpConfig::default().build(5, 8, &device).unwrap();
        assert_eq!(mixer.limit(), Some(5));
        assert_eq!(mixer.num_params(), 5 * 4 + 4 + 4 * 5 + 5);
        assert_eq!(mixer.flops(5), 2 * 2 * 5 * 4 * 8);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        for (config, path) in [
            (TokenMlpConfig { expansion: 0.0, ..Default::default() }, "`expansion`"),
            (TokenMlpConfig { expansion: f64::NAN, ..Default::default() }, "`expansion`"),
            (TokenMlpConfig { hidden: Some(0), ..Default::default() }, "`hidden`"),
        ] {
            let message = config.build(5, 8, &device).unwrap_err().to_string();
            assert!(message.contains(path), "{message}");
        }
        let message =
            TokenMlpConfig::default().init(8, &Build::new(&registry, &device)).unwrap_err().to_string();
        assert!(message.contains("token-mlp: the number of its tokens is not known here"), "{message}");
    }
}
