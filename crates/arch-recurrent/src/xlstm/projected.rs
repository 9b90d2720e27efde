//! The matrix memory inside an expansion of the tokens: the block of the first xLSTM.

use ansatz_core::{
    BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Recurrent, Registry, Result,
    State,
};
use ansatz_ops::{
    CausalConvolution, Linear, MatrixMemory, MatrixMemoryInputs, log_sigmoid, matrix_memory, silu,
    without_padding,
};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::heads::{head_norm, split};
use crate::BlockLinear;

/// xLSTM's matrix memory inside an expansion of the tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectedMatrixLstmConfig {
    /// Memories that are written and read side by side, at least 1, a divisor of `inner`.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Values that a token is expanded to. Left out: twice the width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<usize>,
    /// Tokens that the convolution in front of queries and keys sees, 1 up to 64.
    #[schemars(range(min = 1, max = 64))]
    pub convolution: usize,
    /// Values of each block of the maps to queries, keys and values, at least 1, a divisor of `inner`: a value sees
    /// those of its own block.
    #[schemars(range(min = 1))]
    pub projection_block: usize,
    /// Added to the normalizer of the memory, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
    /// Added to the variance of what a head reads, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub norm_epsilon: f64,
}

impl Default for ProjectedMatrixLstmConfig {
    fn default() -> Self {
        Self { heads: 4, inner: None, convolution: 4, projection_block: 4, epsilon: 1e-6, norm_epsilon: 1e-5 }
    }
}

impl Component for ProjectedMatrixLstmConfig {
    const KIND: &'static str = "mlstm-block";
    const ABOUT: &'static str =
        "xLSTM's matrix memory inside an expansion of the tokens, with a convolution in front of it";
    const CITATION: &'static str =
        "Beck et al., xLSTM: Extended Long Short-Term Memory, 2024, arXiv:2405.04517, figure 10";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        for (key, size) in [("heads", self.heads), ("projection_block", self.projection_block)] {
            if size == 0 {
                return Err(ConfigError::value(key, "0", "at least 1"));
            }
        }
        if !(1..=64).contains(&self.convolution) {
            return Err(ConfigError::value("convolution", self.convolution.to_string(), "1 up to 64"));
        }
        for (key, value) in [("epsilon", self.epsilon), ("norm_epsilon", self.norm_epsilon)] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(ConfigError::value(key, value.to_string(), "above 0 up to 1"));
            }
        }
        Ok(())
    }
}

impl ProjectedMatrixLstmConfig {
    /// Builds the block for tokens of `width` values, in a network of `build.depth.blocks` blocks.
    ///
    /// # Errors
    /// When a value is out of range, or the expansion cannot be divided as asked.
    pub fn build(&self, width: usize, build: &Build) -> Result<ProjectedMatrixLstm, ConfigError> {
        self.clone().complete(build.registry)?;
        let inner = self.inner.unwrap_or(2 * width);
        for (key, size) in [("heads", self.heads), ("projection_block", self.projection_block)] {
            if inner == 0 || !inner.is_multiple_of(size) {
                let problem = format!("{size} does not divide an expansion to {inner} values");
                return Err(ConfigError::value(key, problem, format!("a divisor of {inner}")));
            }
        }
        Ok(ProjectedMatrixLstm::new([width, inner], self, build))
    }
}

impl MixerConfig for ProjectedMatrixLstmConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build)?))
    }
}

/// The matrix memory inside an expansion of the tokens (Beck et al. 2024, arXiv:2405.04517, figure 10).
///
/// ```text
/// u, z = x W_u, x W_z                       c = silu(conv(u))
/// q, k, v = c W_q, c W_k, u W_v             block-diagonal
/// ĩ, f̃ = [q, k, v] W_i + b_i, [q, k, v] W_f + b_f
/// h = the memory of q, k, v with the gates exp ĩ and σ(f̃), see `matrix_memory`
/// y = (((1 + γ) ⊙ norm_head(h) + s ⊙ c) ⊙ silu(z)) W_out
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct ProjectedMatrixLstm {
    /// W_u `[width, inner]`.
    pub input: Linear,
    /// W_z `[width, inner]`.
    pub gate: Linear,
    /// Over the tokens before, each value for itself.
    pub convolution: CausalConvolution,
    /// W_q.
    pub query: BlockLinear,
    /// W_k.
    pub key: BlockLinear,
    /// W_v.
    pub value: BlockLinear,
    /// W_i, b_i `[3 inner, heads]`.
    pub input_gate: Linear,
    /// W_f, b_f `[3 inner, heads]`.
    pub forget_gate: Linear,
    /// γ `[inner]`.
    pub scale: Param<Tensor<1>>,
    /// s `[inner]`.
    pub skip: Param<Tensor<1>>,
    /// W_out `[inner, width]`.
    pub output: Linear,
    heads: usize,
    epsilon: f64,
    norm_epsilon: f64,
}

/// Names of the state's tensors: the last inputs of the convolution, `[batch, convolution − 1, inner]`, and those of
/// [`MatrixMemory`].
const WINDOW: &str = "window";
const MEMORY: &str = "memory";
const MAXIMUM: &str = "maximum";

