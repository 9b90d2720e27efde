//! The delta rule and its generalization: a matrix of state per head that is corrected, not only added to.
//!
//! Read token by token, both are a recurrence whose transition is a matrix, and a loop over tokens keeps no
//! processor busy. Their transitions are diagonal plus low rank, though, and so are the products of several of
//! them (the WY representation of products of Householder matrices, Bischof and Van Loan 1987). Inside a chunk of
//! tokens all corrections therefore follow from one unit lower triangular system, and a chunk as a whole is again
//! an affine map of the state: see [`chunks`]. The cost is linear in the length, and nearly all of it is matrix
//! products.

mod chunks;
mod decay;
mod doubling;
mod generalized;
mod inverse;
#[cfg(all(test, feature = "flex"))]
mod naive;
mod rule;

pub use decay::Decay;
pub use generalized::diagonal_plus_low_rank;
pub use rule::delta_rule;
