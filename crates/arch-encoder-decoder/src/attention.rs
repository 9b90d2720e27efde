//! Attention from tokens to keys and values that may come from elsewhere.

use ansatz_ops::{Linear, Visible, attention};
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

/// Multi-head attention whose keys and values are made apart from its queries (Vaswani et al. 2017, section 3.2).
///
/// ```text
/// head_h = softmax(scale · X W_q (M W_k)ᵀ + bias) M W_v        over the columns of head h
/// output = [head_1 … head_H] W_o
/// ```
///
/// X are the tokens; M are the tokens too in self-attention, and in cross-attention the memory: what the encoder
/// made of the source.
#[derive(Module, Debug)]
pub struct MemoryAttention {
    /// W_q `[width, heads × head_width]`.
    pub query: Linear,
    /// W_k `[width, heads × head_width]`.
    pub key: Linear,
    /// W_v `[width, heads × head_width]`.
    pub value: Linear,
    /// W_o `[heads × head_width, width]`.
    pub output: Linear,
    heads: usize,
    scale: f64,
}

/// Sizes and options of an attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) scaled: bool,
    pub(crate) bias: bool,
}

/// What tokens look at: keys and values, `[batch, heads, memory, head_width]` each.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) keys: Tensor<4>,
    pub(crate) values: Tensor<4>,
}

impl MemoryAttention {
    /// Maps are drawn as in tensor2tensor: Glorot uniform, biases zero.
    pub(crate) fn new(width: usize, heads: Heads, device: &Device) -> Self {
        let glorot = Initializer::XavierUniform { gain: 1.0 };
        let map = |input: usize, output: usize| Linear {
            weight: glorot.init_with([input, output], Some(input), Some(output), device),
            bias: heads.bias.then(|| Initializer::Zeros.init([output], device)),
        };
        let inner = heads.count * heads.width;
        Self {
            query: map(width, inner),
            key: map(width, inner),
            value: map(width, inner),
            output: map(inner, width),
            heads: heads.count,
            scale: if heads.scaled { (heads.width as f64).powf(-0.5) } else { 1.0 },
        }
    }

    /// `[batch, length, heads × head_width]` → `[batch, heads, length, head_width]`.
    fn split(&self, projected: Tensor<3>) -> Tensor<4> {
        let [batch, length, inner] = projected.dims();
        projected.reshape([batch, length, self.heads, inner / self.heads]).swap_dims(1, 2)
    }

    /// Keys and values of `memory`, `[batch, memory, width]`.
    pub(crate) fn keys(&self, memory: Tensor<3>) -> Keys {
        let keys = self.split(self.key.forward(memory.clone()));
        Keys { keys, values: self.split(self.value.forward(memory)) }
    }

    /// What `tokens` take from `seen`; `bias` broadcasts to `[batch, heads, length, memory]`.
    pub(crate) fn look(
        &self,
        tokens: Tensor<3>,
        seen: Keys,
        bias: Option<Tensor<4>>,
        visible: &Visible,
    ) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let query = self.split(self.query.forward(tokens));
        let taken = attention(query, seen.keys, seen.values, self.scale, bias, visible);
        let [_, heads, _, head_width] = taken.dims();
        let output = self.output.forward(taken.swap_dims(1, 2).reshape([batch, length, heads * head_width]));
        assert_shape!(output, [batch, length, width]);
        output
    }

    /// Floating-point operations for `length` tokens that look at `memory` others.
    pub(crate) fn flops(&self, length: usize, memory: usize) -> u64 {
        let map = self.query.weight.lazy_shape().num_elements();
        let [_, inner] = self.query.weight.lazy_shape().dims();
        // Queries and outputs, keys and values, scores and their product with the values.
        2 * (2 * length * map + 2 * memory * map + 2 * length * memory * inner) as u64
    }
}
