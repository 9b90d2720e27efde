//! Random numbers that depend on what they are for, not on when they are drawn.
//!
//! A generator that is handed from example to example makes every draw depend on all draws before it,
//! hence on thread count and on where a run was resumed. Here each use has a stream of its own: the
//! ChaCha key *is* (seed, purpose, epoch, index).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What random numbers are drawn for. Streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The order of the examples in an epoch.
    Order = 1,
    /// Changes to one example.
    Example = 2,
    /// Changes to a batch as a whole.
    Batch = 3,
    /// Which examples belong to which part.
    Split = 4,
    /// Which examples are shown to a person.
    Sample = 5,
    /// Examples that are made up.
    Source = 6,
    /// Which modalities of an example are hidden.
    Modality = 7,
    /// Which examples of each class come in an epoch.
    Balance = 8,
    /// Kernels that are not trained.
    Kernel = 9,
    /// Which patches of an example are hidden.
    Hiding = 10,
}

/// The stream of random numbers for one purpose at one place of a run.
pub fn stream(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, index]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn streams_repeat_and_differ() {
        let first = |seed, purpose, epoch, index| stream(seed, purpose, epoch, index).random::<u64>();
        let base = first(1, Purpose::Order, 2, 3);
        assert_eq!(base, first(1, Purpose::Order, 2, 3));
        for other in [
            first(2, Purpose::Order, 2, 3),
            first(1, Purpose::Example, 2, 3),
            first(1, Purpose::Order, 3, 3),
            first(1, Purpose::Order, 2, 4),
        ] {
            assert_ne!(base, other);
        }
    }
}
