//! `ansatz train CONFIG`, `ansatz train --resume RUN`

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ansatz_core::{Error, Registry, Target};
use ansatz_run::written::{figure_within, label};
use ansatz_run::{RunFolder, Summary};
use ansatz_train::progress::{Dashboard, JsonLines, Listener, Plain};

use super::{config, places};
use crate::cli::{Progress, Train};
use crate::output::{self, Outcome, bytes, grouped};

pub(super) fn execute(arguments: Train, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let stop = stop_on_interrupt()?;
    let run = ansatz_train::Setting {
        registry,
        places: &places()?,
        device: &device,
        host: &ansatz_device::host()?,
        device_name: &arguments.device.device,
        stop: Arc::clone(&stop),
        listeners: listeners(&arguments, &stop),
    };
    let (folder, summary) = match (&arguments.resume, &arguments.config) {
        (Some(path), _) => {
            let folder = RunFolder::open(path)?;
            let summary = ansatz_train::resume(&folder, run)?;
            (folder, summary)
        }
        (None, Some(path)) => {
            let mut patches = arguments.patches.set.clone();
            if arguments.strict {
                patches.push("data.source.folder.strict=true".parse()?);
            }
            let mut experiment = config::read(path, &patches, registry)?;
            experiment.seed = arguments.seed.unwrap_or(experiment.seed);
            let place = arguments.out.clone().unwrap_or_else(|| free_folder(path));
            let folder = RunFolder::vacant(&place)?;
            let summary = ansatz_train::train(&experiment, &folder, run)?;
            (folder, summary)
        }
        (None, None) => unreachable!("clap asks for a config or --resume"),
    };
    if summary.ended != "interrupted" {
        ansatz_report::write(&folder)?;
    }
    if arguments.json { output::json(out, &summary) } else { conclude(&folder, &summary, registry, out) }
}

/// A flag that Ctrl-C raises; a second Ctrl-C ends the process at once.
pub(super) fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|error| Error::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
    Ok(stop)
}

fn listeners(arguments: &Train, stop: &Arc<AtomicBool>) -> Vec<Box<dyn Listener>> {
    let terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
    match (arguments.quiet, arguments.json, arguments.progress) {
        (true, ..) => Vec::new(),
        (_, true, _) => vec![Box::new(JsonLines::new(io::stdout()))],
        (_, _, Progress::Dashboard) => vec![Box::new(Dashboard::new(Arc::clone(stop)))],
        (_, _, Progress::Auto) if terminal => vec![Box::new(Dashboard::new(Arc::clone(stop)))],
        _ => vec![Box::new(Plain::new(io::stderr()))],
    }
}

/// `runs/digits` for `configs/digits.toml`, or the first of `runs/digits-2`, `runs/digits-3`, … that is free.
fn free_folder(config: &Path) -> PathBuf {
    let name = config.file_stem().unwrap_or_default().to_string_lossy();
    let first = Path::new("runs").join(&*name);
    if !first.exists() {
        return first;
    }
    (2_u32..)
        .map(|number| Path::new("runs").join(format!("{name}-{number}")))
        .find(|folder| !folder.exists())
        .unwrap_or(first)
}

/// The result table and what to try next.
fn conclude(folder: &RunFolder, summary: &Summary, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let run = folder.path().display();
    if summary.ended == "interrupted" {
        writeln!(
            out,
            "stopped behind step {} and saved; go on with: ansatz train --resume {run}",
            summary.steps
        )?;
        return Ok(());
    }
    let mut rows = Vec::new();
    for (part, figures) in [("validation", &summary.validation), ("test", &summary.test)] {
        let Some(figures) = figures else { continue };
        for (name, value) in &figures.values {
            let text = figure_within(name, *value, figures.interval.as_ref());
            rows.push((format!("{part} {}", label(name)), text));
        }
        rows.push((format!("{part} examples"), grouped(figures.examples as u64)));
    }
    rows.push(("parameters".to_owned(), grouped(summary.parameters as u64)));
    rows.push(("training".to_owned(), format!("{:.1} s on {}", summary.seconds, summary.device)));
    rows.push(("speed".to_owned(), format!("{} examples/s", grouped(summary.examples_per_second as u64))));
    if let Some(peak) = summary.peak_memory_bytes {
        rows.push(("peak memory".to_owned(), bytes(peak)));
    }
    writeln!(out)?;
    for (name, value) in rows {
        writeln!(out, "  {name:<28} {value}")?;
    }
    writeln!(out, "\nlook at it:   {}", folder.report().display())?;
    writeln!(out, "try it:       {}", next_command(folder, registry)?)?;
    Ok(())
}

/// What a user tries next: a run of text writes, one of files says what it sees in them.
fn next_command(folder: &RunFolder, registry: &Registry) -> Result<String, Error> {
    let experiment = folder.read_experiment(registry)?;
    let plan = experiment.plan(registry)?;
    let encoder = plan.data.restore(&folder.read_preparation()?)?;
    let run = folder.path().display();
    Ok(match (encoder.codec(), encoder.target()) {
        (Some(codec), Target::Tokens { .. }) if codec.answers() => {
            format!("ansatz generate {run} --prompt \"word\"")
        }
        (Some(_), Target::Tokens { .. }) => format!("ansatz generate {run} --prompt \"To be\""),
        (Some(_), Target::Classes { .. } | Target::Labels { .. }) => format!("ansatz predict {run} TEXT.txt"),
        (None, Target::Tokens { .. }) | (_, Target::MaskedTokens { .. } | Target::HiddenValues(_)) => {
            format!("ansatz evaluate {run}")
        }
        (_, Target::Series { .. }) => format!("ansatz predict {run} SERIES.csv"),
        (None, Target::Classes { .. } | Target::Labels { .. }) | (_, Target::Number { .. }) => {
            format!("ansatz predict {run} {}", encoder.usual_file())
        }
    })
}
