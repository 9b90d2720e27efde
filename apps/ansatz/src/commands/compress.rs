//! `ansatz compress RUN --recipe FILE --out FOLDER`, `ansatz compress --resume FOLDER`

use std::io::{self, Write};
use std::path::Path;

use ansatz_core::Registry;
use ansatz_recipe::{Compressed, Recipe, Workshop};
use ansatz_run::written::figure_within;
use ansatz_run::{RunFolder, Stage};
use ansatz_train::progress::{Listener, Plain};

use super::train::stop_on_interrupt;
use super::{measure, places, sensitivity};
use crate::cli::Compress;
use crate::output::{self, Outcome, bytes, grouped, note};

pub(super) fn execute(arguments: &Compress, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let name = &arguments.device.device;
    let silent = arguments.quiet || arguments.json;
    if let (true, Some(run)) = (arguments.sensitivity, &arguments.run) {
        return sensitivity::execute(run, arguments, registry, out);
    }
    let listeners = || -> Vec<Box<dyn Listener>> {
        if silent { Vec::new() } else { vec![Box::new(Plain::new(io::stderr()))] }
    };
    let workshop = Workshop {
        registry,
        places: &places()?,
        device: &ansatz_device::open(name)?,
        host: &ansatz_device::host()?,
        device_name: name,
        stop: stop_on_interrupt()?,
        listeners: &listeners,
        tell: &|text: &str| {
            if !silent {
                note(&text);
            }
        },
        measure: &|run: &Path| measure::apart(run, name),
    };
    let compressed = match (&arguments.resume, &arguments.run, &arguments.recipe, &arguments.out) {
        (Some(folder), ..) => ansatz_recipe::resume(folder, &workshop)?,
        (None, Some(run), Some(recipe), Some(folder)) => {
            ansatz_recipe::compress(run, &Recipe::read(recipe, &arguments.set)?, folder, &workshop)?
        }
        _ => unreachable!("clap asks for a run, a recipe and a folder, or --resume"),
    };
    if compressed.finished {
        ansatz_report::write(&RunFolder::open(&compressed.run)?)?;
    }
    if arguments.json { output::json(out, &compressed) } else { conclude(&compressed, out) }
}

fn conclude(compressed: &Compressed, out: &mut dyn Write) -> Outcome {
    let run = compressed.run.display();
    if let Some(original) = compressed.stages.first() {
        let has_tokens = compressed.stages.iter().any(|stage| stage.measured.tokens_per_second.is_some());
        let rows: Vec<_> = compressed.stages.iter().map(|stage| row(stage, original, has_tokens)).collect();
        let figure = original.measured.figure.as_str();
        let mut heading =
            vec!["step", figure, "on disk", "smaller", "parameters", "other than 0", "operations"];
        heading.extend(["1 at once", "95 %", "64 at once", "95 %", "examples/s"]);
        heading.extend(has_tokens.then_some("tokens/s"));
        heading.push("memory");
        output::table(out, &heading, &rows)?;
    }
    if compressed.finished {
        writeln!(out, "\nlook at it:   {}", RunFolder::open(&compressed.run)?.report().display())?;
        writeln!(out, "use it:       {run}, as any other run")?;
    } else {
        writeln!(out, "\nstopped and saved; go on with: ansatz compress --resume {run}")?;
    }
    Ok(())
}

fn row(stage: &Stage, original: &Stage, has_tokens: bool) -> Vec<String> {
    let (measured, first) = (&stage.measured, &original.measured);
    let time = |batch| measured.latency_at(batch).map(|latency| [latency.median, latency.percentile_95]);
    let times = [1, 64].into_iter().flat_map(|batch| time(batch).unwrap_or([f64::NAN; 2]));
    let mut row = vec![
        stage.step.clone(),
        figure_within(&measured.figure, measured.quality, measured.interval.as_ref()),
        bytes(measured.bytes),
        format!("{:.1} ×", first.bytes as f64 / measured.bytes.max(1) as f64),
        grouped(measured.parameters as u64),
        grouped(measured.non_zeros as u64),
        measured.flops.map_or_else(String::new, grouped),
    ];
    row.extend(times.map(|time| format!("{time:.2} ms")));
    row.push(grouped(measured.examples_per_second as u64));
    let tokens = || measured.tokens_per_second.map_or_else(String::new, |tokens| grouped(tokens as u64));
    row.extend(has_tokens.then(tokens));
    row.push(measured.peak_memory_bytes.map_or_else(String::new, bytes));
    row
}
