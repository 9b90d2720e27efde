//! The attention function itself: `softmax(QKᵀ/√d) V`, Vaswani et al. 2017, equation 1.

use ansatz_ops::{Visible, masked_softmax};
use burn::nn::Dropout;
use burn::tensor::Tensor;

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
    pub(crate) fn weights(self, query: Tensor<4>, key: Tensor<4>, visible: &Visible) -> Tensor<4> {
        let hidden = visible.hidden([query.dims()[2], key.dims()[2]], &query.device());
        // Scaling the queries touches fewer values than scaling the scores.
        let scores = (query * self.scale).matmul(key.swap_dims(2, 3));
        let scores = match self.cap {
            Some(cap) => (scores / cap).tanh() * cap,
            None => scores,
        };
        masked_softmax(scores, hidden)
    }

    /// `softmax(QKᵀ · scale) V`, `[batch, heads, queries, width]`.
    pub(crate) fn attend(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        visible: &Visible,
        dropout: &Dropout,
    ) -> Tensor<4> {
        let whole = dropout.prob == 0.0 || !query.device().is_autodiff();
        if whole && self.cap.is_none() {
            return ansatz_ops::attention(query, key, value, self.scale, None, visible);
        }
        ansatz_ops::dropout(dropout, self.weights(query, key, visible)).matmul(value)
    }
}
