//! Latent attention with its projections.

use ansatz_core::{Context, Mixer, Recurrent};
use ansatz_ops::{Linear, Norm, Visible};
use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::{Tensor, assert_shape};

use crate::sight::Sight;
use crate::softmax::Scores;

/// How queries, keys and values are split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    pub(super) heads: usize,
    /// Values of a key that each head has for itself.
    pub(super) key: usize,
    /// Values of a key that all heads share.
    pub(super) shared: usize,
    /// Values of a value.
    pub(super) value: usize,
}

/// Multi-head latent attention (DeepSeek-AI 2024, arXiv:2405.04434, equations 9 to 19, without rotations).
///
/// ```text
/// c   = rms(X W_c)                    all that is kept of a token, besides the shared key
/// k_h = [c W_k,h , X W_s]             v_h = c W_v,h             q_h = X W_q,h, or rms(X W_d) W_q,h
/// output = [… softmax(Q_h K_hᵀ / √(key + shared)) V_h …] W_o
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct LatentAttention {
    /// W_d `[width, query latent]`, where queries come from a latent vector.
    pub query_latent: Option<Linear>,
    /// Brings the latent vector of the queries to one scale.
    pub query_norm: Option<Norm>,
    /// W_q `[width or query latent, heads × (key + shared)]`.
    pub query: Linear,
    /// W_c `[width, latent]`.
    pub latent: Linear,
    /// Brings the latent vector to one scale.
    pub latent_norm: Norm,
    /// W_s `[width, shared]`.
    pub shared_key: Linear,
    /// W_k `[latent, heads × key]`.
    pub key: Linear,
    /// W_v `[latent, heads × value]`.
    pub value: Linear,
    /// W_o `[heads × value, width]`.
    pub output: Linear,
    pub(super) dropout: Dropout,
    #[module(skip)]
    pub(super) widths: Widths,
    pub(super) causal: bool,
}

impl LatentAttention {
    /// Which tokens see which.
    pub(super) fn sight(&self) -> Sight {
        Sight { causal: self.causal, window: None }
    }

    /// Scores are divided by the root of a key's width.
    pub(super) fn scores(&self) -> Scores {
        let Widths { key, shared, .. } = self.widths;
        Scores { scale: ((key + shared) as f64).powf(-0.5), cap: None }
    }

    /// `[batch, heads, length, key + shared]`.
    pub(super) fn queries(&self, tokens: Tensor<3>) -> Tensor<4> {
        let Widths { heads, key, shared, .. } = self.widths;
        let tokens = match (&self.query_latent, &self.query_norm) {
            (Some(latent), Some(norm)) => norm.forward(latent.forward(tokens)),
            _ => tokens,
        };
        split(self.query.forward(tokens), heads, key + shared)
    }

    /// What is kept of each token: c `[batch, length, latent]` and its shared key `[batch, length, shared]`.
    pub(super) fn keep(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let latent = self.latent_norm.forward(self.latent.forward(tokens.clone()));
        (latent, self.shared_key.forward(tokens))
    }

    /// The keys of every head, `[batch, heads, length, key + shared]`.
    fn keys(&self, latent: Tensor<3>, shared_key: Tensor<3>) -> Tensor<4> {
        let Widths { heads, key, shared, .. } = self.widths;
        let [batch, length, _] = latent.dims();
        let own = split(self.key.forward(latent), heads, key);
        let common = shared_key.unsqueeze_dim::<4>(1).expand([batch, heads, length, shared]);
        Tensor::cat(vec![own, common], 3)
    }

    /// Attends to tokens of which `latent` and `shared_key` were kept, the last query at the last of them.
    pub(super) fn attend(
        &self,
        query: Tensor<4>,
        (latent, shared_key): (Tensor<3>, Tensor<3>),
        visible: &Visible,
    ) -> Tensor<3> {
        let Widths { heads, value, .. } = self.widths;
        let values = split(self.value.forward(latent.clone()), heads, value);
        let keys = self.keys(latent, shared_key);
        self.join(self.scores().attend(query, keys, values, visible, &self.dropout))
    }

