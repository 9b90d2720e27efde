//! From a weight to whole numbers with scales, by rounding.

use ansatz_ops::Granularity;
pub(crate) use ansatz_ops::{Levels, Rounded};

use crate::Weight;

/// Rounds a weight to codes, see [`ansatz_ops::round`].
pub(crate) fn round(weight: &Weight, levels: Levels, per: Granularity) -> Rounded {
    ansatz_ops::round(&weight.values, &weight.shape, levels, per)
}

/// Which scale each value has, both counted row by row.
pub(crate) fn scale_index(weight: &Weight, per: Granularity) -> impl Fn(usize) -> usize + use<> {
    ansatz_ops::scale_index(&weight.shape, per)
}
