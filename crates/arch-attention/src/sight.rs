//! Which tokens each token sees.

use burn::tensor::{Bool, Device, Tensor};

/// Which tokens each token sees, by where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Only itself and those before it.
    pub(crate) causal: bool,
    /// Only those nearer than this.
    pub(crate) window: Option<usize>,
}

impl Sight {
    /// Past tokens that a next one can still see; `None`: all.
    pub(crate) fn past(self) -> Option<usize> {
        self.window.map(|window| window - 1)
    }

    /// Which keys each query must not see, or `None` where it sees all: broadcasts to
    /// `[batch, heads, group × queries, keys]`, true where hidden.
    ///
    /// The last query stands at the last key, so that a few new queries behind many old keys see those.
    pub(crate) fn hidden(
        self,
        mask: Option<&Tensor<2, Bool>>,
        [group, queries, keys]: [usize; 3],
        device: &Device,
    ) -> Option<Tensor<4, Bool>> {
        let padding = mask.map(|real| {
            let [batch, keys] = real.dims();
            real.clone().bool_not().reshape([batch, 1, 1, keys])
        });
        let far = self.far([queries, keys], device).map(|far| {
            let rows = if group == 1 { far } else { far.repeat_dim(0, group) };
            rows.reshape([1, 1, group * queries, keys])
        });
        match (padding, far) {
            (Some(padding), Some(far)) => {
                let shape = [padding.dims()[0], 1, group * queries, keys];
                Some(padding.expand(shape).bool_or(far.expand(shape)))
            }
            (padding, far) => padding.or(far),
        }
    }

    /// `[queries, keys]`, true where the key stands out of sight; `None` where none does.
    fn far(self, [queries, keys]: [usize; 2], device: &Device) -> Option<Tensor<2, Bool>> {
        let offset = (keys - queries) as i64;
        let window = self.window.map(|window| window as i64);
        // How far the key may stand behind the query.
        let ahead = if self.causal { Some(0) } else { window.map(|window| window - 1) };
        let ahead = ahead.filter(|ahead| ahead + 1 < queries as i64);
        let back = window.filter(|window| *window < keys as i64);
        // Key − query ≤ ahead and key − query > −window, both counted from the first key.
        let after = ahead.map(|ahead| Tensor::<2, Bool>::tril_mask([queries, keys], offset + ahead, device));
        let before =
            back.map(|window| Tensor::<2, Bool>::triu_mask([queries, keys], offset + 1 - window, device));
        match (after, before) {
            (Some(after), Some(before)) => Some(after.bool_or(before)),
            (after, before) => after.or(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_too_far_or_later() {
        let device = ansatz_device::open("cpu").unwrap();
        for causal in [false, true] {
            for window in [None, Some(1), Some(2), Some(3), Some(9)] {
                for [queries, keys] in [[1, 1], [1, 5], [4, 4], [5, 5], [2, 6]] {
                    if !causal && queries < keys {
                        continue;
                    }
                    let sight = Sight { causal, window };
                    let hidden = sight.hidden(None, [2, queries, keys], &device);
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
                    assert_eq!(found, expected, "{sight:?}, {queries} queries, {keys} keys");
                }
            }
        }
    }
}
