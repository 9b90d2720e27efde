//! From a look at files to an experiment that trains on them.

mod network;

use std::path::Path;

use ansatz_core::{Error, Proposal, Registry, Result};

use crate::Experiment;

/// An experiment on files of a user's own, to begin with.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The data model that recognised the files.
    pub kind: &'static str,
    /// What it saw.
    pub proposal: Proposal,
    /// The experiment as commented TOML.
    pub toml: String,
}

/// Asks the data models of `registry` one behind the other about the files at `path`, and drafts an experiment for the first
/// that recognises them.
///
/// # Errors
/// When there is nothing at `path`, no data model recognises it, or the one that does cannot use it.
pub fn draft(path: &Path, registry: &Registry) -> Result<Draft> {
    std::fs::metadata(path).map_err(Error::file(path, "read"))?;
    for entry in registry.data_models.entries() {
        let model = entry.parse(toml::Table::new(), registry)?;
        if let Some(proposal) = model.recognise(path)? {
            let kind = entry.kind;
            let toml = write(path, kind, &proposal);
            // What we write, we read.
            Experiment::from_toml(&toml, &[], registry)?;
            return Ok(Draft { kind, proposal, toml });
        }
    }
    let known: Vec<String> = registry
        .data_models
        .entries()
        .iter()
        .map(|entry| format!("{}: {}", entry.kind, entry.about))
        .collect();
    Err(Error::input(
        path.display(),
        "no data model recognises what is there",
        format!(
            "a folder of pictures or texts per class, idx files, text files (.txt), records with a class or a number to foretell (.csv, \
             .tsv, .jsonl, .parquet), pairs of texts (.tsv: source, tab, target), a series (.csv), series with classes (.ts), or what a \
             data model of your own reads\n  known are {}",
            known.join("\n    ")
        ),
        "bring the files into one of these forms, or write a config by hand: see configs/",
    ))
}

fn write(path: &Path, kind: &str, proposal: &Proposal) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line("# Written by `ansatz init`, to begin with: change what you like.");
    line("#");
    for seen in &proposal.seen {
        line(&format!("# {seen}"));
    }
    for warning in proposal.warnings.iter().flat_map(|warning| warning.lines()) {
        line(&format!("# note: {warning}"));
    }
    line(&format!("title = {}", toml::Value::from(name.as_ref())));
    line("seed = 1");
    line("");
    line("[data]");
    line(&format!("kind = \"{kind}\""));
    for setting in &proposal.settings {
        match setting.why.as_str() {
            "" => line(&setting.line),
            why => line(&format!("{}  # {why}", setting.line)),
        }
    }
    line("");
    let sections = network::sections(proposal.purpose, proposal.examples);
    line(network::with_hint(&sections, proposal.imbalance).trim_end());
    text
}
