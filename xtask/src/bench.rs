//! Tables of speed and memory: each row is a run of `ansatz bench`, beside the same work in PyTorch where a script
//! for it is given.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Subcommand;
use serde_json::Value;

use crate::workspace::{Error, capture};

/// The configs of `configs/bench/`, the peer's name for the same work, and whether tokens are decoded: learned
/// positions end with the training length.
const WORKLOADS: [(&str, &str, bool); 9] = [
    ("vit", "vit-mnist-b64", false),
    ("gpt2-char", "gpt2-char-b12-l64", false),
    ("gpt2", "gpt2-b8-l256", false),
    ("llama", "llama-b8-l256", true),
    ("mamba", "mamba-b8-l256", true),
    ("mamba-2", "mamba2-b8-l256", true),
    ("rwkv-4", "rwkv4-b8-l256", true),
    ("gated-delta", "gated-delta-b8-l256", true),
    ("griffin", "griffin-b8-l256", true),
];

/// Configs whose mixers need no more time and state behind a longer context.
const CONSTANT: [&str; 4] = ["mamba", "mamba-2", "rwkv-4", "griffin"];

/// Contexts, in tokens, whose first and last must cost the same.
const CONTEXTS: [usize; 3] = [256, 4096, 65_536];

/// Training lengths, in tokens.
const LENGTHS: [usize; 5] = [1024, 2048, 4096, 8192, 16_384];

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Milliseconds per training step and per decoded token
    Speed {
        /// Names of configs under configs/bench; all by default
        names: Vec<String>,
        /// A script that times the same work in PyTorch, run in turns with ours
        #[arg(long, value_name = "SCRIPT")]
        peer: Option<PathBuf>,
        /// The Python that has what the script needs
        #[arg(long, value_name = "PROGRAM", default_value = "python3")]
        python: PathBuf,
    },
    /// Milliseconds per decoded token behind longer and longer contexts
    Context {
        /// Names of configs under configs/bench; those with a state of constant size by default
        names: Vec<String>,
    },
    /// Peak memory of training on longer and longer examples, one at a time
    Memory {
        /// Names of configs under configs/bench; those with a state of constant size by default
        names: Vec<String>,
    },
}

/// Measures, and gives the table as Markdown.
pub(crate) fn run(bench: &Bench) -> Result<String, Error> {
    match bench {
        Bench::Speed { names, peer, python } => {
            speed(names, peer.as_deref().map(|peer| (python.as_path(), peer)))
        }
        Bench::Context { names } => context(&chosen(names)),
        Bench::Memory { names } => memory(&chosen(names)),
    }
}

fn chosen(names: &[String]) -> Vec<String> {
    if names.is_empty() { CONSTANT.map(str::to_owned).to_vec() } else { names.to_vec() }
}

fn speed(names: &[String], peer: Option<(&Path, &Path)>) -> Result<String, Error> {
    if let Some(unknown) = names.iter().find(|name| !WORKLOADS.iter().any(|(known, ..)| known == name)) {
        let known = WORKLOADS.map(|(name, ..)| name).join(", ");
        return Err(Error::Wrong(format!("there is no workload {unknown}; known: {known}")));
    }
    let mut rows = vec![
        "| workload | parameters | step, ms | PyTorch | times as fast | token, ms | PyTorch | times as fast |".to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for (name, workload, decodes) in WORKLOADS {
        if !(names.is_empty() || names.iter().any(|wanted| wanted == name)) {
            continue;
        }
        let ours = ours(name, if decodes { &[] } else { &["--only", "train"] })?;
        let theirs = peer.map(|(python, script)| theirs(python, script, workload)).transpose()?;
        let theirs = theirs.unwrap_or_default();
        let compare = |ours: &Value, theirs: &Value| match (ours.as_f64(), theirs.as_f64()) {
            (Some(ours), Some(theirs)) => format!("{ours:.2} | {theirs:.2} | {:.1}", theirs / ours),
            (Some(ours), None) => format!("{ours:.2} | – | –"),
            _ => "– | – | –".to_owned(),
        };
        rows.push(format!(
            "| {name} | {} | {} | {} |",
            ours["parameters"],
            compare(&ours["step"]["milliseconds"], &theirs["train_ms"]),
            compare(&ours["tokens"][0]["milliseconds"], &theirs["decode_ms"]),
        ));
    }
    Ok(rows.join("\n"))
}

fn context(names: &[String]) -> Result<String, Error> {
    let contexts = CONTEXTS.map(|context| context.to_string());
    let heading: Vec<String> =
        contexts.iter().map(|context| format!("behind {context}, ms | state, bytes")).collect();
    let mut rows = vec![
        format!("| workload | {} | last / first |", heading.join(" | ")),
        format!("|---|{}---|", "---|".repeat(2 * CONTEXTS.len())),
    ];
    for name in names {
        let times = ours(name, &["--only", "decode", "--contexts", &contexts.join(",")])?;
        let tokens: Vec<(f64, u64)> = times["tokens"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|token| (number(&token["milliseconds"]), token["state_bytes"].as_u64().unwrap_or(0)))
            .collect();
        let cells: Vec<String> = tokens.iter().map(|(time, bytes)| format!("{time:.3} | {bytes}")).collect();
        let ratio = match (tokens.first(), tokens.last()) {
            (Some((first, _)), Some((last, _))) => last / first,
            _ => f64::NAN,
        };
        rows.push(format!("| {name} | {} | {ratio:.2} |", cells.join(" | ")));
    }
    Ok(rows.join("\n"))
}

fn memory(names: &[String]) -> Result<String, Error> {
    let heading = LENGTHS.map(|length| format!("{length} tokens, MB"));
    let mut rows = vec![
        format!("| workload | {} | kB per token |", heading.join(" | ")),
        format!("|---|{}---|", "---|".repeat(LENGTHS.len())),
    ];
    for name in names {
        let mut peaks = Vec::new();
        for length in LENGTHS {
            let length = format!("data.length={length}");
            let set = ["--only", "train", "--seconds", "0", "--set", &length, "--set", "train.batch_size=1"];
            peaks.push(number(&ours(name, &set)?["peak_memory_bytes"]));
        }
        let cells: Vec<String> = peaks.iter().map(|peak| format!("{:.0}", peak / 1e6)).collect();
        let slope = (peaks[LENGTHS.len() - 1] - peaks[0]) / (LENGTHS[LENGTHS.len() - 1] - LENGTHS[0]) as f64;
        rows.push(format!("| {name} | {} | {:.1} |", cells.join(" | "), slope / 1e3));
    }
    Ok(rows.join("\n"))
}

/// What `ansatz bench` says of a config.
fn ours(name: &str, more: &[&str]) -> Result<Value, Error> {
    let config = format!("configs/bench/{name}.toml");
    let text = capture(
        Command::new("cargo")
            .args(["run", "--release", "--quiet", "--", "bench", &config, "--json"])
            .args(more),
    )?;
    read(&text)
}

/// What the peer's script says of a workload.
fn theirs(python: &Path, script: &Path, workload: &str) -> Result<Value, Error> {
    read(&capture(Command::new(python).arg(script).args(["--json", workload]))?)
}

fn read(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|error| Error::Wrong(format!("{error} in {text}")))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}
