//! One small file per published family.

mod gpt2;
mod rwkv4;
mod rwkv6;
mod rwkv7;

use crate::Family;

/// Every family.
pub(crate) const ALL: &[Family] = &[
    gpt2::FAMILY,
    rwkv4::FAMILY,
    rwkv6::FAMILY,
    rwkv7::FAMILY,
];
