//! `ansatz verify FOLDER…`

use std::io::Write;

use ansatz_core::Registry;
use ansatz_hub::{Comparison, Folder, verify};

use crate::cli::Verify;
use crate::output::{self, Failure, Outcome};

pub(super) fn execute(arguments: &Verify, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let device = ansatz_device::open(&arguments.device.device)?;
    let mut rows = Vec::new();
    let mut failed = 0;
    for path in &arguments.folders {
        let verdict = verify(&Folder::open(path)?, registry, &device)?;
        failed += usize::from(!verdict.ok());
        for comparison in &verdict.comparisons {
            if arguments.json {
                output::json(out, comparison)?;
            } else {
                rows.push(row(comparison));
            }
        }
    }
    if !arguments.json {
        output::table(out, &["name", "quantity", "error", "tolerance", "ok"], &rows)?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Differs { failed, total: arguments.folders.len() }),
    }
}

fn row(comparison: &Comparison) -> Vec<String> {
    let figure = |value: f64| format!("{value:.1e}");
    let verdict = match (&comparison.problem, comparison.ok) {
        (Some(problem), _) => format!("NO: {problem}"),
        (None, true) => "yes".to_owned(),
        (None, false) => "NO".to_owned(),
    };
    vec![
        comparison.name.clone(),
        comparison.quantity.clone(),
        comparison.error.map_or_else(|| "-".to_owned(), figure),
        figure(comparison.tolerance),
        verdict,
    ]
}
