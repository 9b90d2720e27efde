//! Which keys each query sees.

use burn::tensor::{Bool, Device, Tensor};

/// Which keys each query sees: by where they stand, and whether they are padding.
///
/// The last query stands at the last key, so that a few new queries behind many old keys see those. By default every
/// query sees every key.
#[derive(Debug, Clone, Default)]
pub struct Visible {
    /// Only a query's own key and those before it.
    pub causal: bool,
    /// Only keys nearer than this, at least 1; `None`: as far as there are any.
    pub window: Option<usize>,
    /// How many groups of queries stand one behind the other, each with its last query at the last key; 0 is one.
    pub groups: usize,
    /// `[batch, keys]`, true where a key is no padding; `None`: none is.
    pub real: Option<Tensor<2, Bool>>,
}

impl Visible {
    /// Which keys each query must not see, or `None` where it sees all: broadcasts to
    /// `[batch, heads, queries, keys]`, true where hidden.
    ///
    /// # Panics
    /// When a query has no key of its own, and it matters which it is: fewer keys than queries of a group.
    pub fn hidden(&self, [queries, keys]: [usize; 2], device: &Device) -> Option<Tensor<4, Bool>> {
        let padding = self.real.as_ref().map(|real| {
            let [batch, keys] = real.dims();
            real.clone().bool_not().reshape([batch, 1, 1, keys])
        });
        let groups = self.groups.max(1);
        let far = self.far([queries / groups, keys], device).map(|far| {
            let rows = if groups == 1 { far } else { far.repeat_dim(0, groups) };
            rows.reshape([1, 1, queries, keys])
        });
        match (padding, far) {
            (Some(padding), Some(far)) => {
                let shape = [padding.dims()[0], 1, queries, keys];
                Some(padding.expand(shape).bool_or(far.expand(shape)))
            }
            (padding, far) => padding.or(far),
        }
    }

    /// How many keys ahead of itself and behind itself a query sees at most.
    pub(crate) fn reach(&self) -> [Option<usize>; 2] {
        let window = self.window.map(|window| window - 1);
        [if self.causal { Some(0) } else { window }, window]
    }

    /// `[queries, keys]`, true where the key stands out of sight; `None` where none does.
    fn far(&self, [queries, keys]: [usize; 2], device: &Device) -> Option<Tensor<2, Bool>> {
        let [ahead, back] = self.reach();
        // Nearly always all keys ahead of the first query, or behind the last, are seen.
        let ahead = ahead.filter(|ahead| ahead + 1 < queries);
        let back = back.filter(|back| back + 1 < keys);
        if ahead.is_none() && back.is_none() {
            return None;
        }
        assert!(queries <= keys, "{queries} queries that stand somewhere, but {keys} keys");
        let offset = (keys - queries) as i64;
        // Key − query ≤ ahead and query − key ≤ back, both counted from the first key.
        let after =
            ahead.map(|ahead| Tensor::<2, Bool>::tril_mask([queries, keys], offset + ahead as i64, device));
        let before =
            back.map(|back| Tensor::<2, Bool>::triu_mask([queries, keys], offset - back as i64, device));
        match (after, before) {
            (Some(after), Some(before)) => Some(after.bool_or(before)),
            (after, before) => after.or(before),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_too_far_or_later() {
        let device = Device::flex();
        for causal in [false, true] {
            for window in [None, Some(1), Some(2), Some(3), Some(9)] {
                for [queries, keys] in [[1, 1], [1, 5], [4, 4], [5, 5], [2, 6]] {
                    let visible = Visible { causal, window, groups: 2, real: None };
                    let hidden = visible.hidden([2 * queries, keys], &device);
                    let seen = |query: usize, key: usize| {
                        let query = query + keys - queries;
                        let near = window.is_none_or(|window| query.abs_diff(key) < window);
                        near && !(causal && key > query)
                    };
                    let expected: Vec<bool> = (0..2 * queries * keys)
                        .map(|place| !seen(place / keys % queries, place % keys))
                        .collect();
                    let found = match hidden {
                        Some(hidden) => hidden.into_data().try_to_vec::<bool>().unwrap(),
                        None => vec![false; expected.len()],
                    };
                    assert_eq!(found, expected, "{visible:?}, {queries} queries, {keys} keys");
                }
            }
        }
    }
}
