//! `ansatz evaluate RUN`

use std::io::Write;

use ansatz_core::{Registry, Scores};
use ansatz_run::Trained;
use ansatz_run::written::{figure_within, label};
use serde::Serialize;

use super::places;
use crate::cli::Evaluate;
use crate::output::{self, Outcome};

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    run: &'a std::path::Path,
    part: ansatz_core::Part,
    #[serde(flatten)]
    scores: &'a Scores,
    seconds: f64,
}

pub(super) fn execute(arguments: &Evaluate, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let trained = Trained::load(&arguments.run, registry, &device)?;
    let data = trained.plan.data.open(&places()?)?;
    let part = arguments.part.into();
    let clock = std::time::Instant::now();
    let evaluation = ansatz_train::evaluate(&trained, data.into(), part, arguments.batch_size, &device)?;
    let seconds = clock.elapsed().as_secs_f64();
    let scores = &evaluation.scores;
    if arguments.json {
        return output::json(out, &Answer { run: &arguments.run, part, scores, seconds });
    }
    writeln!(out, "{part} part, all {} examples, {seconds:.1} s", scores.examples)?;
    for (name, value) in &scores.values {
        let text = figure_within(name, *value, scores.interval.as_ref());
        writeln!(out, "  {:<18} {text}", label(name))?;
    }
    if scores.interval.is_some() {
        writeln!(out, "in brackets: where the figure lies in 95 of 100 such parts (bootstrap)")?;
    }
    Ok(())
}
