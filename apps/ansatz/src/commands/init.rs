//! `ansatz init PATH`

use std::io::Write;
use std::path::PathBuf;

use ansatz_core::{Error, Registry};
use ansatz_run::{Draft, draft};
use serde_json::json;

use crate::cli::Init;
use crate::output::{self, Outcome};

pub(super) fn execute(arguments: &Init, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let Draft { kind, proposal, toml } = draft(&arguments.path, registry)?;
    let config = arguments.out.clone().unwrap_or_else(|| {
        let name = arguments.path.canonicalize().unwrap_or_else(|_| arguments.path.clone());
        PathBuf::from(name.file_stem().unwrap_or_default()).with_extension("toml")
    });
    // Made anew or not at all, so that nobody's config is written over.
    let mut file = std::fs::File::create_new(&config).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::input(config.display(), "there is such a file already", "a new file", "give another --out")
        }
        _ => Error::file(&config, "write")(error),
    })?;
    file.write_all(toml.as_bytes()).map_err(Error::file(&config, "write"))?;
    if arguments.json {
        let answer = json!({
            "config": config,
            "kind": kind,
            "seen": proposal.seen,
            "warnings": proposal.warnings,
            "examples": proposal.examples,
        });
        return output::json(out, &answer);
    }
    writeln!(out, "{kind}")?;
    for seen in &proposal.seen {
        writeln!(out, "  {seen}")?;
    }
    for warning in &proposal.warnings {
        output::note(warning);
    }
    writeln!(out, "\nwritten:  {}", config.display())?;
    writeln!(out, "train it: ansatz train {}", config.display())?;
    Ok(())
}
