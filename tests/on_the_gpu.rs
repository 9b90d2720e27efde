//! The same code on wgpu; a software driver will do.

use crate::twenty_steps::agree;

#[test]
fn every_built_in_component_conforms() {
    let device = ansatz_device::open("wgpu").expect("a Vulkan driver, such as mesa-vulkan-drivers");
    ansatz_conformance::registry(&ansatz::builtin(), &device).expect("every property holds");
}

#[test]
fn processor_and_gpu_agree_after_twenty_steps() {
    agree("wgpu");
}
