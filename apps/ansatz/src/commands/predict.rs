//! `ansatz predict RUN FILES…`

use std::io::Write;

use ansatz_core::Registry;
use ansatz_infer::{Prediction, Predictor};

use crate::cli::Predict;
use crate::output::{self, Failure, Outcome, complain};

pub(super) fn execute(arguments: &Predict, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let predictor = Predictor::load(&arguments.run, registry, &device)?;
    let files = predictor.files(&arguments.files)?;
    let mut failed = 0;
    for prediction in predictor.predict(&files, arguments.top.get()) {
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
    let answers: Vec<String> =
        prediction.predictions.iter().map(|(name, share)| format!("{name} {:.1} %", share * 100.0)).collect();
    writeln!(out, "{}: {}", prediction.file.display(), answers.join(", "))?;
    Ok(())
}
