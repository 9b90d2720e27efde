//! Latent attention: what is kept of a token is one narrow vector for all heads.

mod config;
mod module;
mod recurrent;

pub use config::LatentAttentionConfig;
pub use module::LatentAttention;
