//! The attention function itself: `softmax(QKᵀ/√d) V`, Vaswani et al. 2017, equation 1.

use burn::nn::Dropout;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, activation};

/// How a query and a key make a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scores {
    /// What their product is multiplied by.
    pub(crate) scale: f64,
    /// Holds the scores between −cap and cap, by `cap · tanh(score / cap)` (Bello et al. 2016,
    /// arXiv:1611.09940, section 4; Gemma 2, arXiv:2408.00118, section 2).
    pub(crate) cap: Option<f64>,
}

impl Scores {
    /// The weights `softmax(QKᵀ · scale)`, `[batch, heads, queries, keys]`. A query that sees no key gets zeros.
    pub(crate) fn weights(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        hidden: Option<Tensor<4, Bool>>,
    ) -> Tensor<4> {
        let [batch, heads, queries, _] = query.dims();
        let [_, _, keys, _] = key.dims();
        // Scaling the queries touches fewer values than scaling the scores.
        let scores = (query * self.scale).matmul(key.swap_dims(2, 3));
        let scores = match self.cap {
            Some(cap) => (scores / cap).tanh() * cap,
            None => scores,
        };
        let Some(hidden) = hidden else {
            return activation::softmax(scores, 3);
        };
        let scores = scores.mask_fill(hidden.expand([batch, heads, queries, keys]), f32::NEG_INFINITY);
        // Where all keys are hidden the maximum is −∞ and the sum 0; held above that, the row becomes zeros
        // instead of 0/0. Shifting by the maximum changes no weight, so no gradient passes through it.
        let limits = scores.dtype().finfo().expect("scores are floats");
        let largest = scores.clone().detach().max_dim(3).clamp_min(limits.min);
        let exponents = (scores - largest).exp();
        let sum = exponents.clone().sum_dim(3).clamp_min(limits.min_positive);
        exponents / sum
    }

    /// `softmax(QKᵀ · scale) V`, `[batch, heads, queries, width]`.
    pub(crate) fn attend(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        hidden: Option<Tensor<4, Bool>>,
        dropout: &Dropout,
    ) -> Tensor<4> {
        // burn's own attention is one pass on the CPU, but only without a gradient; where tokens are hidden its
        // backends do not agree on the shape that a mask may have.
        if hidden.is_none() && !query.device().is_autodiff() {
            let options =
                AttentionModuleOptions { scale: Some(self.scale), softcap: self.cap, is_causal: false };
            return attention(query, key, value, None, None, options);
        }
        dropout.forward(self.weights(query, key, hidden)).matmul(value)
    }
}
