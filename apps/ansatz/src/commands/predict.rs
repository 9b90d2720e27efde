//! `ansatz predict RUN FILES…`

use std::io::Write;

use ansatz_core::{Forecast, Registry};
use ansatz_infer::{Prediction, Predictor};

use crate::cli::Predict;
use crate::output::{self, Failure, Outcome, complain};

pub(super) fn execute(arguments: &Predict, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let predictor = Predictor::load(&arguments.run, registry, &device)?;
    let files = predictor.files(&arguments.files)?;
    let mut failed = 0;
    let top = arguments.top.map_or_else(|| predictor.usual_answers(), std::num::NonZeroUsize::get);
    for prediction in predictor.predict(&files, top) {
        match prediction {
            Ok(prediction) if arguments.json => output::json(out, &prediction)?,
            Ok(prediction) => line(out, &prediction)?,
            Err(error) => {
                failed += 1;
                complain(&error);
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Some { failed, total: files.len(), what: "files" }),
    }
}

fn line(out: &mut dyn Write, prediction: &Prediction) -> Outcome {
    if let Some(forecast) = &prediction.forecast {
        writeln!(out, "{}:", prediction.file.display())?;
        return table(out, forecast);
    }
    let record = prediction.record.map_or(String::new(), |record| format!(", record {record}"));
    if let Some(number) = prediction.number {
        writeln!(out, "{}{record}: {}", prediction.file.display(), figure(number))?;
        return Ok(());
    }
    let answers: Vec<String> =
        prediction.predictions.iter().map(|(name, share)| format!("{name} {:.1} %", share * 100.0)).collect();
    writeln!(out, "{}{record}: {}", prediction.file.display(), answers.join(", "))?;
    Ok(())
}

/// A forecast, a step a row.
fn table(out: &mut dyn Write, forecast: &Forecast) -> Outcome {
    let columns: Vec<&str> =
        std::iter::once("step").chain(forecast.columns.iter().map(String::as_str)).collect();
    let rows = forecast.steps.iter().zip(&forecast.values);
    let row = |(step, values): (&String, &Vec<f64>)| {
        std::iter::once(step.clone()).chain(values.iter().map(|value| figure(*value))).collect()
    };
    output::table(out, &columns, &rows.map(row).collect::<Vec<Vec<String>>>())?;
    Ok(())
}

/// A value with six significant digits at the most.
fn figure(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = usize::try_from(5 - digits).unwrap_or(0).min(12);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
