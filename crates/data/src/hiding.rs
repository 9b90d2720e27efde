//! Which patches of an example are hidden, for a network to tell from those around them.

use ansatz_core::{ConfigError, Variation};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::random::{Purpose, stream};

/// Refuses a share of patches out of range.
///
/// # Errors
/// With the key `share`, what it says and its range.
pub fn check_hidden_share(share: f64) -> Result<(), ConfigError> {
    if share > 0.0 && share < 1.0 {
        return Ok(());
    }
    Err(ConfigError::value("share", format!("a share of {share}"), "above 0 and below 1"))
}

/// What decides which patches of example `index` are hidden. Where it is not varied this follows from its index alone, so
/// that figures of any two runs compare.
pub fn hiding(variation: Option<Variation>, index: usize) -> ChaCha8Rng {
    let (seed, epoch) = variation.map_or((0, u64::MAX), |Variation { seed, epoch }| (seed, epoch));
    stream(seed, Purpose::Hiding, epoch, index as u64)
}

/// Which of so many `patches` are hidden: a `share` of them, at least one, and never all where there are two.
pub fn hidden_patches(share: f64, patches: usize, random: &mut impl Rng) -> Vec<bool> {
    let most = patches.saturating_sub(1).max(1);
    let count = ((share * patches as f64).round() as usize).clamp(1, most).min(patches);
    let mut hidden = vec![false; patches];
    for place in rand::seq::index::sample(random, patches, count) {
        hidden[place] = true;
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_hidden_but_never_all() {
        let count = |share, patches| {
            let hidden = hidden_patches(share, patches, &mut hiding(None, 3));
            hidden.iter().filter(|hidden| **hidden).count()
        };
        assert_eq!([count(0.6, 49), count(0.01, 5), count(0.99, 5), count(0.5, 1)], [29, 1, 4, 1]);
        assert_eq!(count(0.5, 0), 0);
    }

    #[test]
    fn what_is_hidden_follows_from_seed_epoch_and_example() {
        let hide = |variation, index| hidden_patches(0.5, 40, &mut hiding(variation, index));
        let epoch = |epoch| Some(Variation { seed: 1, epoch });
        assert_eq!(hide(epoch(2), 5), hide(epoch(2), 5));
        assert_ne!(hide(epoch(2), 5), hide(epoch(3), 5));
        assert_ne!(hide(epoch(2), 5), hide(epoch(2), 6));
        assert_eq!(hide(None, 5), hide(None, 5));
    }
}
