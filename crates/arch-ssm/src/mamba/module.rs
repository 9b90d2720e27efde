//! Mamba's mixer, all tokens at once and behind a state.

use ansatz_core::{Context, Mixer, Recurrent, State};
use ansatz_ops::{CausalConvolution, Linear, Norm, NormConfig, SelectiveScan, root_mean_square, silu};
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use crate::parts::{linear, logarithms, ones, parameter, real, step_bias};
use crate::{MambaConfig, SelectionNorm};

/// Mamba (Gu and Dao 2023, section 3.4, figure 3 and algorithm 2).
///
/// ```text
/// [x z] = X W_in              x ← silu(conv(x))
/// [s B C] = x W_x             Δ = softplus(norm(s) W_Δ + b_Δ)      A = −exp(A_log)
/// h_t = exp(Δ_t A) ⊙ h_{t−1} + Δ_t x_t norm(B_t)
/// y_t = h_t norm(C_t) + D ⊙ x_t
/// output = (y ⊙ silu(z)) W_out
/// ```
///
/// The norms are those of [`SelectionNorm`].
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Mamba {
    /// W_in `[width, 2 channels]`.
    pub input: Linear,
    /// Each channel with the tokens before.
    pub convolution: CausalConvolution,
    /// W_x `[channels, rank + 2 state]`.
    pub selection: Linear,
    /// The learned norm of s.
    pub step_norm: Option<Norm>,
    /// The learned norm of B.
    pub input_norm: Option<Norm>,
    /// The learned norm of C.
    pub output_norm: Option<Norm>,
    /// W_Δ `[rank, channels]`.
    pub step: Linear,
    /// A_log `[channels, state]`.
    pub rate: Param<Tensor<2>>,
    /// D `[channels]`.
    pub skip: Param<Tensor<1>>,
    /// W_out `[channels, width]`.
    pub output: Linear,
    #[module(skip)]
    norm: SelectionNorm,
    epsilon: f64,
}

/// Names of the state's tensors: what the convolution still sees, `[batch, window − 1, channels]`, and h,
/// `[batch, channels, state]`.
const WINDOW: &str = "window";
const STATE: &str = "state";

impl Mamba {
    pub(crate) fn new(width: usize, config: &MambaConfig, device: &Device) -> Self {
        let channels = config.channels.unwrap_or(2 * width);
        let rank = config.rank.unwrap_or_else(|| width.div_ceil(16));
        let learned = config.selection_norm == SelectionNorm::Scaled;
        let norm = |width| learned.then(|| NormConfig::rms(config.epsilon).init(width, device));
        let mut step = linear(rank, channels, false, device);
        step.bias = Some(step_bias(channels, device));
        Self {
            input: linear(width, 2 * channels, config.bias, device),
            convolution: CausalConvolution::new(channels, config.window, config.convolution_bias, device),
            selection: linear(channels, rank + 2 * config.state, false, device),
            step_norm: norm(rank),
            input_norm: norm(config.state),
            output_norm: norm(config.state),
            step,
            rate: parameter(logarithms(config.state, device).unsqueeze::<2>().repeat_dim(0, channels)),
            skip: ones(channels, device),
            output: linear(channels, width, config.bias, device),
            norm: config.selection_norm,
            epsilon: config.epsilon,
        }
    }

    /// Brings what was selected to one scale.
    fn normed(&self, selected: Tensor<3>, norm: &Option<Norm>) -> Tensor<3> {
        match (self.norm, norm) {
            (_, Some(norm)) => norm.forward(selected),
            (SelectionNorm::Plain, None) => root_mean_square(selected, self.epsilon),
            (_, None) => selected,
        }
    }

    /// The outputs, and window and state behind the last token.
    fn run(
        &self,
        tokens: Tensor<3>,
        mask: Option<&Tensor<2, Bool>>,
        window: Option<Tensor<3>>,
        state: Tensor<3>,
    ) -> (Tensor<3>, Option<Tensor<3>>, Tensor<3>) {
        let [batch, length, width] = tokens.dims();
        let [channels, numbers] = self.rate.val().dims();
        let inner = self.input.forward(real(tokens, mask));
        assert_shape!(inner, [batch, length, 2 * channels]);
        let gate = inner.clone().narrow(2, channels, channels);
        let (x, window) = self.convolution.forward(inner.narrow(2, 0, channels), window);
        let x = real(silu(x), mask);
        let selected = self.selection.forward(x.clone());
        let [_, _, selections] = selected.dims();
        let rank = selections - 2 * numbers;
        let step = self.normed(selected.clone().narrow(2, 0, rank), &self.step_norm);
        let input = self.normed(selected.clone().narrow(2, rank, numbers), &self.input_norm);
        let output = self.normed(selected.narrow(2, rank + numbers, numbers), &self.output_norm);
        let scan = SelectiveScan {
            x,
            step: self.step.forward(step),
            rate: self.rate.val().exp().neg(),
            input,
            output,
            skip: self.skip.val(),
        };
        let (y, state) = scan.scan(state);
        let output = self.output.forward(y * silu(gate));
        assert_shape!(output, [batch, length, width]);
        (output, window, state)
    }

    fn zeros(&self, batch: usize, device: &Device) -> Tensor<3> {
        let rate = self.rate.val();
        let [channels, numbers] = rate.dims();
        Tensor::zeros([batch, channels, numbers], (device, rate.dtype()))
    }
}

impl Mixer for Mamba {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let state = self.zeros(tokens.dims()[0], &tokens.device());
        self.run(tokens, context.mask.as_ref(), None, state).0
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.input, &self.selection, &self.step, &self.output];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        // For each number of the state: the decay and its exponential, two products and a sum, and the reading.
        let scan = 7 * self.rate.lazy_shape().num_elements();
        length as u64 * (2 * projections as u64 + self.convolution.flops() + scan as u64)
    }
}

impl Recurrent for Mamba {
    fn state(&self, batch: usize, device: &Device) -> State {
        let state = State::new().with(STATE, self.zeros(batch, device));
        match self.convolution.window(batch, device) {
            Some(window) => state.with(WINDOW, window),
            None => state,
        }
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let window = state.take::<3>(WINDOW);
        let before = state.take::<3>(STATE).unwrap_or_else(|| self.zeros(batch, &tokens.device()));
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
    use ansatz_core::BoxedMixer;

    #[test]
    fn mamba_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = MambaConfig { state: 4, ..MambaConfig::default() };
        for config in [
            default.clone(),
            MambaConfig {
                channels: Some(5),
                window: 1,
                bias: true,
                convolution_bias: false,
                ..default.clone()
            },
            MambaConfig { selection_norm: SelectionNorm::Plain, rank: Some(3), window: 2, ..default.clone() },
            MambaConfig { selection_norm: SelectionNorm::Scaled, state: 1, ..default },
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
        let config = MambaConfig { state: 2, window: 3, ..MambaConfig::default() };
        let layer = config.build(8, &device).unwrap();
        // Into 2 × 16 channels, selecting 1 + 2 × 2 numbers, a step from 1, and out.
        let projections = 8 * 32 + 16 * 5 + 16 + 16 * 8;
        assert_eq!(layer.flops(3), 3 * (2 * projections + 2 * 3 * 16 + 7 * 16 * 2));
    }
}
