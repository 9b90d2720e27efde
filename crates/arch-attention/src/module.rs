//! Attention with its four projections.

use ansatz_core::{Context, Mixer, Recurrent};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use crate::AttentionConfig;
use crate::heads::Heads;
use crate::softmax::{attend, hidden, weights};

/// Multi-head softmax attention (Vaswani et al. 2017, section 3.2).
///
/// ```text
/// Q = X W_q + b_q    K = X W_k + b_k    V = X W_v + b_v
/// head_h = softmax(Q_h K_gᵀ / √d) V_g        g = h / (heads / key_value_heads)
/// output = [head_1 … head_H] W_o + b_o
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Attention {
    /// W_q `[width, heads × head_width]`.
    pub query: Linear,
    /// W_k `[width, key_value_heads × head_width]`.
    pub key: Linear,
    /// W_v `[width, key_value_heads × head_width]`.
    pub value: Linear,
    /// W_o `[heads × head_width, width]`.
    pub output: Linear,
    dropout: Dropout,
    #[module(skip)]
    pub(crate) heads: Heads,
    causal: bool,
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
    pub(crate) fn new(width: usize, heads: Heads, config: &AttentionConfig, device: &Device) -> Self {
        let project = |input, output| projection(input, output, config.bias, device);
        let (queries, keys) = (heads.query * heads.width, heads.key_value * heads.width);
        Self {
            query: project(width, queries),
            key: project(width, keys),
            value: project(width, keys),
            output: project(queries, width),
            dropout: DropoutConfig::new(config.dropout).init(),
            heads,
            causal: config.causal,
        }
    }

    /// Queries, keys, and which keys each query must not see, for tokens that all look at each other.
    fn compare(
        &self,
        tokens: Tensor<3>,
        context: &Context,
    ) -> (Tensor<4>, Tensor<4>, Option<Tensor<4, Bool>>) {
        let [batch, length, _] = tokens.dims();
        let Heads { key_value, width, .. } = self.heads;
        let group = self.heads.group();
        let hidden = hidden(context.mask.as_ref(), self.causal, [group, length, length], &tokens.device());
        let query = self.heads.split_queries(self.query.forward(tokens.clone()));
        let key = self.heads.split_keys(self.key.forward(tokens));
        assert_shape!(query, [batch, key_value, group * length, width]);
        assert_shape!(key, [batch, key_value, length, width]);
        (query, key, hidden)
    }

    /// Attends from `tokens` to `keys` and `values` that end at the last token.
    pub(crate) fn look_back(&self, tokens: Tensor<3>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<3> {
        let [_, queries, _] = tokens.dims();
        let hidden = hidden(None, true, [self.heads.group(), queries, keys.dims()[2]], &tokens.device());
        let query = self.heads.split_queries(self.query.forward(tokens));
        let attended = attend(query, keys, values, hidden, &self.dropout);
        self.output.forward(self.heads.join(attended))
    }
}

impl Mixer for Attention {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let value = self.heads.split_keys(self.value.forward(tokens.clone()));
        let (query, key, hidden) = self.compare(tokens, context);
        let output = self.output.forward(self.heads.join(attend(query, key, value, hidden, &self.dropout)));
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        self.causal.then_some(self)
    }

    fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        let [batch, length, _] = tokens.dims();
        let (query, key, hidden) = self.compare(tokens, context);
        Some(weights(query, key, hidden).reshape([batch, self.heads.query, length, length]))
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.query, &self.key, &self.value, &self.output];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        // Scores and their product with the values; a causal one is counted in full, as it is computed.
        let mixing = 2 * self.heads.query * length * self.heads.width;
        2 * length as u64 * (projections + mixing) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::BoxedMixer;

    #[test]
    fn attention_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for causal in [false, true] {
            for (heads, key_value_heads, head_width) in
                [(1, None, None), (4, None, None), (4, Some(2), Some(5))]
            {
                let default = AttentionConfig::default();
                let config = AttentionConfig { heads, key_value_heads, head_width, causal, ..default };
                let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
                let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
                let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
                assert_eq!(report.covers(ansatz_conformance::Property::Recurrence), causal);
            }
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
