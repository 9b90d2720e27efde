//! `ansatz data list|get|show`

use std::io::Write;
use std::path::{Path, PathBuf};

use ansatz_core::{Choice, DataModel, Error, Registry, role};
use ansatz_data::{CATALOGUE, Cache, FetchOptions, KnownSet, catalogue};
use ansatz_data_image::sample_sheet;
use ansatz_run::{Experiment, Patch, write_atomically};
use serde::Serialize;

use super::places;
use crate::cli::{Data, List};
use crate::output::{self, Failure, Outcome, bytes};

/// One known set.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    sentence: &'static str,
    licence: &'static str,
    source: String,
    bytes: u64,
    here: bool,
}

pub(super) fn execute(arguments: Data, registry: &Registry, out: &mut dyn Write) -> Outcome {
    match arguments {
        Data::List(arguments) => list(&arguments, out),
        Data::Get { name, from, json } => get(&name, from, json, out),
        Data::Show { subject, out: sheet, part, each, seed, patches } => {
            let model = data_model(&subject, &patches.set, registry)?;
            let data = model.open(&places()?)?;
            let png = sample_sheet(&*data, part.into(), each.get(), seed)?;
            let path = sheet.unwrap_or_else(|| default_sheet(&subject));
            write_atomically(&path, &png)?;
            writeln!(out, "{}", path.display())?;
            Ok(())
        }
    }
}

fn list(arguments: &List, out: &mut dyn Write) -> Outcome {
    let cache = Cache::from_environment()?;
    let row = |set: &KnownSet| Row {
        name: set.name,
        sentence: set.sentence,
        licence: set.licence,
        source: set.source.to_string(),
        bytes: set.bytes(),
        here: cache.locate(set).is_ok(),
    };
    let rows: Vec<Row> = CATALOGUE.iter().map(row).collect();
    if arguments.json {
        return output::json(out, &rows);
    }
    let cells = |row: &Row| {
        let here = if row.here { "here" } else { "to get" };
        vec![
            row.name.to_owned(),
            here.to_owned(),
            bytes(row.bytes),
            row.source.clone(),
            row.sentence.to_owned(),
        ]
    };
    let cells: Vec<_> = rows.iter().map(cells).collect();
    output::table(out, &["name", "state", "size", "source", "what it is"], &cells)?;
    writeln!(out, "\ncache: {}", cache.root().display())?;
    Ok(())
}

fn get(name: &str, from: Option<PathBuf>, json: bool, out: &mut dyn Write) -> Outcome {
    let set = catalogue::find(name)?;
    let options = FetchOptions { from, ..FetchOptions::default() };
    let fetched = ansatz_data::get(set, &Cache::from_environment()?, &options, &mut |progress| {
        output::note(&progress);
    })?;
    if json {
        let folder = fetched.folder.display().to_string();
        let answer = serde_json::json!({
            "name": set.name, "folder": folder, "bytes": fetched.bytes, "already_there": fetched.already_there,
        });
        return output::json(out, &answer);
    }
    let what = if fetched.already_there { "was there already" } else { "is there now" };
    writeln!(out, "{name} {what}: {} in {}", bytes(fetched.bytes), fetched.folder.display())?;
    Ok(())
}

/// The data model of a config file, or of a known set's name.
fn data_model(subject: &str, patches: &[Patch], registry: &Registry) -> Result<Box<dyn DataModel>, Failure> {
    if Path::new(subject).is_file() {
        return Ok(Experiment::read(Path::new(subject), patches, registry)?.plan(registry)?.data);
    }
    let set = catalogue::find(subject)?;
    // The first that knows a source of this name.
    let mut readers = registry.data_models.entries().iter();
    let reader = readers.find_map(|entry| {
        let settings = [("source".to_owned(), set.name.into())].into_iter().collect();
        Choice::<role::Data>::with(entry.kind, settings).resolve("data", registry).ok()
    });
    Ok(reader.ok_or_else(|| {
        let expected = "a set that one of the data models reads: see `ansatz list`";
        Error::input(set.name, "no data model reads this set", expected, "name a config file instead")
    })?)
}

fn default_sheet(subject: &str) -> PathBuf {
    let name = Path::new(subject).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    PathBuf::from(format!("{name}.png"))
}
