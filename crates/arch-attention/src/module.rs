//! Attention with its four projections.

use ansatz_core::{Context, Mixer, Recurrent};
use ansatz_ops::{Linear, Norm, Rotary, Visible, sigmoid};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::AttentionConfig;
use crate::heads::Heads;
use crate::sight::Sight;
use crate::softmax::Scores;

/// Multi-head softmax attention (Vaswani et al. 2017, section 3.2).
///
/// ```text
/// Q = X W_q + b_q    K = X W_k + b_k    V = X W_v + b_v
/// head_h = softmax(Q_h K_gᵀ / √d) V_g        g = h / (heads / key_value_heads)
/// output = [head_1 … head_H] W_o + b_o
/// ```
///
/// As the config says, each head's query and key are brought to one scale and then turned by their position;
/// scores are scaled otherwise and held below a cap; and heads are gated, `head_h ⊙ σ(G_h)` with
/// `[Q_h, G_h] = X W_q` (Qiu et al. 2025, arXiv:2505.06708, section 2.2).
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Attention {
    /// W_q `[width, heads × head_width]`; where heads are gated `[width, heads × 2 head_width]`, for each head its
    /// query and then its gate.
    pub query: Linear,
    /// W_k `[width, key_value_heads × head_width]`.
    pub key: Linear,
    /// W_v `[width, key_value_heads × head_width]`.
    pub value: Linear,
    /// W_o `[heads × head_width, width]`.
    pub output: Linear,
    /// Brings the queries of a head to one scale, where they are.
    pub query_norm: Option<Norm>,
    /// Brings the keys of a head to one scale, where they are.
    pub key_norm: Option<Norm>,
    pub(crate) dropout: Dropout,
    #[module(skip)]
    pub(crate) heads: Heads,
    #[module(skip)]
    pub(crate) sight: Sight,
    #[module(skip)]
    pub(crate) scores: Scores,
    #[module(skip)]
    pub(crate) rotary: Option<Rotary>,
    pub(crate) gated: bool,
    pub(crate) key_scale: f64,
}

/// A projection as google-research/vision_transformer and tensor2tensor draw it: Glorot uniform, bias zero.
fn projection(input: usize, output: usize, bias: bool, device: &Device) -> Linear {
    let weight = Initializer::XavierUniform { gain: 1.0 };
    Linear {
        weight: weight.init_with([input, output], Some(input), Some(output), device),
        bias: bias.then(|| Initializer::Zeros.init([output], device)),
    }
}

impl Attention {
    pub(crate) fn new(
        width: usize,
        heads: Heads,
        rotary: Option<Rotary>,
        config: &AttentionConfig,
        device: &Device,
    ) -> Self {
        let (queries, keys) = (heads.query * heads.width, heads.key_value * heads.width);
        let gates = if config.gated { queries } else { 0 };
        let output_bias = config.output_bias.unwrap_or(config.bias);
        let norm = || config.query_key_norm.map(|norm| norm.init(heads.width, device));
        Self {
            query: projection(width, queries + gates, config.bias, device),
            key: projection(width, keys, config.bias, device),
            value: projection(width, keys, config.bias, device),
            output: projection(queries, width, output_bias, device),
            query_norm: norm(),
            key_norm: norm(),
            dropout: DropoutConfig::new(config.dropout).init(),
            heads,
            sight: Sight { causal: config.causal, window: config.window },
            scores: Scores {
                scale: config.scale.unwrap_or((heads.width as f64).powf(-0.5)),
                cap: config.cap,
            },
            rotary,
            gated: config.gated,
            key_scale: config.key_scale,
        }
    }

    /// Queries `[batch, key heads, group × length, width]` of tokens from position `first` on, and what gates their
    /// heads, `[batch, length, heads × width]`.
    pub(crate) fn queries(&self, tokens: Tensor<3>, first: usize) -> (Tensor<4>, Option<Tensor<3>>) {
        let [batch, length, _] = tokens.dims();
        let Heads { query: heads, key_value, width } = self.heads;
        let projected = Heads::apart(self.query.forward(tokens), heads);
        let (query, gate) = if self.gated {
            let gate = projected.clone().narrow(3, width, width);
            (projected.narrow(3, 0, width), Some(gate.reshape([batch, length, heads * width])))
        } else {
            (projected, None)
        };
        let query = self.heads.group_queries(self.place(query, self.query_norm.as_ref(), first));
        assert_shape!(query, [batch, key_value, self.heads.group() * length, width]);
        (query, gate)
    }

    /// Keys `[batch, key heads, length, width]` of tokens from position `first` on.
    pub(crate) fn keys(&self, tokens: Tensor<3>, first: usize) -> Tensor<4> {
        let [batch, length, _] = tokens.dims();
        let Heads { key_value, width, .. } = self.heads;
        let mut projected = self.key.forward(tokens);
        if self.key_scale != 1.0 {
            projected = projected * self.key_scale;
        }
        let key =
            self.place(Heads::apart(projected, key_value), self.key_norm.as_ref(), first).swap_dims(1, 2);
        assert_shape!(key, [batch, key_value, length, width]);
        key
    }

