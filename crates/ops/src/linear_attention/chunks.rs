//! The chunked form: tokens of a chunk meet each other directly, and those before it through the state.

use burn::tensor::Tensor;

use super::Reading;
use super::scan::scan;
use super::sums;
use super::within::{halves, triangle};

/// Tokens of a chunk. The chunks' states cost as much memory as the tokens when this is about the key's width.
const CHUNK: usize = 64;

/// Tokens split in chunks of a power of two; batch and heads are rows.
pub(super) struct Chunks {
    /// `[rows, chunks, size, key]`.
    pub(super) query: Tensor<4>,
    /// `[rows, chunks, size, key]`.
    pub(super) key: Tensor<4>,
    /// `[rows, chunks, size, value]`.
    pub(super) value: Tensor<4>,
    /// Logarithms `[rows, chunks, size, 1 or key]`.
    pub(super) decay: Option<Tensor<4>>,
    pub(super) reading: Reading,
    /// `[batch, heads, length, value]` of the outputs.
    shape: [usize; 4],
}

impl Chunks {
    /// Splits tokens `[batch, heads, length, ..]`, with padding behind the last one.
    pub(super) fn split(
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        decay: Option<Tensor<4>>,
        reading: Reading,
    ) -> Self {
        let shape = value.dims();
        let [batch, heads, length, _] = shape;
        let size = length.next_power_of_two().min(CHUNK);
        let chunks = length.div_ceil(size);
        let split = |tokens: Tensor<4>| {
            let [_, _, _, width] = tokens.dims();
            let tokens = sums::lengthened(tokens, 2, chunks * size, 0.0);
            tokens.reshape([batch * heads, chunks, size, width])
        };
        Self {
            query: split(query),
            key: split(key),
            value: split(value),
            decay: decay.map(split),
            reading,
            shape,
        }
    }

    /// Outputs `[batch, heads, length, value]` and the last state `[batch, heads, key, value]`.
    pub(super) fn run(self, state: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, length, value] = self.shape;
        let [rows, chunks, size, key] = self.query.dims();
        // What each chunk adds to the state and leaves of it, and what its queries find of the state before it.
        let (added, kept, seen) = match &self.decay {
            None => (self.key.clone(), None, self.query.clone()),
            Some(log) => {
                let until = match self.reading {
                    Reading::Behind => sums::through(log.clone()),
                    Reading::Before => sums::before(log.clone()),
                };
                (
                    self.key.clone() * sums::behind(log.clone()).exp(),
                    Some(log.clone().sum_dim(2).exp().swap_dims(2, 3)),
                    self.query.clone() * until.exp(),
                )
            }
        };
        let added = added.swap_dims(2, 3).matmul(self.value.clone());
        let (before, last) = scan(kept, added, state.reshape([rows, 1, key, value]));
        let within = match &self.decay {
            Some(log) if log.dims()[3] > 1 || self.reading == Reading::Before => halves(&self, log.clone()),
            _ => triangle(&self),
        };
        let outputs = (within + seen.matmul(before)).reshape([batch, heads, chunks * size, value]);
        (outputs.narrow(2, 0, length), last.reshape([batch, heads, key, value]))
    }
}
