//! The same code on wgpu; a software driver will do.

use crate::program::{Program, SMALL};

#[test]
fn every_built_in_component_conforms() {
    let device = ansatz_device::open("wgpu").expect("a Vulkan driver, such as mesa-vulkan-drivers");
    ansatz_conformance::registry(&ansatz::builtin(), &device).expect("every property holds");
}

/// The losses of twenty steps with `backbone`, from one seed.
fn losses(device: &str, backbone: &str) -> Vec<f64> {
    let program = Program::new();
    program.write("small.toml", SMALL);
    // Dropout draws from the device's own random numbers, which differ between devices.
    let backbone = format!("backbone={backbone}");
    program.succeed(&[
        "train",
        "small.toml",
        "--out",
        "run",
        "--quiet",
        "--device",
        device,
        "--set",
        "train.max_steps=20",
        "--set",
        "train.log_every=1",
        "--set",
        &backbone,
    ]);
    let log = String::from_utf8(program.read("run/metrics.jsonl")).expect("text");
    let events = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events.filter(|event| event["event"] == "step").filter_map(|event| event["loss"].as_f64()).collect()
}

/// Twenty steps on the processor and on wgpu, from the same seed: the losses agree to 1e-3.
#[test]
fn processor_and_gpu_agree_after_twenty_steps() {
    for backbone in [
        "{ kind = 'stack', width = 16, depth = 2, pattern = [{ kind = 'attention', heads = 2 }] }",
        "{ kind = 'conv-pyramid', stages = [{ widths = [8, 8], pool = 2 }] }",
        "{ kind = 'resnet', stem = 8, stages = [8, 16] }",
    ] {
        let (cpu, gpu) = (losses("cpu", backbone), losses("wgpu", backbone));
        assert_eq!((cpu.len(), gpu.len()), (20, 20));
        for (step, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
            assert!((cpu - gpu).abs() <= 1e-3, "{backbone}, step {}: {cpu} and {gpu}", step + 1);
        }
    }
}
