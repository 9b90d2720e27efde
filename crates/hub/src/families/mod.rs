//! One small file per published family.

mod fla_decoder;
mod fla_delta_net;
mod fla_gated_deltanet;
mod fla_kda;
mod gpt2;
mod mamba;
mod rwkv4;
mod rwkv6;
mod rwkv7;
mod s4d;

use crate::Family;

/// Every family.
pub(crate) const ALL: &[Family] = &[
    fla_delta_net::FAMILY,
    fla_gated_deltanet::FAMILY,
    fla_kda::FAMILY,
    gpt2::FAMILY,
    mamba::FALCON,
    mamba::FAMILY,
    rwkv4::FAMILY,
    rwkv6::FAMILY,
    rwkv7::FAMILY,
    s4d::FAMILY,
];
