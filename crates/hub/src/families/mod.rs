//! One small file per published family.

mod gpt2;

use crate::Family;

/// Every family.
pub(crate) const ALL: &[Family] = &[gpt2::FAMILY];