    /// `[batch, heads, length, value]` → `[batch, length, width]`.
    pub(super) fn join(&self, attended: Tensor<4>) -> Tensor<3> {
        let [batch, heads, length, value] = attended.dims();
        self.output.forward(attended.swap_dims(1, 2).reshape([batch, length, heads * value]))
    }
}

/// `[batch, length, heads × width]` → `[batch, heads, length, width]`.
fn split(projected: Tensor<3>, heads: usize, width: usize) -> Tensor<4> {
    let [batch, length, _] = projected.dims();
    projected.reshape([batch, length, heads, width]).swap_dims(1, 2)
}

impl Mixer for LatentAttention {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let visible = self.sight().keys(context.mask.as_ref(), 1);
        let output = self.attend(self.queries(tokens.clone()), self.keep(tokens), &visible);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        self.causal.then_some(self)
    }

    fn influence(&self, tokens: Tensor<3>, context: &Context) -> Option<Tensor<4>> {
        let visible = self.sight().keys(context.mask.as_ref(), 1);
        let query = self.queries(tokens.clone());
        let (latent, shared_key) = self.keep(tokens);
        Some(self.scores().weights(query, self.keys(latent, shared_key), &visible))
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.query, &self.latent, &self.shared_key, &self.key, &self.value, &self.output];
        let linears = linears.into_iter().chain(&self.query_latent);
        let projections: usize = linears.map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        let norms = self.latent_norm.flops() + self.query_norm.as_ref().map_or(0, Norm::flops);
        let Widths { heads, key, shared, value } = self.widths;
        // Scores and their product with the values; a causal one is counted in full, as it is computed.
        let mixing = heads * length * (key + shared + value);
        length as u64 * (norms + 2 * (projections + mixing) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LatentAttentionConfig;
    use ansatz_core::BoxedMixer;
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn latent_attention_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let odd = LatentAttentionConfig {
            heads: 2,
            latent: Some(5),
            query_latent: Some(3),
            key_width: Some(4),
            shared_key_width: Some(2),
            value_width: Some(7),
            bias: true,
            ..LatentAttentionConfig::default()
        };
        for config in [LatentAttentionConfig::default(), odd] {
            for causal in [false, true] {
                let config = LatentAttentionConfig { causal, ..config.clone() };
                let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
                let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
                let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
                assert_eq!(report.covers(ansatz_conformance::Property::Recurrence), causal);
            }
        }
    }

    #[test]
    fn every_head_is_its_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = LatentAttentionConfig { heads: 2, causal: true, ..LatentAttentionConfig::default() };
        let layer = config.build(8, &device).unwrap();
        let Widths { key, shared, value, .. } = layer.widths;
        let tokens = Tensor::<3>::random([1, 5, 8], Distribution::Normal(0.0, 1.0), &device);
        let latent = layer.latent_norm.forward(layer.latent.forward(tokens.clone()));
        let part =
            |of: Tensor<3>, head: usize, width: usize| of.narrow(2, head * width, width).squeeze_dim::<2>(0);
        let mut rows = Vec::new();
        for at in 0..5 {
            for head in 0..2 {
                let query = part(layer.query.forward(tokens.clone()), head, key + shared).narrow(0, at, 1);
                let own = part(layer.key.forward(latent.clone()), head, key);
                let common = layer.shared_key.forward(tokens.clone()).squeeze_dim::<2>(0);
                let keys = Tensor::cat(vec![own, common], 1).narrow(0, 0, at + 1);
                let scores = (query.matmul(keys.transpose()) / ((key + shared) as f64).sqrt()).exp();
                let values = part(layer.value.forward(latent.clone()), head, value).narrow(0, 0, at + 1);
                rows.push(scores.clone().matmul(values) / scores.sum_dim(1));
            }
        }
        let expected = layer.output.forward(Tensor::cat(rows, 0).reshape([1, 5, 2 * value]));
        let found = layer.forward(tokens, &Context::default());
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::default());
    }
}
