//! `ansatz measure RUN`

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use ansatz_core::{Error, Registry};
use ansatz_run::Measurement;
use ansatz_run::written::figure_within;

use super::places;
use crate::cli::Measure;
use crate::output::{self, Outcome, bytes, grouped};

pub(super) fn execute(arguments: &Measure, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let measured = ansatz_recipe::measure(&arguments.run, registry, &places()?, &device)?;
    if arguments.json {
        return output::json(out, &measured);
    }
    for (name, value) in rows(&measured) {
        writeln!(out, "  {name:<20} {value}")?;
    }
    Ok(())
}

fn rows(measured: &Measurement) -> Vec<(String, String)> {
    let mut rows = vec![
        (
            format!("{} {}", measured.part, measured.figure),
            figure_within(&measured.figure, measured.quality, measured.interval.as_ref()),
        ),
        ("examples".to_owned(), grouped(measured.examples as u64)),
        ("weights on disk".to_owned(), bytes(measured.bytes)),
        ("parameters".to_owned(), grouped(measured.parameters as u64)),
        ("other than 0".to_owned(), grouped(measured.non_zeros as u64)),
    ];
    rows.extend(measured.flops.map(|flops| ("operations".to_owned(), grouped(flops))));
    for latency in &measured.latency {
        let name = format!("{} at once", latency.batch);
        let time = format!("{:.3} ms, 95 % within {:.3} ms", latency.median, latency.percentile_95);
        rows.push((name, time));
    }
    let speed = format!("{} examples/s", grouped(measured.examples_per_second as u64));
    let speed = match measured.tokens_per_second {
        Some(tokens) => format!("{speed}, {} tokens/s", grouped(tokens as u64)),
        None => speed,
    };
    rows.push(("speed".to_owned(), speed));
    if let Some(peak) = measured.peak_memory_bytes {
        rows.push(("peak memory".to_owned(), bytes(peak)));
    }
    rows
}

/// Measures a run in a process of its own: by this program, on `device`.
pub(super) fn apart(run: &Path, device: &str) -> Result<Measurement, Error> {
    let failed = |problem: String| Error::Failed(format!("measuring {}: {problem}", run.display()));
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let output = Command::new(program)
        .arg("measure")
        .arg(run)
        .args(["--json", "--device", device])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}
