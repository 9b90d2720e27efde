//! The states between the chunks.

use burn::tensor::Tensor;

use super::sums::lengthened;

/// `S_{n+1} = kept_n S_n + added_n` along the chunks: the states before each, `[rows, chunks, key, value]`, and the
/// last, `[rows, 1, key, value]`. `kept` is `[rows, chunks, 1 or key, 1]`; without it all is kept.
///
/// Two neighbours make one step, `S_{n+2} = kept_{n+1} kept_n S_n + (kept_{n+1} added_n + added_{n+1})`, and half as
/// many steps are the same problem again (Blelloch, Prefix Sums and Their Applications, 1990): as much work as one
/// state after the other, in fewer and larger operations.
pub(super) fn scan(kept: Option<Tensor<4>>, added: Tensor<4>, state: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [rows, chunks, key, value] = added.dims();
    if chunks == 1 {
        let last = match kept {
            Some(kept) => state.clone() * kept + added,
            None => state.clone() + added,
        };
        return (state, last);
    }
    let pairs = chunks.div_ceil(2);
    // An odd number of steps is followed by one that keeps all and adds nothing.
    let halves = |tensor: Tensor<4>, neutral: f64| {
        let [_, _, height, width] = tensor.dims();
        let pairs = lengthened(tensor, 1, 2 * pairs, neutral).reshape([rows, pairs, 2, height, width]);
        [0, 1].map(|half| pairs.clone().narrow(2, half, 1).squeeze_dim::<4>(2))
    };
    let [first, second] = halves(added, 0.0);
    let kept = kept.map(|kept| halves(kept, 1.0));
    let (both, sum) = match &kept {
        Some([of_first, of_second]) => {
            (Some(of_first.clone() * of_second.clone()), of_second.clone() * first.clone() + second)
        }
        None => (None, first.clone() + second),
    };
    let (before, last) = scan(both, sum, state);
    let between = match kept {
        Some([of_first, _]) => of_first * before.clone() + first,
        None => before.clone() + first,
    };
    let states = Tensor::stack::<5>(vec![before, between], 2).reshape([rows, 2 * pairs, key, value]);
    (states.narrow(1, 0, chunks), last)
}
