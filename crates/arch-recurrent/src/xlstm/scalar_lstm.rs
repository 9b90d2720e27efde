//! The scalar memory of xLSTM, whose gates see the state.

use ansatz_core::{
    BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Recurrent, Registry, Result,
    State,
};
use ansatz_ops::{CausalConvolution, ScalarMemory, scalar_memory, silu, without_padding};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::heads::head_norm;
use crate::BlockLinear;

/// xLSTM's scalar memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScalarLstmConfig {
    /// Heads, at least 1, a divisor of the width: the state of a head sees no other one.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Tokens that the convolution in front of the input and forget gates sees, 1 up to 64.
    #[schemars(range(min = 1, max = 64))]
    pub convolution: usize,
    /// Added to the variance of what a head reads, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub norm_epsilon: f64,
}

impl Default for ScalarLstmConfig {
    fn default() -> Self {
        Self { heads: 4, convolution: 4, norm_epsilon: 1e-5 }
    }
}

impl Component for ScalarLstmConfig {
    const KIND: &'static str = "slstm";
    const ABOUT: &'static str =
        "xLSTM's scalar memory: an LSTM with exponential gates and heads, token by token alone";
    const CITATION: &'static str =
        "Beck et al., xLSTM: Extended Long Short-Term Memory, 2024, arXiv:2405.04517";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.heads == 0 {
            return Err(ConfigError::value("heads", "0", "at least 1"));
        }
        if !(1..=64).contains(&self.convolution) {
            return Err(ConfigError::value("convolution", self.convolution.to_string(), "1 up to 64"));
        }
        if !(self.norm_epsilon > 0.0 && self.norm_epsilon <= 1.0) {
            return Err(ConfigError::value("norm_epsilon", self.norm_epsilon.to_string(), "above 0 up to 1"));
        }
        Ok(())
    }
}

impl ScalarLstmConfig {
    /// Builds the memory for tokens of `width` values, at `build.depth`.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the width.
    pub fn build(&self, width: usize, build: &Build) -> Result<ScalarLstm, ConfigError> {
        self.clone().complete(build.registry)?;
        if width == 0 || !width.is_multiple_of(self.heads) {
            let problem = format!("{} heads do not divide a width of {width}", self.heads);
            return Err(ConfigError::value("heads", problem, format!("a divisor of {width}")));
        }
        Ok(ScalarLstm::new(width, self, build))
    }
}

impl MixerConfig for ScalarLstmConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build)?))
    }
}

/// xLSTM's scalar memory (Beck et al. 2024, arXiv:2405.04517, equations 8 to 17), with a convolution in front of two
/// gates as in its figure 9.
///
/// ```text
/// u = silu(conv(x))
/// ĩ, f̃, z̃, õ = u W_i, u W_f, x W_z, x W_o + h R + b            all maps block-diagonal
/// m' = max(log σ(f̃) + m, ĩ)                                    the first token: ĩ
/// c' = exp(log σ(f̃) + m − m') c + exp(ĩ − m') tanh z̃           n' likewise, of 1
/// h' = σ(õ) c' / n'
/// y = (1 + γ) ⊙ norm_head(h')
/// ```
///
/// The gates see the state before, so that one token can only follow the other.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct ScalarLstm {
    /// Over the tokens before, each value for itself.
    pub convolution: CausalConvolution,
    /// W_i.
    pub input_gate: BlockLinear,
    /// W_f.
    pub forget_gate: BlockLinear,
    /// W_z.
    pub candidate: BlockLinear,
    /// W_o.
    pub output_gate: BlockLinear,
    /// R `[heads, width / heads, 4 width / heads]`, gates i, f, z, o behind each other.
    pub recurrent: Param<Tensor<3>>,
    /// b `[4 width]`, gates i, f, z, o behind each other.
    pub bias: Param<Tensor<1>>,
    /// γ `[width]`.
    pub scale: Param<Tensor<1>>,
    heads: usize,
    norm_epsilon: f64,
}

/// The name of the state's last inputs of the convolution, `[batch, convolution − 1, width]`. The others are those of
/// [`ScalarMemory`], `[batch, width]` each.
const WINDOW: &str = "window";
const MEMORY: [&str; 3] = ["hidden", "cell", "normalizer"];
const MAXIMUM: &str = "maximum";

impl ScalarLstm {
    /// Drawn as the published networks are: gates normal with deviation √(2 / 5 width), R zero, forget biases from
    /// 5 down to −7 within each head by a power that grows along the depth, the other biases zero.
    fn new(width: usize, config: &ScalarLstmConfig, build: &Build) -> Self {
        let (heads, device) = (config.heads, build.device);
        let size = width / heads;
        let normal = Initializer::Normal { mean: 0.0, std: (2.0 / (5.0 * width as f64)).sqrt() };
        let gate = || BlockLinear::new([heads, size, size], &normal, false, device);
        let depth = build.depth.index as f32 / build.depth.blocks.saturating_sub(1).max(1) as f32;
        let forget = |value: usize| {
            let place = (value % size) as f32 / (size.max(2) - 1) as f32;
            5.0 - 12.0 * place.powf(0.3 + 1.3 * depth)
        };
        let bias: Vec<f32> =
            (0..4 * width).map(|at| if at / width == 1 { forget(at % width) } else { 0.0 }).collect();
        Self {
            convolution: CausalConvolution::new(width, config.convolution, true, device),
            input_gate: gate(),
            forget_gate: gate(),
            candidate: gate(),
            output_gate: gate(),
            recurrent: Initializer::Zeros.init([heads, size, 4 * size], device),
            bias: Param::from_tensor(Tensor::from_data(bias.as_slice(), device)),
            scale: Initializer::Zeros.init([width], device),
            heads,
            norm_epsilon: config.norm_epsilon,
        }
    }

