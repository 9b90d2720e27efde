//! RWKV-6: a decaying matrix for each head, where everything depends on the tokens.

use ansatz_core::{
    BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Recurrent, Registry, Result,
    State,
};
use ansatz_ops::{Linear, LinearAttention, LogDecay, silu, without_padding};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draw::linear;
use crate::heads::{join, split};
use crate::low_rank::{Between, LowRank};
use crate::norm::HeadNorm;
use crate::shift::Shifted;

/// The time mixing of RWKV-6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rwkv6Config {
    /// Heads, at least 1. They must divide the width unless `head_key_width` and `head_value_width` are given.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Values of each head's key and receptance, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_key_width: Option<usize>,
    /// Values of each head's value, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_value_width: Option<usize>,
    /// Values through which each of the five mixtures with the token before is made, at least 1.
    #[schemars(range(min = 1))]
    pub mix_rank: usize,
    /// Values through which the decay is made, at least 1.
    #[schemars(range(min = 1))]
    pub decay_rank: usize,
    /// Added to the variance of each head's output, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for Rwkv6Config {
    fn default() -> Self {
        Self {
            heads: 4,
            head_key_width: None,
            head_value_width: None,
            mix_rank: 32,
            decay_rank: 64,
            epsilon: 1e-5,
        }
    }
}

impl Component for Rwkv6Config {
    const KIND: &'static str = "rwkv-6";
    const ABOUT: &'static str = "RWKV-6 time mixing: for each head a matrix of all values so far by their keys, \
        which decays as the tokens say";
    const CITATION: &'static str = "Peng et al., Eagle and Finch: RWKV with Matrix-Valued States and Dynamic \
        Recurrence, 2024, arXiv:2404.05892";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        let counts = [
            ("heads", Some(self.heads)),
            ("head_key_width", self.head_key_width),
            ("head_value_width", self.head_value_width),
            ("mix_rank", Some(self.mix_rank)),
            ("decay_rank", Some(self.decay_rank)),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == Some(0)) {
            return Err(ConfigError::value(key, "0", "at least 1"));
        }
        if !(self.epsilon > 0.0 && self.epsilon <= 1.0) {
            return Err(ConfigError::value("epsilon", self.epsilon.to_string(), "above 0 up to 1"));
        }
        Ok(())
    }
}

impl Rwkv6Config {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the width.
    pub fn build(&self, width: usize, build: &Build) -> Result<Rwkv6, ConfigError> {
        self.clone().complete(build.registry)?;
        let device = build.device;
        let of_head = |given: Option<usize>| match given {
            Some(values) => Ok(values),
            None if width.is_multiple_of(self.heads) => Ok(width / self.heads),
            None => {
                let problem = format!("{} heads do not divide a width of {width}", self.heads);
                Err(ConfigError::value("heads", problem, format!("a divisor of {width}")))
            }
        };
        let keys = self.heads * of_head(self.head_key_width)?;
        let values = self.heads * of_head(self.head_value_width)?;
        let glorot = Initializer::XavierUniform { gain: 2.0f64.powf(-2.5) };
        let map = |shape| linear(shape, &glorot, device);
        let zeros = |count: usize| Initializer::Zeros.init([count], device);
        Ok(Rwkv6 {
            mix: zeros(width),
            mix_contract: map([width, MIXTURES * self.mix_rank]),
            mix_expand: glorot.init_with(
                [MIXTURES * self.mix_rank, width],
                Some(MIXTURES * self.mix_rank),
                Some(width),
                device,
            ),
            mixes: Initializer::Zeros.init([MIXTURES, width], device),
            receptance: map([width, keys]),
            decay: LowRank::new([width, self.decay_rank, keys], Between::Tanh, Some(zeros(keys)), device),
            key: map([width, keys]),
            value: map([width, values]),
            gate: map([width, values]),
            bonus: Initializer::Zeros.init([self.heads, keys / self.heads], device),
            norm: HeadNorm::new(values, self.heads, self.epsilon, 1.0, device),
            output: map([values, width]),
        })
    }
}

impl MixerConfig for Rwkv6Config {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build)?))
    }
}

/// Mixtures with the token before: for receptance, decay, key, value and gate, in this order.
const MIXTURES: usize = 5;

/// The time mixing of RWKV-6 (Peng et al. 2024, equations 14 to 20), head by head:
///
/// ```text
/// lerp(μ) = x_t + (x_{t−1} − x_t) ⊙ μ
/// ddlerp_i = lerp(λ_i + tanh(lerp(μ) A_i) B_i)      for r, w, k, v, g
/// log d_t = −exp(b + tanh(ddlerp_w A) B)
/// S_t = Diag(d_t) S_{t−1} + k_t v_tᵀ
/// o_t = W_o (norm((S_{t−1} + Diag(u) k_t v_tᵀ)ᵀ r_t) ⊙ silu(g_t))
/// ```
///
/// Parameters are drawn as in the fla library.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Rwkv6 {
    /// μ `[width]`.
    pub mix: Param<Tensor<1>>,
    /// All A_i beside each other, `[width, 5 × rank]`.
    pub mix_contract: Linear,
    /// All B_i below each other, `[5 × rank, width]`.
    pub mix_expand: Param<Tensor<2>>,
    /// λ `[5, width]`.
    pub mixes: Param<Tensor<2>>,
    /// W_r `[width, heads × key]`.
    pub receptance: Linear,
    /// A, B and b of the decay.
    pub decay: LowRank,
    /// W_k `[width, heads × key]`.
    pub key: Linear,
    /// W_v `[width, heads × value]`.
    pub value: Linear,
    /// W_g `[width, heads × value]`.
    pub gate: Linear,
    /// u `[heads, key]`.
    pub bonus: Param<Tensor<2>>,
    /// The norm of every head's output.
    pub norm: HeadNorm,
    /// W_o `[heads × value, width]`.
    pub output: Linear,
}

