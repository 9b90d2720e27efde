//! The layer that all mixers of this crate are.

use ansatz_core::{Context, Mixer, Recurrent, State};
use ansatz_ops::{Decay, Linear, Norm, delta_rule, sigmoid, silu, unit_values, without_padding};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::forgetting::Forgetting;
use crate::low_rank::{LowRank, flops};
use crate::projection::Projection;
use crate::vectors::{GateActivation, KeyActivation, KeyNorm};

/// How the width is split, and which functions are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Heads of queries and keys.
    pub(crate) heads: usize,
    /// Heads of values, each with a state of its own: a multiple of `heads`.
    pub(crate) value_heads: usize,
    /// Values per query and key.
    pub(crate) key: usize,
    /// Values per value.
    pub(crate) value: usize,
    pub(crate) key_activation: KeyActivation,
    pub(crate) key_norm: KeyNorm,
    /// The largest strength of a correction, 1 or 2.
    pub(crate) strongest: f64,
    pub(crate) gate_activation: GateActivation,
}

/// A memory of keys and values that each token corrects.
///
/// ```text
/// q, k = norm(φ(conv(x W_q))) , norm(φ(conv(x W_k)))      v = silu(conv(x W_v))      β = σ(x W_β)
/// o    = delta rule of q / √key, k, v, β and what is forgotten
/// y    = (rms(o) · γ ⊙ gate(x W_g)) W_o
/// ```
///
/// Value head h uses key head `h / (value heads / key heads)`.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct DeltaMixer {
    /// q, `heads × key` values.
    pub query: Projection,
    /// k, `heads × key` values.
    pub key: Projection,
    /// v, `value heads × value` values.
    pub value: Projection,
    /// W_β `[width, value heads]`; without it every correction is as strong as can be.
    pub strength: Option<Linear>,
    /// What is forgotten, if anything is.
    pub forgetting: Option<Forgetting>,
    /// W_g, `value heads × value` values, where there is a gate.
    pub gate: Option<LowRank>,
    /// γ `[value]`.
    pub norm: Norm,
    /// W_o `[value heads × value, width]`.
    pub output: Linear,
    #[module(skip)]
    pub(crate) plan: Plan,
}

/// Names of the state's tensors: the windows of the three convolutions, `[batch, taps − 1, values]`, and the memory
/// `[batch, value heads, key, value]`.
const QUERY: &str = "query";
const KEY: &str = "key";
const VALUE: &str = "value";
const MEMORY: &str = "memory";

impl DeltaMixer {
    /// o `[batch, value heads, length, value]` of all tokens at once, behind `state` where there is one; `values` are put
    /// in the place of theirs.
    fn recall(
        &self,
        tokens: Tensor<3>,
        mut state: Option<&mut State>,
        values: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let [batch, length, _] = tokens.dims();
        let Plan { heads, value_heads, key, value, key_activation, key_norm, .. } = self.plan;
        let mut project = |projection: &Projection, name, heads, values| {
            let projected = projection.forward(tokens.clone(), name, state.as_deref_mut());
            projected.reshape([batch, length, heads, values]).swap_dims(1, 2)
        };
        let query = project(&self.query, QUERY, heads, key);
        let keys = project(&self.key, KEY, heads, key);
        let values = values(silu(project(&self.value, VALUE, value_heads, value)));
        let [query, keys] = [query, keys].map(|vectors| key_norm.apply(key_activation.apply(vectors)));
        let query = repeated(query * (key as f64).powf(-0.5), value_heads);
        let keys = repeated(keys, value_heads);

        let strength = self.strength(&tokens);
        let decay = match &self.forgetting {
            Some(forgetting) => forgetting.forward(tokens),
            None => Decay::None,
        };
        let before = state.as_mut().and_then(|state| state.take::<4>(MEMORY));
        let (outputs, memory) = delta_rule(query, keys, values, strength, decay, before);
        assert_shape!(outputs, [batch, value_heads, length, _]);
        if let Some(state) = state {
            state.set(MEMORY, memory);
            state.position += length;
        }
        outputs
    }