    /// Values `[batch, key heads, length, width]`.
    pub(crate) fn values(&self, tokens: Tensor<3>) -> Tensor<4> {
        Heads::apart(self.value.forward(tokens), self.heads.key_value).swap_dims(1, 2)
    }

    /// Brings `heads`, `[batch, length, heads, width]`, to one scale and turns them by their position.
    fn place(&self, heads: Tensor<4>, norm: Option<&Norm>, first: usize) -> Tensor<4> {
        let heads = match norm {
            Some(norm) => norm.forward(heads),
            None => heads,
        };
        match &self.rotary {
            Some(rotary) => rotary.forward(heads, first),
            None => heads,
        }
    }

    /// The output of what the heads `attended`, `[batch, key heads, group × length, width]`.
    pub(crate) fn finish(&self, attended: Tensor<4>, gate: Option<Tensor<3>>) -> Tensor<3> {
        let heads = self.heads.join(attended);
        self.output.forward(match gate {
            Some(gate) => heads * sigmoid(gate),
            None => heads,
        })
    }

    /// What each query sees, for tokens that all look at each other.
    fn visible(&self, context: &Context) -> Visible {
        self.sight.keys(context.mask.as_ref(), self.heads.group())
    }
}

impl Mixer for Attention {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let visible = self.visible(context);
        let (query, gate) = self.queries(tokens.clone(), 0);
        let (key, value) = (self.keys(tokens.clone(), 0), self.values(tokens));
        let output = self.finish(self.scores.attend(query, key, value, &visible, &self.dropout), gate);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        self.sight.causal.then_some(self)
    }

    fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        let [batch, length, _] = tokens.dims();
        let visible = self.visible(context);
        let (query, _) = self.queries(tokens.clone(), 0);
        let weights = self.scores.weights(query, self.keys(tokens, 0), &visible);
        Some(weights.reshape([batch, self.heads.query, length, length]))
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.query, &self.key, &self.value, &self.output];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        // Scores and their product with the values; what comes later is counted as if it were seen.
        let seen = self.sight.window.map_or(length, |window| window.min(length));
        let mixing = 2 * self.heads.query * seen * self.heads.width;
        2 * length as u64 * (projections + mixing) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::BoxedMixer;
    use ansatz_ops::{NormConfig, RotaryConfig, RotaryPairing};

    /// Every option in at least one, alone and together.
    fn configs() -> Vec<AttentionConfig> {
        let default = AttentionConfig::default();
        let rope = Some(RotaryConfig::default());
        let half =
            RotaryConfig { fraction: 0.5, base: 20.0, pairing: RotaryPairing::Neighbours, scaling: None };
        vec![
            AttentionConfig { heads: 1, ..default.clone() },
            default.clone(),
            AttentionConfig { key_value_heads: Some(2), head_width: Some(5), ..default.clone() },
            AttentionConfig { heads: 2, window: Some(1), ..default.clone() },
            AttentionConfig { heads: 2, window: Some(4), rope, ..default.clone() },
            AttentionConfig { heads: 2, cap: Some(2.0), scale: Some(0.9), key_scale: 1.7, ..default.clone() },
            AttentionConfig {
                key_value_heads: Some(1),
                head_width: Some(4),
                rope: Some(half),
                window: Some(3),
                query_key_norm: Some(NormConfig { unit_offset: true, ..NormConfig::rms(1e-6) }),
                gated: true,
                bias: false,
                output_bias: Some(true),
                ..default
            },
        ]
    }

    #[test]
    fn attention_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for causal in [false, true] {
            for config in configs() {
                let config = AttentionConfig { causal, ..config };
                let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
                let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
                let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
                assert_eq!(report.covers(ansatz_conformance::Property::Recurrence), causal);
            }
        }
    }

    #[test]
    fn a_window_bounds_the_state() {
        let device = ansatz_device::open("cpu").unwrap();
        for window in [1, 2, 7] {
            let config = AttentionConfig { causal: true, window: Some(window), ..AttentionConfig::default() };
            let layer = config.build(8, &device).unwrap();
            assert!(layer.constant_state());
            assert_eq!(layer.state(3, &device).elements(), 2 * 3 * (window - 1) * 8);
        }
    }

    #[test]
    fn operations_are_counted() {
        let device = ansatz_device::open("cpu").unwrap();
        let layer = AttentionConfig::default().build(8, &device).unwrap();
        // Four projections of 8 × 8, and for each of 4 heads two products of 3 × 2 × 3.
        assert_eq!(layer.flops(3), 2 * (4 * 3 * 64 + 4 * 2 * 18));
    }
}