/// S, `[batch, heads, key, value]`.
const MATRIX: &str = "matrix";

impl Rwkv6 {
    /// The five mixtures of each token with the one before.
    fn mixtures(&self, tokens: &Shifted) -> [Tensor<3>; MIXTURES] {
        let few = self.mix_contract.forward(tokens.toward(self.mix.val().unsqueeze())).tanh();
        let [batch, length, ranks] = few.dims();
        let rank = ranks / MIXTURES;
        let few = few.reshape([batch * length, MIXTURES, rank]).swap_dims(0, 1);
        let [_, width] = self.mixes.lazy_shape().dims();
        let shares = few.matmul(self.mix_expand.val().reshape([MIXTURES, rank, width]));
        let shares = shares + self.mixes.val().unsqueeze_dim(1);
        std::array::from_fn(|mixture| {
            tokens.toward(shares.clone().narrow(0, mixture, 1).reshape([batch, length, width]))
        })
    }

    /// The outputs for `tokens`, and the matrix behind the last; `None` stands for zeros.
    fn mix(&self, tokens: &Shifted, matrix: Option<Tensor<4>>) -> (Tensor<3>, Tensor<4>) {
        let [heads, _] = self.bonus.lazy_shape().dims();
        let [receptance, decay, key, value, gate] = self.mixtures(tokens);
        let receptance = split(self.receptance.forward(receptance), heads);
        let log_decay = split(-self.decay.forward(decay).exp(), heads);
        let key = split(self.key.forward(key), heads);
        let value = split(self.value.forward(value), heads);
        let recurrence = LinearAttention {
            query: receptance,
            key,
            value,
            decay: LogDecay::Channel(log_decay),
            bonus: Some(self.bonus.val()),
            state: matrix,
        };
        let (read, matrix) = recurrence.run();
        let gated = self.norm.forward(join(read)) * silu(self.gate.forward(gate));
        (self.output.forward(gated), matrix)
    }
}

impl Mixer for Rwkv6 {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let output =
            without_padding(tokens, context.mask.as_ref(), |tokens| self.mix(&Shifted::new(tokens), None).0);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears =
            [&self.mix_contract, &self.receptance, &self.key, &self.value, &self.gate, &self.output];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        let projections =
            2 * (projections + self.mix_expand.lazy_shape().num_elements()) + self.decay.flops();
        let [_, key] = self.bonus.lazy_shape().dims();
        let [_, values] = self.value.weight.lazy_shape().dims();
        // For each cell of the matrix: the outer product, the bonus, the reading, the decay.
        let recurrence = 7 * key * values;
        length as u64 * (projections + recurrence) as u64
    }
}

impl Recurrent for Rwkv6 {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [width] = self.mix.lazy_shape().dims();
        let [heads, key] = self.bonus.lazy_shape().dims();
        let [_, values] = self.value.weight.lazy_shape().dims();
        let matrix = Tensor::<4>::zeros([batch, heads, key, values / heads], device);
        Shifted::state(batch, width, device).with(MATRIX, matrix)
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let (output, matrix) = self.mix(&Shifted::step(tokens, state), state.take::<4>(MATRIX));
        state.set(MATRIX, matrix);
        output
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let small = Rwkv6Config { mix_rank: 3, decay_rank: 5, ..Rwkv6Config::default() };
        for config in [
            small.clone(),
            Rwkv6Config { heads: 3, head_key_width: Some(2), head_value_width: Some(5), ..small },
        ] {
            let registry = Registry::default();
            let build = |width, device: &Device| config.init(width, &Build::new(&registry, device));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let default = Rwkv6Config::default();
        for (config, path) in [
            (Rwkv6Config { heads: 0, ..default.clone() }, "`heads`"),
            (Rwkv6Config { mix_rank: 0, ..default.clone() }, "`mix_rank`"),
            (Rwkv6Config { head_value_width: Some(0), ..default.clone() }, "`head_value_width`"),
            (Rwkv6Config { epsilon: 0.0, ..default }, "`epsilon`"),
        ] {
            let message = config.clone().complete(&Registry::default()).unwrap_err().to_string();
            assert!(message.contains(path), "{message}");
        }
        let device = ansatz_device::open("cpu").unwrap();
        let message =
            Rwkv6Config::default().build(10, &Build::new(&Registry::default(), &device)).unwrap_err();
        assert!(message.to_string().contains("4 heads do not divide a width of 10"), "{message}");
    }
}