    /// All tokens at once, behind `state` where there is one.
    fn run(&self, tokens: Tensor<3>, state: Option<&mut State>) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let Plan { value_heads, value, gate_activation, .. } = self.plan;
        let outputs = self.recall(tokens.clone(), state, |values| values);
        assert_shape!(outputs, [batch, value_heads, length, value]);
        let outputs = self.norm.forward(outputs.swap_dims(1, 2));
        let outputs = match &self.gate {
            Some(gate) => {
                let gate = gate.forward(tokens).reshape([batch, length, value_heads, value]);
                outputs * gate_activation.apply(gate)
            }
            None => outputs,
        };
        self.output.forward(outputs.reshape([batch, length, value_heads * value]))
    }

    /// β `[batch, value heads, length]`.
    fn strength(&self, tokens: &Tensor<3>) -> Tensor<3> {
        let Plan { value_heads, strongest, .. } = self.plan;
        let [batch, length, _] = tokens.dims();
        let strength = match &self.strength {
            Some(map) => sigmoid(map.forward(tokens.clone())).swap_dims(1, 2),
            None => Tensor::ones([batch, value_heads, length], (&tokens.device(), tokens.dtype())),
        };
        if strongest == 1.0 { strength } else { strength * strongest }
    }
}

/// Every head of `[batch, heads, length, width]` again and again, until there are `count`.
fn repeated(vectors: Tensor<4>, count: usize) -> Tensor<4> {
    let [batch, heads, length, width] = vectors.dims();
    if heads == count {
        return vectors;
    }
    let vectors = vectors.unsqueeze_dim::<5>(2).expand([batch, heads, count / heads, length, width]);
    vectors.reshape([batch, count, length, width])
}

impl Mixer for DeltaMixer {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        without_padding(tokens, context.mask.as_ref(), |tokens| self.run(tokens, None))
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    /// o of v, token by token, for each value head. Of rows with padding, whose tokens change places, there is no reading.
    fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        context.mask.is_none().then(|| self.recall(tokens, None, |values| unit_values(&values)))
    }

    fn flops(&self, length: usize) -> u64 {
        let Plan { value_heads, key, value, .. } = self.plan;
        let projections = [&self.query, &self.key, &self.value].map(Projection::flops).iter().sum::<u64>();
        let gates = self.gate.as_ref().map_or(0, LowRank::flops)
            + self.strength.as_ref().map_or(0, flops)
            + self.forgetting.as_ref().map_or(0, |forgetting| forgetting.map.flops());
        // Token by token: the answer to the key, the correction and the answer to the query are 2 each, forgetting 1.
        let per_value = if self.forgetting.is_some() { 7 } else { 6 };
        let memory = per_value * (value_heads * key * value) as u64;
        length as u64 * (projections + gates + memory + flops(&self.output))
    }
}

impl Recurrent for DeltaMixer {
    fn state(&self, batch: usize, device: &Device) -> State {
        let mut state = State::new();
        for (projection, name) in [(&self.query, QUERY), (&self.key, KEY), (&self.value, VALUE)] {
            projection.begin(name, batch, &mut state, device);
        }
        let Plan { value_heads, key, value, .. } = self.plan;
        let dtype = self.query.linear.dtype();
        state.with(MEMORY, Tensor::<4>::zeros([batch, value_heads, key, value], (device, dtype)))
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        self.run(tokens, Some(state))
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_heads_share_the_key_head_before_them() {
        let device = ansatz_device::open("cpu").unwrap();
        let heads = Tensor::<4>::from_data([[[[1.0f32]], [[2.0]]]], &device);
        let found: Vec<f32> = repeated(heads, 6).into_data().try_to_vec().expect("floats");
        assert_eq!(found, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    }
}
