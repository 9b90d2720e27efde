//! Batches of examples that are about as long, so that little of them is padding.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Batches that are sorted together: the more, the less padding, and the less chance decides who meets whom.
const POOL: usize = 50;

/// The examples of an epoch, given in their drawn order, once more: neighbours of about the same length make a batch of
/// `batch_size`, and batches come in an order of their own. The smaller last batch stays the last.
pub(crate) fn by_length(
    mut indices: Vec<usize>,
    lengths: &[usize],
    batch_size: usize,
    random: &mut ChaCha8Rng,
) -> Vec<usize> {
    // Examples of one length stay in their drawn order.
    indices.chunks_mut(POOL * batch_size).for_each(|pool| pool.sort_by_key(|index| lengths[*index]));
    let (whole, rest) = indices.split_at(indices.len() / batch_size * batch_size);
    let mut batches: Vec<&[usize]> = whole.chunks(batch_size).collect();
    batches.shuffle(random);
    batches.concat().into_iter().chain(rest.iter().copied()).collect()
}
