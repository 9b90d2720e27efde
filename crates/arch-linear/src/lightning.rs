//! Lightning attention, as in MiniMax-01.

use ansatz_core::{
    BoxedMixer, Build, Component, ConfigError, Context, Depth, Mixer, MixerConfig, Recurrent, Registry,
    Result, State,
};
use ansatz_ops::{Linear, LinearAttention, Norm, NormConfig, sigmoid, silu, without_padding};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::decay::constant;
use crate::heads::{join, split};
use crate::projection::{linear, linear_flops};

/// Lightning attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LightningAttentionConfig {
    /// Heads, at least 1. They must divide the width unless `head_width` is given.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Values of each head's query, key and value, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_width: Option<usize>,
    /// Added to the mean square of the output, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for LightningAttentionConfig {
    fn default() -> Self {
        Self { heads: 4, head_width: None, epsilon: 1e-6 }
    }
}

impl Component for LightningAttentionConfig {
    const KIND: &'static str = "lightning-attention";
    const ABOUT: &'static str =
        "lightning attention: linear attention that forgets at a rate of its own in each head and block";
    const CITATION: &'static str = "MiniMax, MiniMax-01: Scaling Foundation Models with Lightning Attention, 2025, \
        arXiv:2501.08313; Qin et al., Lightning Attention-2, 2024, arXiv:2401.04658";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::counts(&[("heads", Some(self.heads)), ("head_width", self.head_width)])?;
        check::epsilon(self.epsilon)
    }
}

/// `−λ_h` for each head: ALiBi's slopes `2^(−8h/heads)`, h from 1, the smaller the deeper the block, so that deeper
/// blocks look further back (Qin et al., TransNormerLLM, 2023, arXiv:2307.14995, equation 7). The small terms are
/// those of the published code.
fn decays(heads: usize, depth: Depth) -> Vec<f64> {
    let deep = 1.0 - depth.index as f64 / (depth.blocks as f64 - 1.0 + 1e-5) + 1e-5;
    (1..=heads).map(|head| -(-8.0 * head as f64 / heads as f64).exp2() * deep).collect()
}

impl LightningAttentionConfig {
    /// Builds the mixer of a block at `depth` for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or `width` cannot be divided among the heads.
    pub fn build(
        &self,
        width: usize,
        depth: Depth,
        device: &Device,
    ) -> Result<LightningAttention, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let inner = self.heads * check::head_width("head_width", self.head_width, width, self.heads)?;
        Ok(LightningAttention {
            mixed: linear([width, 3 * inner], false, device),
            norm: NormConfig::rms(self.epsilon).init(inner, device),
            gate: linear([width, inner], false, device),
            output: linear([inner, width], false, device),
            decays: decays(self.heads, depth),
        })
    }
}

impl MixerConfig for LightningAttentionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.depth, build.device)?))
    }
}

/// Linear attention with a constant decay for each head.
///
/// ```text
/// [q, k, v] = silu(X W) for each head        S_t = exp(−λ) S_{t−1} + k_t v_tᵀ        o_t = S_tᵀ q_t
/// output = (rms(o) ⊙ σ(X W_g)) W_o
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct LightningAttention {
    /// W `[width, heads × 3 × head_width]`: query, key and value of each head stand together.
    pub mixed: Linear,
    /// Over all heads together.
    pub norm: Norm,
    /// W_g `[width, heads × head_width]`.
    pub gate: Linear,
    /// W_o `[heads × head_width, width]`.
    pub output: Linear,
    #[module(skip)]
    decays: Vec<f64>,
}

/// The name of the matrices `[batch, heads, head_width, head_width]` in the state.
const MEMORY: &str = "memory";

impl LightningAttention {
    fn head_width(&self) -> usize {
        let [_, mixed] = self.mixed.weight.lazy_shape().dims();
        mixed / (3 * self.decays.len())
    }

    /// The next tokens behind `state`.
    fn advance(&self, tokens: Tensor<3>, state: &mut State) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let mixed = split(silu(self.mixed.forward(tokens.clone())), self.decays.len());
        let part = |index: usize| mixed.clone().narrow(3, index * self.head_width(), self.head_width());
        let (query, key, value) = (part(0), part(1), part(2));
        let decay = constant(&self.decays, &query);
        let state_before = state.take::<4>(MEMORY);
        let recurrence = LinearAttention { query, key, value, decay, bonus: None, state: state_before };
        let (outputs, memory) = recurrence.run();
        state.set(MEMORY, memory);
        state.position += length;
        self.output.forward(self.norm.forward(join(outputs)) * sigmoid(self.gate.forward(tokens)))
    }
}

impl Mixer for LightningAttention {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let device = tokens.device();
        let output = without_padding(tokens, context.mask.as_ref(), |tokens| {
            self.advance(tokens, &mut self.state(batch, &device))
        });
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears: u64 = [&self.mixed, &self.gate, &self.output].into_iter().map(linear_flops).sum();
        // For each head the state is faded, added to and read.
        let recurrence = 5 * self.decays.len() * self.head_width() * self.head_width();
        length as u64 * (linears + recurrence as u64)
    }
}

impl Recurrent for LightningAttention {
    fn state(&self, batch: usize, device: &Device) -> State {
        let shape = [batch, self.decays.len(), self.head_width(), self.head_width()];
        State::new().with(MEMORY, Tensor::<4>::zeros(shape, (device, self.output.dtype())))
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        self.advance(tokens, state)
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightning_attention_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for (heads, head_width, index) in [(4, None, 0), (2, Some(3), 2)] {
            let config =
                LightningAttentionConfig { heads, head_width, ..LightningAttentionConfig::default() };
            let depth = Depth { index, blocks: 3 };
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, depth, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn deeper_blocks_and_later_heads_look_further_back() {
        let first = decays(4, Depth { index: 0, blocks: 3 });
        let last = decays(4, Depth { index: 2, blocks: 3 });
        assert!((first[0] + 0.25).abs() < 1e-4, "{first:?}");
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]) && first[3] < last[0] && last[0] < 0.0);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = LightningAttentionConfig::default;
        for (config, key) in [
            (LightningAttentionConfig { heads: 0, ..default() }, "heads"),
            (default(), "heads"),
            (LightningAttentionConfig { head_width: Some(0), ..default() }, "head_width"),
            (LightningAttentionConfig { epsilon: 0.0, ..default() }, "epsilon"),
        ] {
            let message = config.build(10, Depth::default(), &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
