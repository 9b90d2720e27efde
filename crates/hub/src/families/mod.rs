//! One small file per published family.

mod gpt2;
mod mamba;
mod rwkv4;
mod rwkv6;
mod rwkv7;
mod s4d;

use crate::Family;

/// Every family.
pub(crate) const ALL: &[Family] = &[
    gpt2::FAMILY,
    mamba::FALCON,
    mamba::FAMILY,
    rwkv4::FAMILY,
    rwkv6::FAMILY,
    rwkv7::FAMILY,
    s4d::FAMILY,
];
