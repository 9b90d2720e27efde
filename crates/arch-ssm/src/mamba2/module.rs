//! Mamba-2's mixer, all tokens at once and behind a state.

use ansatz_core::{Context, Mixer, Recurrent, State};
use ansatz_ops::{CausalConvolution, Linear, LinearAttention, LogDecay, silu, softplus, unit_values};
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use super::parts::Sizes;
use super::{Gate, Mamba2Config, PartScales};
use crate::parts::{linear, logarithms, ones, parameter, real, step_bias};

/// Mamba-2 (Dao and Gu 2024, section 7 and figure 6).
///
/// ```text
/// [z x B C s] = X W_in        [x B C] ← silu(conv([x B C]))
/// Δ = softplus(s + b_Δ), held between the shortest and the longest step       A = −exp(A_log)
/// S_t = exp(Δ_t A) S_{t−1} + B_t (Δ_t x_t)ᵀ           for each head
/// y_t = S_tᵀ C_t + D x_t
/// output = gate(y, z) W_out
/// ```
///
/// The recurrence is that of linear attention with a decay for each head, with C for queries, B for keys and
/// Δ x for values (section 5).
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Mamba2 {
    /// W_in `[width, 2 channels + 2 groups × state + heads]`.
    pub input: Linear,
    /// x, B and C with the tokens before.
    pub convolution: CausalConvolution,
    /// b_Δ `[heads]`.
    pub step_bias: Param<Tensor<1>>,
    /// A_log `[heads]`.
    pub rate: Param<Tensor<1>>,
    /// D `[heads]`.
    pub skip: Param<Tensor<1>>,
    /// Gates y by z.
    pub gate: Gate,
    /// W_out `[channels, width]`.
    pub output: Linear,
    #[module(skip)]
    sizes: Sizes,
    #[module(skip)]
    scales: PartScales,
    shortest_step: f64,
    longest_step: Option<f64>,
}

/// What tokens are mapped to, for each head.
struct Mapped {
    /// z `[batch, length, channels]`.
    gate: Tensor<3>,
    /// x `[batch, heads, length, channels / heads]`.
    x: Tensor<4>,
    /// B `[batch, heads, length, state]`.
    input: Tensor<4>,
    /// C `[batch, heads, length, state]`.
    output: Tensor<4>,
    /// Δ `[batch, heads, length]`.
    step: Tensor<3>,
    /// What the convolution still sees.
    window: Option<Tensor<3>>,
}

/// Names of the state's tensors: what the convolution still sees, `[batch, window − 1, channels of x, B and C]`,
/// and S, `[batch, heads, state, channels / heads]`.
const WINDOW: &str = "window";
const STATE: &str = "state";

impl Mamba2 {
    pub(super) fn new(width: usize, sizes: Sizes, config: &Mamba2Config, device: &Device) -> Self {
        let Sizes { channels, heads, .. } = sizes;
        let (window, bias) = (config.window, config.convolution_bias);
        Self {
            input: linear(width, sizes.mapped(), config.bias, device),
            convolution: CausalConvolution::new(sizes.convolved(), window, bias, device),
            step_bias: step_bias(heads, device),
            rate: parameter(logarithms(heads, device)),
            skip: ones(heads, device),
            gate: Gate::new(channels, config, device),
            output: linear(channels, width, config.bias, device),
            sizes,
            scales: config.scales,
            shortest_step: config.shortest_step,
            longest_step: config.longest_step,
        }
    }

    /// Δ `[batch, heads, length]`.
    fn steps(&self, step: Tensor<3>) -> Tensor<3> {
        let step = softplus(step + self.step_bias.val().unsqueeze()).swap_dims(1, 2);
        let step = if self.shortest_step > 0.0 { step.clamp_min(self.shortest_step) } else { step };
        match self.longest_step {
            Some(longest) => step.clamp_max(longest),
            None => step,
        }
    }

    /// What the recurrence reads.
    fn map(&self, tokens: Tensor<3>, mask: Option<&Tensor<2, Bool>>, window: Option<Tensor<3>>) -> Mapped {
        let [batch, length, _] = tokens.dims();
        let mapped = self.input.forward(real(tokens, mask));
        assert_shape!(mapped, [batch, length, self.sizes.mapped()]);
        let [gate, convolved, step] = self.sizes.split(mapped, &self.scales);
        let (convolved, window) = self.convolution.forward(convolved, window);
        let [x, input, output] = self.sizes.heads(real(silu(convolved), mask));
        Mapped { gate, x, input, output, step: self.steps(step), window }
    }

