//! A run folder made up to look like a real one: handwritten digits, a small network, 40 epochs.

use std::fs;
use std::path::Path;

use ansatz_core::Interval;
use ansatz_run::{Environment, Figures, RunFolder, Summary};
use serde_json::{Value, json};

const EPOCHS: u64 = 40;
const STEPS_PER_EPOCH: u64 = 21;
const CONFIG: &str = r#"title = "Handwritten digits: 4 layers of attention over patches"
seed = 7

[data]
kind = "image"
source = "digits"
patch = 2

[backbone]
kind = "stack"
width = 64
depth = 4

[backbone.mixer]
kind = "attention"
heads = 4

[task]
kind = "classify"
label_smoothing = 0.1

[train]
epochs = 40
batch = 64
learning_rate = 0.003
"#;

/// Fills the empty folder `path` with a finished run.
pub(crate) fn fill(path: &Path) -> RunFolder {
    fs::create_dir_all(path.join("mistakes")).expect("a writable folder");
    let write = |name: &str, text: String| fs::write(path.join(name), text).expect("a writable folder");
    write("config.toml", CONFIG.to_owned());
    write("metrics.jsonl", lines().iter().map(|line| format!("{line}\n")).collect());
    write("mistakes.json", Value::from(mistakes(path)).to_string());
    write("layers.json", layers().to_string());
    let folder = RunFolder::open(path).expect("a run folder");
    folder.write_summary(&summary()).expect("a writable folder");
    folder
}

fn summary() -> Summary {
    let figures = |examples, accuracy: f64, loss: f64| Figures {
        examples,
        interval: Some(Interval {
            figure: "accuracy".to_owned(),
            low: accuracy - 0.0156,
            high: accuracy + 0.0145,
        }),
        values: [("accuracy".to_owned(), accuracy), ("loss".to_owned(), loss)].into(),
    };
    Summary {
        title: "Handwritten digits: 4 layers of attention over patches".to_owned(),
        seed: 7,
        device: "cpu".to_owned(),
        parameters: 203_914,
        epochs: EPOCHS as f64,
        steps: EPOCHS * STEPS_PER_EPOCH,
        seconds: 83.4,
        examples_per_second: 1_204.6,
        peak_memory_bytes: Some(412 << 20),
        ended: "finished".to_owned(),
        best_step: 34 * STEPS_PER_EPOCH,
        validation: Some(figures(180, 0.9778, 0.0932)),
        test: Some(figures(450, 0.9711, 0.1043)),
        compression: Vec::new(),
        init: None,
        environment: Environment {
            version: "0.1.0".to_owned(),
            platform: "linux x86_64".to_owned(),
            processor: "Example Processor 9000".to_owned(),
            threads: 8,
            debug_build: false,
        },
    }
}

fn lines() -> Vec<Value> {
    let total = EPOCHS * STEPS_PER_EPOCH;
    let mut noise = Noise(1);
    let mut lines = vec![json!({"event": "started", "title": "…", "step": 0, "total_steps": total})];
    let mut best = 0.0;
    for step in 1..=total {
        let epoch = step as f64 / STEPS_PER_EPOCH as f64;
        let done = step as f64 / total as f64;
        let warm = (epoch / 2.0).min(1.0);
        let learning_rate = 0.003 * warm * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        lines.push(json!({
            "event": "step", "step": step, "epoch": epoch,
            "loss": (2.2 * (-epoch / 4.0).exp() + 0.05) * (0.75 + 0.5 * noise.next()),
            "learning_rate": learning_rate,
            "gradient_norm": (0.4 + 3.0 * (-epoch / 5.0).exp()) * (0.6 + 0.9 * noise.next()),
            "examples_per_second": 1200.0,
        }));
        if step.is_multiple_of(STEPS_PER_EPOCH) {
            let accuracy = 0.978 - 0.85 * (-epoch / 3.0).exp() - 0.012 * noise.next();
            let loss = 0.093 + 2.0 * (-epoch / 4.5).exp() + 0.02 * noise.next() + 0.001 * epoch;
            lines.push(json!({
                "event": "evaluated", "part": "validation", "step": step, "epoch": epoch, "best": accuracy > best,
                "scores": {"examples": 180, "primary": "accuracy", "higher_is_better": true,
                           "values": {"accuracy": accuracy, "loss": loss}},
            }));
            best = accuracy.max(best);
        }
    }
    lines.push(json!({"event": "ended", "reason": "finished", "step": total, "seconds": 83.4}));
    lines.push(json!({
        "event": "evaluated", "part": "test", "step": total, "epoch": EPOCHS, "best": false,
        "scores": {"examples": 450, "primary": "accuracy", "higher_is_better": true,
                   "values": {"accuracy": 0.9711, "loss": 0.1043},
                   "confusion": {"names": (0..10).map(|digit| digit.to_string()).collect::<Vec<_>>(),
                                 "counts": confusion()}},
    }));
    lines
}

