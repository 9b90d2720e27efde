//! Products of decays between any two tokens of a chunk.

use burn::tensor::Tensor;

/// What [`double`] finds out about chunks of `length` tokens.
pub(super) struct Doubled {
    /// `Π_{s ≤ i} d_s`, `[chunks, length, key]`.
    pub(super) from_start: Tensor<3>,
    /// `Π_{s > j} d_s`, `[chunks, length, key]`.
    pub(super) to_end: Tensor<3>,
    /// The products of left and right, lower triangular in blocks of `rows × columns`:
    /// `[chunks, length × rows, length × columns]`.
    pub(super) products: Tensor<3>,
}

/// Builds the products between all tokens i ≥ j of a chunk from those inside its halves.
///
/// The product of the decays between two tokens is usually written as a quotient, `Π_{s ≤ i} d / Π_{s ≤ j} d`, or as
/// a difference of logarithms. Both lose it where much is forgotten, and the former overflows. Here the chunk is
/// halved instead, until single tokens are left: between the second half and the first the product is that from the
/// middle up to i times that from j to the middle. Only factors of at most 1 are ever multiplied, so that nothing
/// overflows, nothing cancels, and a factor of 0 is a factor like any other.
///
/// - `factors`: d `[chunks, length, key]`, the length a power of two
/// - `diagonal`: the products of each token with itself, `[chunks × length, rows, columns]`
/// - `off_diagonal(half, first, second)`: the products of tokens in the second half with tokens in the first,
///   `[blocks, half × rows, half × columns]`, where `first` is the product of the factors from the middle up to each
///   token of the second half, and `second` that from each token of the first half to the middle, `[blocks, half, key]`
pub(super) fn double(
    factors: Tensor<3>,
    diagonal: Tensor<3>,
    off_diagonal: impl Fn(usize, Tensor<3>, Tensor<3>) -> Tensor<3>,
) -> Doubled {
    let [chunks, length, key] = factors.dims();
    let tokens = chunks * length;
    let mut from_start = factors.reshape([tokens, 1, key]);
    let mut to_end = from_start.ones_like();
    let mut products = diagonal;
    let mut half = 1;
    while half < length {
        let [first_start, second_start] = halves(from_start);
        let [first_end, second_end] = halves(to_end);
        let [first, second] = halves(products);
        let below = off_diagonal(half, second_start.clone(), first_end.clone());
        let above = first.zeros_like();
        let upper = Tensor::cat(vec![first, above], 2);
        products = Tensor::cat(vec![upper, Tensor::cat(vec![below, second], 2)], 1);
        let first_whole = first_start.clone().narrow(1, half - 1, 1);
        let second_whole = second_start.clone().narrow(1, half - 1, 1);
        from_start = Tensor::cat(vec![first_start, second_start * first_whole], 1);
        to_end = Tensor::cat(vec![first_end * second_whole, second_end], 1);
        half *= 2;
    }
    Doubled { from_start, to_end, products }
}

/// The first and the second of every two blocks: `[2 × pairs, a, b]` → two of `[pairs, a, b]`.
pub(super) fn halves(blocks: Tensor<3>) -> [Tensor<3>; 2] {
    let [count, rows, columns] = blocks.dims();
    let pairs = blocks.reshape([count / 2, 2, rows * columns]);
    [0, 1].map(|at| pairs.clone().narrow(1, at, 1).reshape([count / 2, rows, columns]))
}
