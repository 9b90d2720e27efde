//! The matrix memory with its projections, gates and norm.

use ansatz_core::{Build, Context, Mixer, Recurrent, State};
use ansatz_ops::{Linear, MatrixMemory, MatrixMemoryInputs, log_sigmoid, matrix_memory, sigmoid};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use super::MatrixLstmConfig;
use super::heads::{head_norm, split};

/// xLSTM's matrix memory as the 7B model has it (Beck et al. 2025, arXiv:2503.13427, equations 1 to 10).
///
/// ```text
/// q, k, v = x W_q, x W_k, x W_v        o = σ(x W_o)
/// ĩ, f̃ = cap tanh((x W_i + b_i) / cap), cap tanh((x W_f + b_f) / cap)
/// h = the memory of q, k, v with the gates exp ĩ and σ(f̃), see `matrix_memory`
/// y = (o ⊙ γ ⊙ norm_head(h)) W_out
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct MatrixLstm {
    /// W_q `[width, heads × key]`.
    pub query: Linear,
    /// W_k `[width, heads × key]`.
    pub key: Linear,
    /// W_v `[width, heads × value]`.
    pub value: Linear,
    /// W_o `[width, heads × value]`.
    pub output_gate: Linear,
    /// W_i, b_i `[width, heads]`.
    pub input_gate: Linear,
    /// W_f, b_f `[width, heads]`.
    pub forget_gate: Linear,
    /// γ `[heads × value]`.
    pub scale: Param<Tensor<1>>,
    /// Added behind the scale, where there are biases: `[heads × value]`.
    pub shift: Option<Param<Tensor<1>>>,
    /// W_out `[heads × value, width]`.
    pub output: Linear,
    heads: usize,
    gate_cap: f64,
    epsilon: f64,
    norm_epsilon: f64,
}

/// Names of the state's tensors, see [`MatrixMemory`].
const MEMORY: &str = "memory";
const MAXIMUM: &str = "maximum";

impl MatrixLstm {
    /// Drawn as xLSTM 7B is (Beck et al. 2025, section 3.3): projections normal with deviation √(2 / 5 width)
    /// (Nguyen and Salazar 2019), the last one with 2 / (blocks √width); the gates begin closed and the same for
    /// all tokens, with an input bias of −10 and forget biases from 3 to 6.
    pub(super) fn new(
        width: usize,
        [key, value]: [usize; 2],
        config: &MatrixLstmConfig,
        build: &Build,
    ) -> Self {
        let (heads, device) = (config.heads, build.device);
        let normal = |std: f64| Initializer::Normal { mean: 0.0, std };
        let linear = |inputs: usize, outputs: usize, std: f64| Linear {
            weight: normal(std).init([inputs, outputs], device),
            bias: config.bias.then(|| Initializer::Zeros.init([outputs], device)),
        };
        let small = (2.0 / (5.0 * width as f64)).sqrt();
        let last = 2.0 / (build.depth.blocks as f64 * (width as f64).sqrt());
        let gate = |bias: Vec<f32>| Linear {
            weight: Initializer::Zeros.init([width, heads], device),
            bias: Some(Param::from_tensor(Tensor::from_data(bias.as_slice(), device))),
        };
        let steps = (heads.max(2) - 1) as f32;
        Self {
            query: linear(width, heads * key, small),
            key: linear(width, heads * key, small),
            value: linear(width, heads * value, small),
            output_gate: linear(width, heads * value, small),
            input_gate: gate(vec![-10.0; heads]),
            forget_gate: gate((0..heads).map(|head| 3.0 + 3.0 * head as f32 / steps).collect()),
            scale: Initializer::Ones.init([heads * value], device),
            shift: config.bias.then(|| Initializer::Zeros.init([heads * value], device)),
            output: linear(heads * value, width, last),
            heads,
            gate_cap: config.gate_cap,
            epsilon: config.epsilon,
            norm_epsilon: config.norm_epsilon,
        }
    }

