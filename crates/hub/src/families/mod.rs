//! One small file per published family.

mod bamba;
mod bart;
mod bert;
mod convnext;
mod decoder;
mod dlinear;
mod falcon_h1;
mod fla_decoder;
mod fla_delta_net;
mod fla_gated_deltanet;
mod fla_gla;
mod fla_hgrn2;
mod fla_kda;
mod fla_linear_attention;
mod fla_retnet;
mod gemma2;
mod gpt2;
mod itransformer;
mod jamba;
mod kimi_linear;
mod lfm2;
mod linear_transformer;
mod llama;
mod mamba;
mod mamba2;
mod minimax;
mod mistral;
mod mixtral;
mod modernbert;
mod patchtsmixer;
mod patchtst;
mod poolformer;
mod qwen3;
mod qwen3_5;
mod qwen3_hybrid;
mod qwen3_next;
mod recurrent_gemma;
mod resnet;
mod rope;
mod rwkv4;
mod rwkv6;
mod rwkv7;
mod rwkv7_author;
mod s4d;
mod t5;
mod tcn;
mod timm_mixer;
mod timm_resnet;
mod torch_recurrent;
mod transformer;
mod tslib;
mod tslib_patchtst;
mod vit;
mod xlstm;
mod xlstm_blocks;

use crate::Family;

/// Every family.
pub(crate) const ALL: &[Family] = &[
    bamba::FAMILY,
    bart::FAMILY,
    bert::FAMILY,
    bert::ROBERTA,
    convnext::FAMILY,
    dlinear::FAMILY,
    falcon_h1::FAMILY,
    fla_delta_net::FAMILY,
    fla_gated_deltanet::FAMILY,
    fla_gla::FAMILY,
    fla_hgrn2::FAMILY,
    fla_kda::FAMILY,
    fla_linear_attention::FAMILY,
    fla_retnet::FAMILY,
    gemma2::FAMILY,
    gpt2::FAMILY,
    itransformer::FAMILY,
    jamba::FAMILY,
    kimi_linear::FAMILY,
    lfm2::FAMILY,
    linear_transformer::FAMILY,
    llama::FAMILY,
    mamba2::FAMILY,
    mamba::FALCON,
    mamba::FAMILY,
    minimax::FAMILY,
    mistral::FAMILY,
    mixtral::FAMILY,
    modernbert::FAMILY,
    patchtsmixer::FAMILY,
    patchtst::FAMILY,
    poolformer::FAMILY,
    qwen3::FAMILY,
    qwen3_5::FAMILY,
    qwen3_next::FAMILY,
    recurrent_gemma::FAMILY,
    resnet::FAMILY,
    rwkv4::FAMILY,
    rwkv6::FAMILY,
    rwkv7::FAMILY,
    rwkv7_author::FAMILY,
    s4d::FAMILY,
    t5::FAMILY,
    tcn::FAMILY,
    timm_mixer::FAMILY,
    timm_resnet::FAMILY,
    torch_recurrent::GRU,
    torch_recurrent::LSTM,
    torch_recurrent::RNN,
    transformer::FAMILY,
    tslib_patchtst::FAMILY,
    vit::DEIT,
    vit::FAMILY,
    xlstm::FAMILY,
    xlstm_blocks::FAMILY,
];
