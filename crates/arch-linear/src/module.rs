//! The mixer that linear attention, retention, gated linear attention and HGRN2 have in common.

use ansatz_core::{Context, Mixer, Recurrent, State};
use ansatz_ops::{Linear, LinearAttention, LogDecay, Norm, Rotary, silu, unit_values, without_padding};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::decay::{ForgetGate, LowRankDecay, constant};
use crate::feature_map::FeatureMap;
use crate::heads::{join, repeat, split};
use crate::projection::{Projection, linear_flops};

/// Linear attention with any of its decays.
///
/// ```text
/// q = φ(X W_q) · scale    k = φ(X W_k)    v = X W_v        for each head, with short convolutions where wanted
/// o_t = S_tᵀ q_t          S_t = Diag(a_t) S_{t−1} + k_t v_tᵀ
/// output = (norm(o) ⊙ silu(X W_g)) W_o
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct LinearMixer {
    /// W_q `[width, heads × key]`.
    pub query: Projection,
    /// W_k `[width, key_value_heads × key]`; absent where the forget gate makes the keys.
    pub key: Option<Projection>,
    /// W_v `[width, key_value_heads × value]`.
    pub value: Projection,
    /// φ of the queries.
    pub query_map: FeatureMap,
    /// φ of the keys.
    pub key_map: FeatureMap,
    /// The decay of gated linear attention.
    pub decay: Option<LowRankDecay>,
    /// The decay and keys of HGRN2.
    pub forget: Option<ForgetGate>,
    /// Over the values of each head, or of all.
    pub norm: Option<Norm>,
    /// W_g `[width, heads × value]`.
    pub gate: Option<Linear>,
    /// W_o `[heads × value, width]`.
    pub output: Linear,
    #[module(skip)]
    pub(crate) settings: Settings,
}

/// What a [`LinearMixer`] has besides its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) heads: usize,
    pub(crate) key_value_heads: usize,
    /// Whether queries are divided by the square root of their features.
    pub(crate) scaled: bool,
    /// How queries and keys are turned by their positions.
    pub(crate) rotary: Option<Rotary>,
    /// Whether queries, and keys, are divided by the sum of their features.
    pub(crate) unit_sum: [bool; 2],
    /// Added to the sum of a query's products with all keys, by which outputs are divided; `None`: they are not.
    pub(crate) average: Option<f64>,
    /// Log decays of the heads that are constants.
    pub(crate) constant: Option<Vec<f64>>,
    /// Whether the norm is over all heads together.
    pub(crate) joined_norm: bool,
}

/// Names of the state's tensors: the matrices `[batch, heads, key, value]`, and what the convolutions saw.
const MEMORY: &str = "memory";
const QUERY: &str = "query";
const KEY: &str = "key";
const VALUE: &str = "value";

/// Keeps a division by a sum of features finite: fla's value.
const UNIT_SUM_EPSILON: f64 = 1e-4;

impl LinearMixer {
    /// Features of a key, and values of a value with the sum that an average needs.
    fn memory(&self) -> [usize; 2] {
        let Settings { heads, key_value_heads, .. } = self.settings;
        let [_, queries] = self.query.linear.weight.dims();
        let [_, values] = self.value.linear.weight.dims();
        let extra = usize::from(self.settings.average.is_some());
        [self.query_map.features(queries / heads), values / key_value_heads + extra]
    }

    /// The maps that the keys, or the forget gate, come from.
    fn key_projection(&self) -> Option<&Projection> {
        self.key.as_ref().or(self.forget.as_ref().map(|forget| &forget.projection))
    }

