//! What a state forgets from token to token.

use burn::tensor::Tensor;

use super::chunks::Chunks;
use super::doubling::{Doubled, double};

/// What is left of a state from one token to the next: factors from 0, all is forgotten, to 1, all is kept.
#[derive(Debug, Clone)]
pub enum Decay {
    /// Nothing is forgotten.
    None,
    /// One factor for each head, `[batch, heads, length]`.
    Head(Tensor<3>),
    /// One factor for each key channel, `[batch, heads, length, key]`.
    Channel(Tensor<4>),
}

/// Products of decays inside chunks of `length` tokens; `None` where nothing is forgotten.
#[derive(Debug)]
pub(super) struct Within {
    /// From the first token up to and with token i: `Π_{s ≤ i} d_s`, `[chunks, length, key or 1]`.
    pub(super) from_start: Option<Tensor<3>>,
    /// Behind token j: `Π_{s > j} d_s`, of the same shape.
    pub(super) to_end: Option<Tensor<3>>,
    /// For every pair of a left and a right sequence, left first: `Σ_c left_ic right_jc Π_{j < s ≤ i} d_sc` for
    /// j ≤ i and 0 elsewhere, `[chunks, length, length]`.
    pub(super) pairs: Vec<Tensor<3>>,
}

/// `tensor · factor`, where there is a factor.
pub(super) fn decayed(tensor: Tensor<3>, factor: &Option<Tensor<3>>) -> Tensor<3> {
    match factor {
        Some(factor) => tensor * factor.clone(),
        None => tensor,
    }
}

impl Decay {
    /// All products inside `chunks` between sequences `[chunks, length, key]`.
    pub(super) fn within(self, chunks: &Chunks, left: &[Tensor<3>], right: &[Tensor<3>]) -> Within {
        match self {
            Self::None => {
                let pairs = plain(left, right).map(|pair| pair.tril(0)).collect();
                Within { from_start: None, to_end: None, pairs }
            }
            Self::Head(factors) => {
                let factors = chunks.split(factors.unsqueeze_dim(3), 1.0);
                let [count, length, _] = factors.dims();
                let diagonal = Tensor::ones([count * length, 1, 1], (&factors.device(), factors.dtype()));
                let outer = |_, first: Tensor<3>, second: Tensor<3>| first * second.swap_dims(1, 2);
                let Doubled { from_start, to_end, products } = double(factors, diagonal, outer);
                let pairs = plain(left, right).map(|pair| pair * products.clone()).collect();
                Within { from_start: Some(from_start), to_end: Some(to_end), pairs }
            }
            Self::Channel(factors) => channel(chunks.split(factors, 1.0), left, right),
        }
    }
}

/// The products `left rightᵀ` of every pair.
fn plain(left: &[Tensor<3>], right: &[Tensor<3>]) -> impl Iterator<Item = Tensor<3>> {
    left.iter().flat_map(|left| right.iter().map(|right| left.clone().matmul(right.clone().swap_dims(1, 2))))
}

/// All products where every channel has its own factor. The sequences of a side stand beside each other at every
/// token, so that one matrix product serves all pairs.
fn channel(factors: Tensor<3>, left: &[Tensor<3>], right: &[Tensor<3>]) -> Within {
    let [count, length, key] = factors.dims();
    let (rows, columns) = (left.len(), right.len());
    let left = Tensor::stack::<4>(left.to_vec(), 2);
    let right = Tensor::stack::<4>(right.to_vec(), 2);
    let tokens = count * length;
    let diagonal =
        left.clone().reshape([tokens, rows, 1, key]) * right.clone().reshape([tokens, 1, columns, key]);
    let diagonal = diagonal.sum_dim(3).reshape([tokens, rows, columns]);
    let off_diagonal = |half: usize, first: Tensor<3>, second: Tensor<3>| {
        let pairs = tokens / (2 * half);
        let part = |of: &Tensor<4>, at: usize, factor: Tensor<3>, count: usize| {
            let part = of.clone().reshape([pairs, 2, half, count * key]).narrow(1, at, 1);
            let part = part.reshape([pairs, half, count, key]) * factor.unsqueeze_dim(2);
            part.reshape([pairs, half * count, key])
        };
        part(&left, 1, first, rows).matmul(part(&right, 0, second, columns).swap_dims(1, 2))
    };
    let Doubled { from_start, to_end, products } = double(factors, diagonal, off_diagonal);
    let products = products.reshape([count, length, rows, length * columns]);
    let pairs = (0..rows).flat_map(|row| {
        let row = products.clone().narrow(2, row, 1).reshape([count, length, length, columns]);
        (0..columns).map(move |column| row.clone().narrow(3, column, 1).reshape([count, length, length]))
    });
    Within { pairs: pairs.collect(), from_start: Some(from_start), to_end: Some(to_end) }
}
