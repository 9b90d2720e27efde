//! Dividing examples into parts, by seed or by content, the same way every time.

use ansatz_core::{ConfigError, Error, Result};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::random::{Purpose, stream};

/// How much is taken off: `{ fraction = 0.1 }` or `{ count = 5000 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// This fraction of all examples, rounded to the nearest; range 0..1.
    Fraction(f64),
    /// This many examples.
    Count(usize),
}

impl Share {
    /// Refuses a fraction out of range, which stands in a config under `name`.
    ///
    /// # Errors
    /// With `name`, the fraction and its range.
    pub fn check(self, name: &str) -> Result<(), ConfigError> {
        match self {
            Self::Fraction(fraction) if !(0.0..1.0).contains(&fraction) => {
                Err(ConfigError::value(name, fraction.to_string(), "0 or more and below 1"))
            }
            Self::Fraction(_) | Self::Count(_) => Ok(()),
        }
    }

    /// How many of `total` examples this is.
    ///
    /// # Errors
    ///
    /// When the fraction is outside 0..1, or when nothing would be left.
    pub fn of(self, total: usize) -> Result<usize> {
        let error = |given: String| {
            Error::input(
                given,
                format!("cannot be taken off {total} examples"),
                "`{ fraction = F }` with 0 ≤ F < 1, or `{ count = N }`, with at least one example left",
                "take less, or add examples",
            )
        };
        match self {
            Self::Fraction(fraction) if !(0.0..1.0).contains(&fraction) => {
                Err(error(format!("fraction {fraction}")))
            }
            Self::Fraction(fraction) => {
                let count = (fraction * total as f64).round() as usize;
                if count > 0 && count >= total {
                    Err(error(format!("fraction {fraction}")))
                } else {
                    Ok(count)
                }
            }
            Self::Count(count) if count > 0 && count >= total => Err(error(format!("count {count}"))),
            Self::Count(count) => Ok(count),
        }
    }
}

/// Examples divided in two; the indices of each part rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// What stays.
    pub kept: Vec<usize>,
    /// What is taken off.
    pub held_out: Vec<usize>,
}

impl Division {
    fn from_mask(held_out: &[bool]) -> Self {
        let (taken, kept) = (0..held_out.len()).partition(|&index| held_out[index]);
        Self { kept, held_out: taken }
    }

    /// What stays of `examples`, and what is taken off, each in its order.
    pub fn divide<T>(&self, examples: Vec<T>) -> (Vec<T>, Vec<T>) {
        let (taken, kept): (Vec<_>, Vec<_>) = examples
            .into_iter()
            .enumerate()
            .partition(|(index, _)| self.held_out.binary_search(index).is_ok());
        let examples = |numbered: Vec<(usize, T)>| numbered.into_iter().map(|(_, example)| example).collect();
        (examples(kept), examples(taken))
    }

    /// Takes a share of `total` examples off at random.
    ///
    /// # Errors
    ///
    /// As [`Share::of`].
    pub fn random(total: usize, share: Share, seed: u64) -> Result<Self> {
        let count = share.of(total)?;
        let mut order: Vec<usize> = (0..total).collect();
        order.shuffle(&mut stream(seed, Purpose::Split, 0, 0));
        let mut held_out = vec![false; total];
        for &index in &order[..count] {
            held_out[index] = true;
        }
        Ok(Self::from_mask(&held_out))
    }

    /// Takes a share off at random so that each class keeps its proportion as nearly as whole numbers
    /// allow (largest remainder; of equal remainders the lower class goes first).
    ///
    /// # Errors
    ///
    /// As [`Share::of`].
    pub fn stratified(classes: &[usize], share: Share, seed: u64) -> Result<Self> {
        let count = share.of(classes.len())?;
        let class_count = classes.iter().max().map_or(0, |&highest| highest + 1);
        let mut members = vec![Vec::new(); class_count];
        for (index, &class) in classes.iter().enumerate() {
            members[class].push(index);
        }
        let mut held_out = vec![false; classes.len()];
        let quotas = quotas(&members, count);
        for (class, (indices, quota)) in members.iter_mut().zip(quotas).enumerate() {
            indices.shuffle(&mut stream(seed, Purpose::Split, 1, class as u64));
            for &index in &indices[..quota] {
                held_out[index] = true;
            }
        }
        Ok(Self::from_mask(&held_out))
    }

    /// The same which keeps no more than a share of what it keeps, class by class; all of it where there is none.
    /// `classes` are those of all examples, as [`Division::stratified`] was given them.
    ///
    /// # Errors
    ///
    /// As [`Share::of`].
    pub fn keeping(mut self, share: Option<Share>, classes: &[usize], seed: u64) -> Result<Self> {
        if let Some(share) = share {
            let kept: Vec<usize> = self.kept.iter().map(|&index| classes[index]).collect();
            let few = Self::stratified(&kept, share, seed)?;
            self.kept = few.held_out.into_iter().map(|place| self.kept[place]).collect();
        }
        Ok(self)
    }

