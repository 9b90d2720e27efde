//! Positions as a bias of the scores, by how far apart two tokens stand.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// A number for each head and each bucket of distances, added to the scores (Raffel et al. 2020,
/// arXiv:1910.10683, section 2.1).
///
/// Half of the buckets hold one distance each. The others grow logarithmically up to `distance`, beyond which all
/// share the last one. Where tokens see both ways, half of the buckets are for those that come later. The
/// formula is that of the paper's program, mesh-tensorflow's `_relative_position_bucket`.
#[derive(Module, Debug)]
pub struct RelativePositions {
    /// `[buckets, heads]`.
    pub table: Param<Tensor<2>>,
    distance: usize,
    causal: bool,
}

impl RelativePositions {
    /// Drawn from a normal distribution of deviation 1/√width.
    pub(crate) fn new(
        [buckets, heads]: [usize; 2],
        distance: usize,
        causal: bool,
        width: usize,
        device: &Device,
    ) -> Self {
        let normal = Initializer::Normal { mean: 0.0, std: (width as f64).powf(-0.5) };
        Self { table: normal.init([buckets, heads], device), distance, causal }
    }

    /// `[1, heads, queries, keys]` for queries from position `first` on and keys from the beginning.
    pub(crate) fn bias(&self, first: usize, [queries, keys]: [usize; 2]) -> Tensor<4> {
        let table = self.table.val();
        let ([buckets, heads], device) = (table.dims(), table.device());
        let bucket =
            |query: usize, key: usize| bucket(query, key, buckets, self.distance, self.causal) as i64;
        let places: Vec<i64> = (first..first + queries)
            .flat_map(|query| (0..keys).map(move |key| (query, key)))
            .map(|(query, key)| bucket(query, key))
            .collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [queries * keys]), &device);
        table.select(0, places).reshape([1, queries, keys, heads]).permute([0, 3, 1, 2])
    }
}

/// The bucket of a key as seen from a query.
fn bucket(query: usize, key: usize, buckets: usize, distance: usize, causal: bool) -> usize {
    let (first, buckets, apart) = match causal {
        true => (0, buckets, query.saturating_sub(key)),
        false => (if key > query { buckets / 2 } else { 0 }, buckets / 2, query.abs_diff(key)),
    };
    let exact = buckets / 2;
    if apart < exact {
        return first + apart;
    }
    // In float32 as in the reference, which decides where a distance lies on the border of two buckets.
    let ratio = (apart as f32 / exact as f32).ln() / (distance as f64 / exact as f64).ln() as f32;
    let beyond = (ratio * (buckets - exact) as f32) as usize;
    first + (exact + beyond).min(buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_published_program() {
        // Printed by transformers' T5Attention._relative_position_bucket with 8 buckets and a distance of 20.
        let both_ways = |apart: isize| bucket(100, 100usize.strict_add_signed(apart), 8, 20, false);
        let found: Vec<usize> = [-30, -8, -6, -3, -2, -1, 0, 1, 2, 3, 6, 8, 30].map(both_ways).to_vec();
        assert_eq!(found, BOTH_WAYS);
        let back = |apart: usize| bucket(100, 100 - apart, 8, 20, true);
        let found: Vec<usize> = [0, 1, 2, 3, 4, 5, 6, 8, 12, 19, 20, 60].map(back).to_vec();
        assert_eq!(found, BACK);
        assert_eq!(bucket(3, 9, 8, 20, true), 0, "what comes later is hidden anyway");
    }

    const BOTH_WAYS: [usize; 13] = [3, 3, 2, 2, 2, 1, 0, 5, 6, 6, 6, 7, 7];
    const BACK: [usize; 12] = [0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 7, 7];

    #[test]
    fn later_queries_have_the_last_rows() {
        let device = ansatz_device::open("cpu").unwrap();
        for causal in [false, true] {
            let positions = RelativePositions::new([8, 3], 20, causal, 4, &device);
            let all = positions.bias(0, [9, 9]);
            let last = positions.bias(7, [2, 9]);
            last.into_data().assert_eq(&all.narrow(2, 7, 2).into_data(), true);
        }
    }
}