    /// y of values `x`, and the state behind the last token.
    fn mix(
        &self,
        x: Tensor<4>,
        [output, input]: [Tensor<4>; 2],
        step: Tensor<3>,
        state: Option<Tensor<4>>,
    ) -> (Tensor<4>, Tensor<4>) {
        let heads = self.sizes.heads;
        let rate = self.rate.val().exp().neg().reshape([1, heads, 1]);
        let recurrence = LinearAttention {
            query: output,
            key: input,
            value: x.clone() * step.clone().unsqueeze_dim(3),
            decay: LogDecay::Head(step * rate),
            bonus: None,
            state,
        };
        let (read, state) = recurrence.run();
        (read + x * self.skip.val().reshape([1, heads, 1, 1]), state)
    }

    /// The outputs, and window and state behind the last token.
    fn run(
        &self,
        tokens: Tensor<3>,
        mask: Option<&Tensor<2, Bool>>,
        window: Option<Tensor<3>>,
        state: Option<Tensor<4>>,
    ) -> (Tensor<3>, Option<Tensor<3>>, Tensor<4>) {
        let [batch, length, width] = tokens.dims();
        let channels = self.sizes.channels;
        let Mapped { gate, x, input, output, step, window } = self.map(tokens, mask, window);
        let (y, state) = self.mix(x, [output, input], step, state);
        let y = y.swap_dims(1, 2).reshape([batch, length, channels]);
        let output = self.output.forward(self.gate.forward(y, gate));
        assert_shape!(output, [batch, length, width]);
        (output, window, state)
    }
}

impl Mixer for Mamba2 {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        self.run(tokens, context.mask.as_ref(), None, None).0
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    /// y of x, token by token, for each head: the matrix L ∘ (C Bᵀ) of section 5, with Δ and D in it.
    fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        let Mapped { input, output, step, .. } = self.map(tokens, context.mask.as_ref(), None);
        Some(self.mix(unit_values(&input), [output, input], step, None).0)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.input, &self.output];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        // For each number of the state: fading, adding a product, and the reading.
        let recurrence = 5 * self.sizes.channels * self.sizes.state;
        length as u64 * (2 * projections as u64 + self.convolution.flops() + recurrence as u64)
    }
}

impl Recurrent for Mamba2 {
    fn state(&self, batch: usize, device: &Device) -> State {
        let Sizes { channels, heads, state, .. } = self.sizes;
        let zeros =
            Tensor::<4>::zeros([batch, heads, state, channels / heads], (device, self.rate.val().dtype()));
        let state = State::new().with(STATE, zeros);
        match self.convolution.window(batch, device) {
            Some(window) => state.with(WINDOW, window),
            None => state,
        }
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let (window, before) = (state.take::<3>(WINDOW), state.take::<4>(STATE));
        let (output, window, after) = self.run(tokens, None, window, before);
        if let Some(window) = window {
            state.set(WINDOW, window);
        }
        state.set(STATE, after);
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
    use crate::Gating;
    use ansatz_core::BoxedMixer;

    #[test]
    fn mamba_2_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = Mamba2Config { state: 3, heads: 2, ..Mamba2Config::default() };
        let scales = PartScales { gate: 0.5, x: 0.7, input: 0.9, output: 1.1, step: 1.3 };
        for config in [
            default.clone(),
            Mamba2Config { groups: 2, window: 1, bias: true, gating: Gating::NormBefore, ..default.clone() },
            Mamba2Config {
                channels: Some(12),
                heads: 4,
                groups: 2,
                convolution_bias: false,
                shortest_step: 0.002,
                longest_step: Some(0.05),
                gating: Gating::Plain,
                scales,
                ..default
            },
        ] {
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn operations_are_counted() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = Mamba2Config { state: 2, window: 3, ..Mamba2Config::default() };
        let layer = config.build(8, &device).unwrap();
        // Into a gate of 16, 16 + 2 × 2 convolved values and 4 steps, and out of 16.
        let projections = 8 * (16 + 20 + 4) + 16 * 8;
        assert_eq!(layer.flops(3), 3 * (2 * projections + 2 * 3 * 20 + 5 * 16 * 2));
    }
}
