//! How the width is split among the heads.

use burn::tensor::Tensor;

/// Numbers of heads and their width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Query heads.
    pub(crate) query: usize,
    /// Key and value heads, a divisor of the query heads.
    pub(crate) key_value: usize,
    /// Values per head.
    pub(crate) width: usize,
}

impl Heads {
    /// Query heads that share a key head. Head `h` uses key head `h / group`, as in Llama.
    pub(crate) fn group(self) -> usize {
        self.query / self.key_value
    }

    /// `[batch, length, heads × values]` → `[batch, length, heads, values]`, whatever number a head has.
    pub(crate) fn apart(projected: Tensor<3>, heads: usize) -> Tensor<4> {
        let [batch, length, all] = projected.dims();
        projected.reshape([batch, length, heads, all / heads])
    }

    /// `[batch, length, query heads, width]` → `[batch, key heads, group × length, width]`.
    ///
    /// The queries that share a key head stand one group behind the other, so that one matrix product serves
    /// them all and no key is copied.
    pub(crate) fn group_queries(self, queries: Tensor<4>) -> Tensor<4> {
        let [batch, length, _, width] = queries.dims();
        let heads = queries.swap_dims(1, 2);
        if self.group() == 1 {
            return heads;
        }
        heads.reshape([batch, self.key_value, self.group() * length, width])
    }

    /// `[batch, key heads, group × length, width]` → `[batch, length, query heads × width]`.
    pub(crate) fn join(self, attended: Tensor<4>) -> Tensor<3> {
        let [batch, _, rows, _] = attended.dims();
        let length = rows / self.group();
        let heads = attended.reshape([batch, self.query, length, self.width]);
        heads.swap_dims(1, 2).reshape([batch, length, self.query * self.width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn joining_undoes_splitting() {
        let device = ansatz_device::open("cpu").unwrap();
        for (query, key_value) in [(1, 1), (4, 4), (6, 2), (3, 1)] {
            let heads = Heads { query, key_value, width: 5 };
            let x = Tensor::<3>::random([2, 7, query * 5], Distribution::Default, &device);
            let split = heads.group_queries(Heads::apart(x.clone(), query));
            heads.join(split).to_data().assert_eq(&x.to_data(), true);
        }
    }

    #[test]
    fn grouped_queries_stand_under_their_key_head() {
        let device = ansatz_device::open("cpu").unwrap();
        let heads = Heads { query: 4, key_value: 2, width: 1 };
        // Query head h of the only token holds the value h.
        let x = Tensor::<3>::from_data([[[0.0, 1.0, 2.0, 3.0]]], &device);
        let split = heads.group_queries(Heads::apart(x, 4));
        assert_eq!(split.dims(), [1, 2, 2, 1]);
        split.to_data().assert_eq(&[[[[0.0f32], [1.0]], [[2.0], [3.0]]]].into(), true);
    }
}
