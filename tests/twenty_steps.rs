//! Training alike on two devices.

use crate::program::{Program, SMALL};

/// One block of each recurrence that has a kernel of its own on the processor, and is made of tensor operations
/// elsewhere. Retention and gated linear attention are left out: they norm what a head reads of the first token, which
/// leaves little but its sign, so that a learning rate changed by a millionth moves their losses as much as a device.
const RECURRENCES: &str = "{ kind = 'stack', width = 16, depth = 8, pattern = [
    { kind = 'mamba' },
    { kind = 'mamba-2' },
    { kind = 'hgrn2', heads = 2 },
    { kind = 'gated-delta-net', heads = 2 },
    { kind = 'rwkv-4' },
    { kind = 'rwkv-7' },
    { kind = 'rg-lru' },
    { kind = 'mlstm', heads = 2 },
] }";

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

/// Twenty steps on the processor and on `device`, from the same seed: the losses agree to 1e-3.
pub(crate) fn agree(device: &str) {
    for backbone in [
        "{ kind = 'stack', width = 16, depth = 2, pattern = [{ kind = 'attention', heads = 2 }] }",
        "{ kind = 'conv-pyramid', stages = [{ widths = [8, 8], pool = 2 }] }",
        "{ kind = 'resnet', stem = 8, stages = [8, 16] }",
        RECURRENCES,
    ] {
        let (cpu, other) = (losses("cpu", backbone), losses(device, backbone));
        assert_eq!((cpu.len(), other.len()), (20, 20));
        for (step, (cpu, other)) in cpu.iter().zip(&other).enumerate() {
            assert!((cpu - other).abs() <= 1e-3, "{backbone}, step {}: {cpu} and {other}", step + 1);
        }
    }
}
