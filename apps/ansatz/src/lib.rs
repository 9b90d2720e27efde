//! The workbench as a library: the list of what is built in, and the command line over any such list.
//!
//! A program of your own adds its components and keeps every command:
//!
//! ```no_run
//! # use ansatz_arch_attention::AttentionConfig as Mine;
//! fn main() -> std::process::ExitCode {
//!     ansatz::run(ansatz::builtin().mixer::<Mine>())
//! }
//! ```

mod cli;
mod commands;
mod output;

use std::process::ExitCode;

use ansatz_core::Registry;
use clap::Parser;

/// Every built-in component. Help, `ansatz list`, the JSON Schema and the tests derive from this list.
pub fn builtin() -> Registry {
    Registry::default()
        .mixer::<ansatz_arch_attention::AttentionConfig>()
        .mixer::<ansatz_arch_attention::LatentAttentionConfig>()
        .mixer::<ansatz_arch_delta::DeltaNetConfig>()
        .mixer::<ansatz_arch_delta::GatedDeltaNetConfig>()
        .mixer::<ansatz_arch_delta::KimiDeltaAttentionConfig>()
        .mixer::<ansatz_arch_conv::ShortConvolutionConfig>()
        .mixer::<ansatz_arch_conv::AveragePoolConfig>()
        .mixer::<ansatz_arch_conv::DepthwiseConvolutionConfig>()
        .mixer::<ansatz_arch_linear::LinearAttentionConfig>()
        .mixer::<ansatz_arch_linear::RetentionConfig>()
        .mixer::<ansatz_arch_linear::GatedLinearAttentionConfig>()
        .mixer::<ansatz_arch_linear::Hgrn2Config>()
        .mixer::<ansatz_arch_linear::LightningAttentionConfig>()
        .mixer::<ansatz_arch_mlp::TokenMlpConfig>()
        .mixer::<ansatz_arch_rwkv::Rwkv4Config>()
        .mixer::<ansatz_arch_rwkv::Rwkv6Config>()
        .mixer::<ansatz_arch_rwkv::Rwkv7Config>()
        .mixer::<ansatz_arch_ssm::MambaConfig>()
        .mixer::<ansatz_arch_ssm::Mamba2Config>()
        .mixer::<ansatz_arch_ssm::S4dConfig>()
        .mixer::<ansatz_arch_stack::ParallelConfig>()
        .mixer::<ansatz_arch_stack::ScansConfig>()
        .mixer::<ansatz_arch_recurrent::RnnConfig>()
        .mixer::<ansatz_arch_recurrent::LstmConfig>()
        .mixer::<ansatz_arch_recurrent::GruConfig>()
        .mixer::<ansatz_arch_recurrent::MatrixLstmConfig>()
        .mixer::<ansatz_arch_recurrent::ProjectedMatrixLstmConfig>()
        .mixer::<ansatz_arch_recurrent::ScalarLstmConfig>()
        .mixer::<ansatz_arch_recurrent::RgLruConfig>()
        .channel::<ansatz_arch_channel::MlpConfig>()
        .channel::<ansatz_arch_channel::GatedMlpConfig>()
        .channel::<ansatz_arch_channel::ExpertsConfig>()
        .channel::<ansatz_arch_channel::NoneConfig>()
        .channel::<ansatz_arch_rwkv::Rwkv4ChannelConfig>()
        .channel::<ansatz_arch_rwkv::Rwkv6ChannelConfig>()
        .channel::<ansatz_arch_rwkv::Rwkv7ChannelConfig>()
        .backbone::<ansatz_arch_stack::StackConfig>()
        .backbone::<ansatz_arch_stack::HierarchyConfig>()
        .backbone::<ansatz_arch_encoder_decoder::EncoderDecoderConfig>()
        .backbone::<ansatz_arch_mlp::MlpConfig>()
        .backbone::<ansatz_arch_conv::ConvPyramidConfig>()
        .backbone::<ansatz_arch_conv::ResNetConfig>()
        .backbone::<ansatz_arch_series::DLinearConfig>()
        .backbone::<ansatz_arch_series::PatchMixerConfig>()
        .backbone::<ansatz_arch_series::TcnConfig>()
        // In front of those that it joins: `init` asks them in this order, and it leaves nothing out.
        .data_model::<ansatz_data_fused::FusedConfig>()
        .data_model::<ansatz_data_image::ImageConfig>()
        .data_model::<ansatz_data_text::TextConfig>()
        .data_model::<ansatz_data_text::LabelledTextConfig>()
        .data_model::<ansatz_data_table::TableConfig>()
        .data_model::<ansatz_data_text::PairsConfig>()
        .data_model::<ansatz_data_text::RecallConfig>()
        .data_model::<ansatz_data_series::SeriesConfig>()
        .data_model::<ansatz_data_series::LabelledSeriesConfig>()
        .task::<ansatz_tasks::ClassifyConfig>()
        .task::<ansatz_tasks::LanguageModelConfig>()
        .task::<ansatz_tasks::MaskedLanguageModelConfig>()
        .task::<ansatz_tasks::MaskedPatchesConfig>()
        .task::<ansatz_tasks::ForecastConfig>()
        .task::<ansatz_tasks::RegressConfig>()
}

/// Runs the command line with the components of `registry`; the exit code is 0 when all is fine, 1 when
/// something failed while running, 2 when the input or usage was wrong.
pub fn run(registry: Registry) -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => output::finish(commands::execute(cli, registry)),
        Err(error) => output::usage(&error),
    }
}