    /// Takes off the examples whose key falls into the first `percent` of the hundred [`bucket`]s:
    /// equal keys stay together, and the part of an example does not depend on the others.
    pub fn by_bucket<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>, percent: u32) -> Self {
        let held_out: Vec<bool> = keys.into_iter().map(|key| bucket(key) < percent).collect();
        Self::from_mask(&held_out)
    }
}

/// How many of each class make up `count` in all.
fn quotas(members: &[Vec<usize>], count: usize) -> Vec<usize> {
    let total: usize = members.iter().map(Vec::len).sum();
    // Products of two counts stay exact in 128 bits, so no class gains by rounding.
    let exact = |class: &Vec<usize>| class.len() as u128 * count as u128;
    let mut quotas: Vec<usize> =
        members.iter().map(|class| (exact(class) / total.max(1) as u128) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..members.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(exact(&members[class]) % total.max(1) as u128));
    let missing = count - quotas.iter().sum::<usize>();
    for &class in by_remainder.iter().take(missing) {
        quotas[class] += 1;
    }
    quotas
}

/// The bucket of a key, 0..100: the first four bytes of its SHA-256, big endian, modulo 100.
pub fn bucket(key: impl AsRef<[u8]>) -> u32 {
    let digest = Sha256::digest(key.as_ref());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_of_the_protocol() {
        assert_eq!(bucket(""), 10);
        assert_eq!(bucket("abc"), 19);
    }

    #[test]
    fn a_split_is_pinned() {
        // These figures must never change: a changed split silently changes what every old run meant.
        let division = Division::random(10, Share::Count(3), 7).unwrap();
        assert_eq!(division.held_out, [0, 4, 6]);
        assert_ne!(division, Division::random(10, Share::Count(3), 8).unwrap());
    }

    #[test]
    fn a_share_that_leaves_nothing_is_an_error() {
        assert_eq!(
            Share::Count(10).of(10).unwrap_err().to_string(),
            "count 10: cannot be taken off 10 examples\n  expected: `{ fraction = F }` with 0 ≤ F < 1, or \
             `{ count = N }`, with at least one example left\n  to do: take less, or add examples"
        );
        assert!(Share::Fraction(1.0).of(10).is_err());
        assert!(Share::Fraction(f64::NAN).of(10).is_err());
        assert_eq!(Share::Fraction(0.25).of(10).unwrap(), 3);
        assert_eq!(Share::Count(0).of(0).unwrap(), 0);
    }

    #[test]
    fn a_share_in_toml() {
        #[derive(Deserialize)]
        struct Config {
            validation: Share,
        }
        let read = |text| toml::from_str::<Config>(text).unwrap().validation;
        assert_eq!(read("validation = { fraction = 0.1 }"), Share::Fraction(0.1));
        assert_eq!(read("validation = { count = 5000 }"), Share::Count(5000));
    }

    #[test]
    fn equal_keys_stay_together() {
        let division = Division::by_bucket(["abc", "", "abc"], 15);
        assert_eq!(division, Division { kept: vec![0, 2], held_out: vec![1] });
        assert_eq!(division.divide(vec!['a', 'b', 'c']), (vec!['a', 'c'], vec!['b']));
    }

    proptest! {
        #[test]
        fn parts_are_a_partition_of_the_right_size(
            classes in prop::collection::vec(0usize..5, 1..200), fraction in 0.0..0.9f64, seed: u64
        ) {
            let share = Share::Fraction(fraction);
            if let Ok(count) = share.of(classes.len()) {
                for division in
                    [Division::stratified(&classes, share, seed)?, Division::random(classes.len(), share, seed)?]
                {
                    prop_assert_eq!(division.held_out.len(), count);
                    let mut all = [division.kept, division.held_out].concat();
                    all.sort_unstable();
                    prop_assert_eq!(all, (0..classes.len()).collect::<Vec<_>>());
                }
            }
        }

        #[test]
        fn stratified_parts_keep_the_proportions(
            classes in prop::collection::vec(0usize..4, 8..300), seed: u64
        ) {
            let division = Division::stratified(&classes, Share::Fraction(0.25), seed)?;
            for class in 0..4 {
                let all = classes.iter().filter(|&&given| given == class).count() as f64;
                let taken = division.held_out.iter().filter(|&&index| classes[index] == class).count() as f64;
                let due = all * division.held_out.len() as f64 / classes.len() as f64;
                prop_assert!((taken - due).abs() < 1.0, "class {}: {} of {}, due {}", class, taken, all, due);
            }
        }
    }
}