    /// `[batch, width]` → `[heads, batch, size]`.
    fn by_head(&self, vector: Tensor<2>) -> Tensor<3> {
        let [batch, width] = vector.dims();
        vector.reshape([batch, self.heads, width / self.heads]).swap_dims(0, 1)
    }

    /// Real tokens behind `window` and `before`, and what both are behind them.
    fn run(
        &self,
        tokens: Tensor<3>,
        window: Option<Tensor<3>>,
        before: ScalarMemory,
    ) -> (Tensor<3>, Option<Tensor<3>>, ScalarMemory) {
        let [batch, length, width] = tokens.dims();
        let size = width / self.heads;
        let (seen, window) = self.convolution.forward(tokens.clone(), window);
        let seen = silu(seen);
        let gates = Tensor::cat(
            vec![
                self.input_gate.forward(seen.clone()),
                self.forget_gate.forward(seen),
                self.candidate.forward(tokens.clone()),
                self.output_gate.forward(tokens),
            ],
            2,
        );
        let gates = gates + self.bias.val().unsqueeze();
        let gates = gates.reshape([batch, length, 4, self.heads, size]).permute([3, 1, 0, 2, 4]);
        let gates = gates.reshape([self.heads, length, batch, 4 * size]);
        let (read, after) = scalar_memory(gates, self.recurrent.val(), before);
        let output = head_norm(read.permute([2, 0, 1, 3]), self.norm_epsilon);
        let output = output * (self.scale.val() + 1.0).unsqueeze();
        assert_shape!(output, [batch, length, width]);
        (output, window, after)
    }

    /// The memory that nothing was written to.
    fn empty(&self, like: &Tensor<3>) -> ScalarMemory {
        let [batch, _, width] = like.dims();
        let zeros = Tensor::zeros([self.heads, batch, width / self.heads], (&like.device(), like.dtype()));
        let maximum = zeros.clone() + ScalarMemory::NOTHING;
        ScalarMemory { hidden: zeros.clone(), cell: zeros.clone(), normalizer: zeros, maximum }
    }
}

impl Mixer for ScalarLstm {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        without_padding(tokens, context.mask.as_ref(), |tokens| {
            let before = self.empty(&tokens);
            self.run(tokens, None, before).0
        })
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let gates = [&self.input_gate, &self.forget_gate, &self.candidate, &self.output_gate];
        let gates: u64 = gates.iter().map(|gate| gate.flops()).sum();
        let recurrent = 2 * self.recurrent.lazy_shape().num_elements() as u64;
        length as u64 * (gates + recurrent + self.convolution.flops())
    }
}

impl Recurrent for ScalarLstm {
    fn state(&self, batch: usize, device: &Device) -> State {
        let scale = self.scale.val();
        let [width] = scale.dims();
        let zeros = || Tensor::<2>::zeros([batch, width], (device, scale.dtype()));
        let state = MEMORY.iter().fold(State::new(), |state, name| state.with(name, zeros()));
        let state = state.with(MAXIMUM, zeros() + ScalarMemory::NOTHING);
        match self.convolution.window(batch, device) {
            Some(window) => state.with(WINDOW, window),
            None => state,
        }
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let mut before = self.empty(&tokens);
        let parts = [&mut before.hidden, &mut before.cell, &mut before.normalizer, &mut before.maximum];
        for (part, name) in parts.into_iter().zip(MEMORY.into_iter().chain([MAXIMUM])) {
            if let Some(kept) = state.take::<2>(name) {
                *part = self.by_head(kept);
            }
        }
        let (output, window, after) = self.run(tokens, state.take(WINDOW), before);
        let parts = [after.hidden, after.cell, after.normalizer, after.maximum];
        for (part, name) in parts.into_iter().zip(MEMORY.into_iter().chain([MAXIMUM])) {
            state.set(name, part.swap_dims(0, 1).reshape([batch, width]));
        }
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
    fn the_scalar_memory_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let default = ScalarLstmConfig::default();
        for config in
            [ScalarLstmConfig { heads: 2, ..default.clone() }, ScalarLstmConfig { convolution: 1, ..default }]
        {
            let build = |width: usize, device: &Device| config.init(width, &Build::new(&registry, device));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(Property::Recurrence));
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let default = ScalarLstmConfig::default();
        for (config, named) in [
            (ScalarLstmConfig { heads: 3, ..default.clone() }, "3 heads do not divide a width of 8"),
            (ScalarLstmConfig { convolution: 65, ..default.clone() }, "`convolution`: 65"),
            (ScalarLstmConfig { norm_epsilon: 2.0, ..default }, "`norm_epsilon`: 2"),
        ] {
            let message = config.build(8, &Build::new(&registry, &device)).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
