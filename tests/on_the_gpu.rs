//! The same code on wgpu; a software driver will do.

use ansatz_core::Registry;

use crate::twenty_steps::agree;

/// The components that pictures are trained with. The other mixers are the same tensor operations in longer chains,
/// each of which a software driver compiles anew for every shape: twenty steps of training check the recurrences.
fn checked() -> Registry {
    Registry::default()
        .mixer::<ansatz_arch_attention::AttentionConfig>()
        .channel::<ansatz_arch_channel::MlpConfig>()
        .channel::<ansatz_arch_channel::GatedMlpConfig>()
        .backbone::<ansatz_arch_stack::StackConfig>()
        .backbone::<ansatz_arch_conv::ConvPyramidConfig>()
        .backbone::<ansatz_arch_conv::ResNetConfig>()
}

#[test]
fn the_components_for_pictures_conform() {
    let device = ansatz_device::open("wgpu").expect("a Vulkan driver, such as mesa-vulkan-drivers");
    ansatz_conformance::registry(&checked(), &device).expect("every property holds");
}

#[test]
fn processor_and_gpu_agree_after_twenty_steps() {
    agree("wgpu");
}
