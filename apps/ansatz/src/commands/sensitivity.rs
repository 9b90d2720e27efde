//! `ansatz compress RUN --sensitivity`

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use ansatz_core::{Error, Registry};
use ansatz_recipe::{Loss, Mixed, Sensitivity};
use ansatz_run::written::figure;
use serde::Serialize;

use super::places;
use crate::cli::Compress;
use crate::output::{self, Outcome, grouped, note};

/// What each layer loses, and the recipe that comes of it, where one was asked for.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    sensitivity: Sensitivity,
    #[serde(skip_serializing_if = "Option::is_none")]
    mixed: Option<Mixed>,
}

pub(super) fn execute(run: &Path, arguments: &Compress, registry: &Registry, out: &mut dyn Write) -> Outcome {
    // The file is made before the work that it is for, so that none is in vain.
    let file = arguments.write.as_deref().map(made_anew).transpose()?;
    let silent = arguments.quiet || arguments.json;
    let tell = |layer: &str| {
        if !silent {
            note(&layer);
        }
    };
    let (places, device) = (places()?, ansatz_device::open(&arguments.device.device)?);
    let mix = |found: &Sensitivity| {
        let budget = arguments.budget.unwrap_or(0.1);
        ansatz_recipe::mixed(run, found, budget, (registry, &places), &device)
    };
    let found = || -> Result<Found, Error> {
        let sensitivity = ansatz_recipe::sensitivity(run, registry, &places, &device, &tell)?;
        let mixed = file.as_ref().map(|_| mix(&sensitivity)).transpose()?;
        Ok(Found { sensitivity, mixed })
    };
    let found = found().inspect_err(|_| {
        if let Some(path) = &arguments.write {
            // Empty as it is, it helps nobody; that it could not be taken away is not what went wrong.
            let _ = std::fs::remove_file(path);
        }
    })?;
    if let (Some(mut file), Some(mixed), Some(path)) = (file, &found.mixed, &arguments.write) {
        let text = format!("{}{}", heading(run, &found, mixed), mixed.recipe.render()?);
        file.write_all(text.as_bytes()).map_err(Error::file(path, "write"))?;
    }
    if arguments.json {
        return output::json(out, &found);
    }
    rank(&found.sensitivity, out)?;
    if let (Some(mixed), Some(path)) = (&found.mixed, &arguments.write) {
        conclude(run, &found.sensitivity, mixed, path, out)?;
    }
    Ok(())
}

/// A file that was not there, so that nobody's recipe is written over.
fn made_anew(path: &Path) -> Result<File, Error> {
    File::create_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::input(path.display(), "there is such a file already", "a new file", "give another --write")
        }
        _ => Error::file(path, "write")(error),
    })
}

/// What the recipe's reader should know.
fn heading(run: &Path, found: &Found, mixed: &Mixed) -> String {
    let name = &found.sensitivity.figure;
    format!(
        "# Made for {} by `ansatz compress --sensitivity --budget {}`: validation {name} {} as it was, {} with all steps.\n",
        run.display(),
        mixed.budget,
        figure(name, found.sensitivity.quality),
        figure(name, mixed.quality),
    )
}

/// Which layers lose most.
fn rank(found: &Sensitivity, out: &mut dyn Write) -> Outcome {
    let row = |loss: &Loss| {
        vec![
            loss.layer.clone(),
            loss.part.unwrap_or_default().to_owned(),
            grouped(loss.values as u64),
            loss.method.clone(),
            figure(&found.figure, loss.quality),
            format!("{:+.4}", loss.lost),
        ]
    };
    let empty = String::new;
    let quality = figure(&found.figure, found.quality);
    let whole = vec!["none".to_owned(), empty(), empty(), empty(), quality, "0".to_owned()];
    let rows: Vec<_> = std::iter::once(whole).chain(found.losses.iter().map(row)).collect();
    output::table(out, &["layer", "of", "values", "method", &found.figure, "loss rises by"], &rows)
}

fn conclude(run: &Path, found: &Sensitivity, mixed: &Mixed, path: &Path, out: &mut dyn Write) -> Outcome {
    let (name, run, path) = (&found.figure, run.display(), path.display());
    let (before, after) = (figure(name, found.quality), figure(name, mixed.quality));
    writeln!(out, "\nvalidation {name}: {before} as it was, {after} with the steps of {path}")?;
    if !mixed.spared.is_empty() {
        writeln!(out, "left as they are: {}", mixed.spared.join(", "))?;
    }
    writeln!(out, "do it: ansatz compress {run} --recipe {path} --out FOLDER")?;
    Ok(())
}
