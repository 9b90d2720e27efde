//! The same code on wgpu; a software driver will do.

use crate::program::{Program, SMALL};

#[test]
fn every_built_in_component_conforms() {
    let device = ansatz_device::open("wgpu").expect("a Vulkan driver, such as mesa-vulkan-drivers");
    ansatz_conformance::registry(&ansatz::builtin(), &device).expect("every property holds");
}

/// Twenty steps on the processor and on wgpu, from the same seed: the losses agree to 1e-3.
#[test]
fn processor_and_gpu_agree_after_twenty_steps() {
    let losses = |device: &str| {
        let program = Program::new();
        // Dropout draws from the device's own random numbers, which differ between devices.
        program.write("small.toml", SMALL);
        program.succeed(&[
            "train",
            "small.toml",
            "--out",
            "run",
            "--quiet",
            "--device",
            device,
            "--set",
            "train.epochs=1",
            "--set",
            "train.log_every=1",
            "--set",
            "backbone.dropout=0.0",
        ]);
        let log = String::from_utf8(program.read("run/metrics.jsonl")).expect("text");
        let events = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let steps = events.filter(|event| event["event"] == "step");
        steps.filter_map(|event| event["loss"].as_f64()).take(20).collect::<Vec<f64>>()
    };
    let (cpu, gpu) = (losses("cpu"), losses("wgpu"));
    assert_eq!((cpu.len(), gpu.len()), (20, 20));
    for (step, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
        assert!((cpu - gpu).abs() <= 1e-3, "step {}: {cpu} on the processor, {gpu} on wgpu", step + 1);
    }
}