fn confusion() -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; 10]; 10];
    for (digit, row) in counts.iter_mut().enumerate() {
        row[digit] = 43 + digit as u64 % 3;
    }
    for (target, said, count) in [(3, 8, 3), (8, 1, 4), (9, 3, 2), (4, 9, 1), (7, 9, 1), (5, 9, 1), (1, 8, 1)]
    {
        counts[target][said] = count;
        counts[target][target] -= count;
    }
    counts
}

fn mistakes(path: &Path) -> Vec<Value> {
    let pairs =
        [(3, 8), (8, 1), (9, 3), (8, 1), (4, 9), (3, 8), (7, 9), (9, 3), (5, 9), (1, 8), (8, 1), (3, 8)];
    let mut noise = Noise(5);
    let mistake = |(position, (target, said)): (usize, &(usize, usize))| {
        let file = format!("mistakes/{position:02}.png");
        draw(*target, &mut noise).save(path.join(&file)).expect("a writable folder");
        let sure = 0.985 - 0.04 * position as f64;
        let rest = (1.0 - sure) / 3.0;
        json!({
            "index": 37 * position + 11, "target": target.to_string(), "loss": -rest.ln(), "exhibit": file,
            "predictions": [[said.to_string(), sure], [((said + 4) % 10).to_string(), 2.0 * rest],
                            [target.to_string(), rest]],
        })
    };
    pairs.iter().enumerate().map(mistake).collect()
}

/// A digit of seven strokes, somewhat slanted and dirty.
fn draw(digit: usize, noise: &mut Noise) -> image::GrayImage {
    const STROKES: [&[usize]; 10] = [
        &[0, 1, 2, 4, 5, 6],
        &[2, 5],
        &[0, 2, 3, 4, 6],
        &[0, 2, 3, 5, 6],
        &[1, 2, 3, 5],
        &[0, 1, 3, 5, 6],
        &[0, 1, 3, 4, 5, 6],
        &[0, 2, 5],
        &[0, 1, 2, 3, 4, 5, 6],
        &[0, 1, 2, 3, 5, 6],
    ];
    let slant = 0.4 * (noise.next() - 0.5);
    image::GrayImage::from_fn(28, 28, |x, y| {
        let (across, down) = (f64::from(x) + slant * (f64::from(y) - 14.0), f64::from(y));
        let from = |low: f64, high: f64, at: f64| (low - at).max(at - high).max(0.0);
        let nearest = STROKES[digit].iter().map(|stroke| match stroke {
            0 => from(9.0, 18.0, across).hypot(down - 5.0),
            1 => (across - 9.0).hypot(from(5.0, 14.0, down)),
            2 => (across - 18.0).hypot(from(5.0, 14.0, down)),
            3 => from(9.0, 18.0, across).hypot(down - 14.0),
            4 => (across - 9.0).hypot(from(14.0, 23.0, down)),
            5 => (across - 18.0).hypot(from(14.0, 23.0, down)),
            _ => from(9.0, 18.0, across).hypot(down - 23.0),
        });
        let distance = nearest.fold(f64::INFINITY, f64::min);
        image::Luma([(255.0 * (2.3 - distance).clamp(0.0, 1.0) * (0.7 + 0.3 * noise.next())) as u8])
    })
}

fn layers() -> Value {
    let block = |block: usize| {
        [("mixer", 16_640, 532_480), ("channel", 33_088, 1_056_768)].map(|(part, parameters, flops)| {
            json!({"name": format!("backbone.blocks.{block}.{part}"), "output": "16 tokens of 64",
                   "parameters": parameters, "flops": flops, "activations": 1024})
        })
    };
    let layer = |name: &str, output: &str, parameters: usize, flops: usize, activations: usize| json!({"name": name, "output": output, "parameters": parameters, "flops": flops, "activations": activations});
    let mut layers = vec![layer("stem", "16 tokens of 64", 1_344, 8_192, 1_024)];
    layers.extend((0..4).flat_map(block));
    layers.push(layer("head", "10 logits", 650, 1_280, 10));
    layers.into()
}

/// The same noise on every machine: values in 0–1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
