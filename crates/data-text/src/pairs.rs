//! Pairs of texts: a source, and a target that a network learns to make of it.

mod config;
mod encoder;
mod open;
mod source;

pub use config::{Layout, PairsConfig};
pub use encoder::PairsEncoder;
pub(crate) use open::Groups;
pub use open::OpenPairs;
pub use source::PairSource;
