//! `ansatz list`

use std::io::Write;

use ansatz_core::{Catalogue, Registry, Role};
use serde::Serialize;

use crate::cli::List;
use crate::output::{self, Outcome};

/// One line of the list.
#[derive(Serialize)]
struct Row {
    role: &'static str,
    name: &'static str,
    about: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    citation: &'static str,
}

pub(super) fn execute(arguments: &List, registry: &Registry, out: &mut dyn Write) -> Outcome {
    let rows: Vec<Row> = rows(&registry.data_models)
        .chain(rows(&registry.backbones))
        .chain(rows(&registry.mixers))
        .chain(rows(&registry.channels))
        .chain(rows(&registry.tasks))
        .chain(ansatz_device::about().into_iter().map(|(name, about)| plain("device", name, about)))
        .chain(ansatz_data::CATALOGUE.iter().map(|set| plain("data set", set.name, set.sentence)))
        .collect();
    if arguments.json {
        return output::json(out, &rows);
    }
    let mut role = "";
    for row in &rows {
        if row.role != role {
            writeln!(out, "{}{}", if role.is_empty() { "" } else { "\n" }, row.role)?;
            role = row.role;
        }
        let missing = role == "device" && !ansatz_device::available().contains(&row.name);
        writeln!(
            out,
            "  {:<14} {}{}",
            row.name,
            row.about,
            if missing { " (not in this build)" } else { "" }
        )?;
        if !row.citation.is_empty() {
            writeln!(out, "  {:<14} {}", "", row.citation)?;
        }
    }
    Ok(())
}

fn rows<R: Role>(catalogue: &Catalogue<R>) -> impl Iterator<Item = Row> {
    catalogue.entries().iter().map(|entry| Row {
        role: R::NAME,
        name: entry.kind,
        about: entry.about,
        citation: entry.citation,
    })
}

fn plain(role: &'static str, name: &'static str, about: &'static str) -> Row {
    Row { role, name, about, citation: "" }
}