impl ProjectedMatrixLstm {
    /// Drawn as the published networks are: projections normal with deviation √(2 / 5 width), the last one with
    /// 2 / (blocks √width); gates the same for all tokens, with forget biases from 3 to 6.
    fn new([width, inner]: [usize; 2], config: &ProjectedMatrixLstmConfig, build: &Build) -> Self {
        let (heads, device) = (config.heads, build.device);
        let normal = |std: f64| Initializer::Normal { mean: 0.0, std };
        let linear = |inputs: usize, outputs: usize, std: f64| Linear {
            weight: normal(std).init([inputs, outputs], device),
            bias: None,
        };
        let small = (2.0 / (5.0 * width as f64)).sqrt();
        let size = config.projection_block;
        let blocks = || BlockLinear::new([inner / size, size, size], &normal(small), false, device);
        let gate = |bias: Param<Tensor<1>>| Linear {
            weight: Initializer::Zeros.init([3 * inner, heads], device),
            bias: Some(bias),
        };
        let steps = (heads.max(2) - 1) as f32;
        let forget: Vec<f32> = (0..heads).map(|head| 3.0 + 3.0 * head as f32 / steps).collect();
        Self {
            input: linear(width, inner, small),
            gate: linear(width, inner, small),
            convolution: CausalConvolution::new(inner, config.convolution, true, device),
            query: blocks(),
            key: blocks(),
            value: blocks(),
            input_gate: gate(normal(0.1).init([heads], device)),
            forget_gate: gate(Param::from_tensor(Tensor::from_data(forget.as_slice(), device))),
            scale: Initializer::Zeros.init([inner], device),
            skip: Initializer::Ones.init([inner], device),
            output: linear(inner, width, 2.0 / (build.depth.blocks as f64 * (width as f64).sqrt())),
            heads,
            epsilon: config.epsilon,
            norm_epsilon: config.norm_epsilon,
        }
    }

    /// Real tokens behind `window` and `before`, and what both are behind them.
    fn run(
        &self,
        tokens: Tensor<3>,
        window: Option<Tensor<3>>,
        before: Option<MatrixMemory>,
    ) -> (Tensor<3>, Option<Tensor<3>>, MatrixMemory) {
        let [batch, length, width] = tokens.dims();
        let inputs = self.input.forward(tokens.clone());
        let (seen, window) = self.convolution.forward(inputs.clone(), window);
        let seen = silu(seen);
        let (query, key, value) =
            (self.query.forward(seen.clone()), self.key.forward(seen.clone()), self.value.forward(inputs));
        let all = Tensor::cat(vec![query.clone(), key.clone(), value.clone()], 2);
        let input = self.input_gate.forward(all.clone()).swap_dims(1, 2);
        let forget = log_sigmoid(self.forget_gate.forward(all)).swap_dims(1, 2);
        let [query, key, value] = [query, key, value].map(|values| split(self.heads, values));
        let inputs = MatrixMemoryInputs { query, key, value, input, forget };
        let (read, memory) = matrix_memory(inputs, before, self.epsilon);
        let read = head_norm(read, self.norm_epsilon) * (self.scale.val() + 1.0).unsqueeze();
        let read = read + seen * self.skip.val().unsqueeze();
        let output = self.output.forward(read * silu(self.gate.forward(tokens)));
        assert_shape!(output, [batch, length, width]);
        (output, window, memory)
    }
}

impl Mixer for ProjectedMatrixLstm {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        without_padding(tokens, context.mask.as_ref(), |tokens| self.run(tokens, None, None).0)
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.input, &self.gate, &self.input_gate, &self.forget_gate, &self.output];
        let linears: usize = linears.iter().map(|linear| 2 * linear.weight.lazy_shape().num_elements()).sum();
        let blocks: u64 = [&self.query, &self.key, &self.value].iter().map(|map| map.flops()).sum();
        let inner = self.scale.lazy_shape().num_elements();
        // Writing to the memory, which also holds the normalizer, and reading it; as the recurrent form counts.
        let memory = 4 * inner * (inner / self.heads + 1);
        length as u64 * ((linears + memory) as u64 + blocks + self.convolution.flops())
    }
}

impl Recurrent for ProjectedMatrixLstm {
    fn state(&self, batch: usize, device: &Device) -> State {
        let weight = self.scale.val();
        let size = weight.dims()[0] / self.heads;
        let options = (device, weight.dtype());
        let state = State::new()
            .with(MEMORY, Tensor::<4>::zeros([batch, self.heads, size, size + 1], options))
            .with(MAXIMUM, Tensor::<2>::zeros([batch, self.heads], options));
        match self.convolution.window(batch, device) {
            Some(window) => state.with(WINDOW, window),
            None => state,
        }
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let before = state.take(MEMORY).zip(state.take(MAXIMUM));
        let before = before.map(|(memory, maximum)| MatrixMemory { memory, maximum });
        let (output, window, after) = self.run(tokens, state.take(WINDOW), before);
        state.set(MEMORY, after.memory);
        state.set(MAXIMUM, after.maximum);
        if let Some(window) = window {
            state.set(WINDOW, window);
        }
        state.position += length;
        output
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_conformance::Property;

    #[test]
    fn the_block_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let default = ProjectedMatrixLstmConfig::default();
        for config in [
            default.clone(),
            ProjectedMatrixLstmConfig {
                heads: 3,
                inner: Some(6),
                convolution: 1,
                projection_block: 2,
                ..default
            },
        ] {
            let build = |width: usize, device: &Device| config.init(width, &Build::new(&registry, device));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(Property::Recurrence));
        }
    }

    #[test]
    fn what_does_not_divide_is_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let default = ProjectedMatrixLstmConfig::default();
        for (config, named) in [
            (ProjectedMatrixLstmConfig { heads: 3, ..default.clone() }, "`heads`: 3 does not divide"),
            (
                ProjectedMatrixLstmConfig { projection_block: 5, ..default.clone() },
                "`projection_block`: 5 does not",
            ),
            (ProjectedMatrixLstmConfig { heads: 0, ..default.clone() }, "`heads`: 0"),
            (ProjectedMatrixLstmConfig { epsilon: -1.0, ..default }, "`epsilon`: -1"),
        ] {
            let message = config.build(8, &Build::new(&registry, &device)).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