    /// Query, key and value of the next tokens, and how the state fades.
    fn compare(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> ([Tensor<4>; 3], LogDecay) {
        let Settings { heads, key_value_heads, .. } = self.settings;
        let group = heads / key_value_heads;
        let shared = |tokens: Tensor<3>| repeat(split(tokens, key_value_heads), group);
        let query = split(self.query.advance(tokens.clone(), QUERY, state), heads);
        let value = shared(self.value.advance(tokens.clone(), VALUE, state));
        let keys = self.key_projection().map(|keys| keys.advance(tokens.clone(), KEY, state));
        let keys = keys.expect("every config gives keys or a forget gate");
        let (key, log) = match (&self.forget, &self.decay) {
            (Some(forget), _) => {
                let (key, log) = forget.open(keys, context);
                (key, Some(log))
            }
            (None, decay) => (keys, decay.as_ref().map(|decay| decay.forward(tokens))),
        };
        let decay = match (log, &self.settings.constant) {
            (Some(log), _) => LogDecay::Channel(shared(log)),
            (None, Some(constants)) => constant(constants, &query),
            (None, None) => LogDecay::None,
        };
        ([query, shared(key), value], decay)
    }

    /// The next tokens behind `state`.
    fn advance(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        let outputs = self.recall(tokens.clone(), state, context, |value| value);
        self.leave(outputs, tokens)
    }

    /// o of the next tokens behind `state`, where `values` are put in the place of theirs.
    fn recall(
        &self,
        tokens: Tensor<3>,
        state: &mut State,
        context: &Context,
        values: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let [_, length, _] = tokens.dims();
        let ([mut query, mut key, value], decay) = self.compare(tokens, state, context);
        let mut value = values(value);
        if let Some(rotary) = &self.settings.rotary {
            let turn =
                |values: Tensor<4>| rotary.forward(values.swap_dims(1, 2), state.position).swap_dims(1, 2);
            [query, key] = [query, key].map(turn);
        }
        let unit = |features: Tensor<4>, wanted: bool| {
            if !wanted {
                return features;
            }
            features.clone() / (features.sum_dim(3) + UNIT_SUM_EPSILON)
        };
        let [unit_queries, unit_keys] = self.settings.unit_sum;
        query = unit(self.query_map.forward(query), unit_queries);
        key = unit(self.key_map.forward(key), unit_keys);
        if self.settings.scaled {
            query = query.clone() * (query.dims()[3] as f64).powf(-0.5);
        }
        if self.settings.average.is_some() {
            // One more value of 1 for each key adds up to the sum of the products.
            let one = value.clone().narrow(3, 0, 1).ones_like();
            value = Tensor::cat(vec![value, one], 3);
        }
        let recurrence =
            LinearAttention { query, key, value, decay, bonus: None, state: state.take::<4>(MEMORY) };
        let (mut outputs, memory) = recurrence.run();
        state.set(MEMORY, memory);
        state.position += length;
        if let Some(epsilon) = self.settings.average {
            let values = outputs.dims()[3] - 1;
            let sum = outputs.clone().narrow(3, values, 1) + epsilon;
            outputs = outputs.narrow(3, 0, values) / sum;
        }
        outputs
    }

    /// Norm, gate and the map back to the width.
    fn leave(&self, outputs: Tensor<4>, tokens: Tensor<3>) -> Tensor<3> {
        let outputs = match &self.norm {
            Some(norm) if self.settings.joined_norm => norm.forward(join(outputs)),
            Some(norm) => join(norm.forward(outputs)),
            None => join(outputs),
        };
        self.output.forward(match &self.gate {
            Some(gate) => outputs * silu(gate.forward(tokens)),
            None => outputs,
        })
    }
}

impl Mixer for LinearMixer {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let device = tokens.device();
        let output = without_padding(tokens, context.mask.as_ref(), |tokens| {
            self.advance(tokens, &mut self.state(batch, &device), context)
        });
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    /// o of v, token by token, for each head. Of rows with padding, whose tokens change places, there is no reading.
    fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        if context.mask.is_some() {
            return None;
        }
        let [batch, _, _] = tokens.dims();
        let mut state = self.state(batch, &tokens.device());
        // Its matrices are as wide as the values; without any they begin with zeros.
        state.take::<4>(MEMORY);
        Some(self.recall(tokens, &mut state, context, |value| unit_values(&value)))
    }

    fn flops(&self, length: usize) -> u64 {
        let projections = [Some(&self.query), self.key_projection(), Some(&self.value)];
        let projections: u64 = projections.into_iter().flatten().map(Projection::flops).sum();
        let linears = [self.gate.as_ref(), Some(&self.output)];
        let linears: u64 = linears.into_iter().flatten().map(linear_flops).sum();
        let heads = self.settings.heads as u64;
        let [key, value] = self.memory().map(|size| size as u64);
        // For each head the state is faded, added to and read.
        let recurrence = heads * 5 * key * value;
        let maps = heads * (self.query_map.flops() + self.key_map.flops());
        let decay = self.decay.as_ref().map_or(0, LowRankDecay::flops);
        length as u64 * (projections + linears + recurrence + maps + decay)
    }
}

impl Recurrent for LinearMixer {
    fn state(&self, batch: usize, device: &Device) -> State {
        let dtype = self.output.dtype();
        let [key, value] = self.memory();
        let shape = [batch, self.settings.heads, key, value];
        let mut state = State::new().with(MEMORY, Tensor::<4>::zeros(shape, (device, dtype)));
        let projections =
            [(QUERY, Some(&self.query)), (KEY, self.key_projection()), (VALUE, Some(&self.value))];
        for (name, projection) in projections {
            if let Some(projection) = projection {
                projection.enter(name, batch, device, &mut state);
            }
        }
        state
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        self.advance(tokens, state, context)
    }

    fn constant_state(&self) -> bool {
        true
    }
}