    /// The logarithm of a gate before it is squashed, `[batch, heads, length]`.
    fn gate(&self, gate: &Linear, tokens: Tensor<3>) -> Tensor<3> {
        let gate = gate.forward(tokens).swap_dims(1, 2);
        if self.gate_cap == 0.0 { gate } else { (gate / self.gate_cap).tanh() * self.gate_cap }
    }

    /// What padding must not write, and must not forget.
    fn gates(&self, tokens: Tensor<3>, real: Option<&Tensor<2, Bool>>) -> [Tensor<3>; 2] {
        let input = self.gate(&self.input_gate, tokens.clone());
        let forget = log_sigmoid(self.gate(&self.forget_gate, tokens));
        let Some(real) = real else { return [input, forget] };
        let padding = real.clone().bool_not().unsqueeze_dim::<3>(1).expand(input.dims());
        [input.mask_fill(padding.clone(), f32::NEG_INFINITY), forget.mask_fill(padding, 0.0)]
    }

    /// The tokens behind `before`, and the memory behind them.
    fn run(
        &self,
        tokens: Tensor<3>,
        before: Option<MatrixMemory>,
        real: Option<&Tensor<2, Bool>>,
    ) -> (Tensor<3>, MatrixMemory) {
        let [batch, length, width] = tokens.dims();
        let [input, forget] = self.gates(tokens.clone(), real);
        let [query, key, value] =
            [&self.query, &self.key, &self.value].map(|map| split(self.heads, map.forward(tokens.clone())));
        let inputs = MatrixMemoryInputs { query, key, value, input, forget };
        let (read, memory) = matrix_memory(inputs, before, self.epsilon);
        let mut read = head_norm(read, self.norm_epsilon) * self.scale.val().unsqueeze();
        if let Some(shift) = &self.shift {
            read = read + shift.val().unsqueeze();
        }
        let gate = sigmoid(self.output_gate.forward(tokens));
        let output = self.output.forward(gate * read);
        assert_shape!(output, [batch, length, width]);
        (output, memory)
    }
}

impl Mixer for MatrixLstm {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        self.run(tokens, None, context.mask.as_ref()).0
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [
            &self.query,
            &self.key,
            &self.value,
            &self.output_gate,
            &self.input_gate,
            &self.forget_gate,
            &self.output,
        ];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        let [key, value] = [&self.query, &self.value].map(|map| map.weight.lazy_shape()[1] / self.heads);
        // Writing to the memory, which also holds the normalizer, and reading it; as the recurrent form counts.
        let memory = 2 * self.heads * key * (value + 1);
        2 * length as u64 * (projections + memory) as u64
    }
}

impl Recurrent for MatrixLstm {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [key, value] = [&self.query, &self.value].map(|map| map.weight.lazy_shape()[1] / self.heads);
        let options = (device, self.query.dtype());
        State::new()
            .with(MEMORY, Tensor::<4>::zeros([batch, self.heads, key, value + 1], options))
            .with(MAXIMUM, Tensor::<2>::zeros([batch, self.heads], options))
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let before = state.take(MEMORY).zip(state.take(MAXIMUM));
        let before = before.map(|(memory, maximum)| MatrixMemory { memory, maximum });
        let (output, after) = self.run(tokens, before, None);
        state.set(MEMORY, after.memory);
        state.set(MAXIMUM, after.maximum);
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
    use ansatz_core::{MixerConfig, Registry};

    #[test]
    fn the_matrix_memory_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let default = MatrixLstmConfig::default();
        for config in [
            default.clone(),
            MatrixLstmConfig {
                heads: 3,
                key_width: Some(2),
                value_width: Some(5),
                bias: true,
                ..default.clone()
            },
            MatrixLstmConfig { heads: 1, gate_cap: 0.0, ..default },
        ] {
            let build = |width: usize, device: &Device| config.init(width, &Build::new(&registry, device));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(Property::Recurrence));
        }
    }
}
