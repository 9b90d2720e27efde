//! All steps of a recipe, one behind the other.

use std::fs;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use ansatz_run::{RunFolder, Stage, Trained, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::check::check;
use crate::step::{Way, copy_folder, note_measured};
use crate::{Recipe, Workshop};

/// What became of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compressed {
    /// The folder of the compressed run.
    pub run: PathBuf,
    /// Whether every step was done; if not, [`resume`] goes on.
    pub finished: bool,
    /// The original, and every step that was done.
    pub stages: Vec<Stage>,
}

/// `compression.json`: where a chain stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Standing {
    /// The original run.
    original: PathBuf,
    /// SHA-256 of its weights, in hexadecimal digits.
    sha256: String,
    /// What was measured so far.
    stages: Vec<Stage>,
}

const RECIPE: &str = "recipe.toml";
const STANDING: &str = "compression.json";
const STEPS: &str = "steps";
/// What a folder has that is a run.
const CONFIG: &str = "config.toml";

/// Does `recipe` with the run `original` and leaves the compressed run in `out`, which should be new, and that of every
/// step in `out/steps`. The original is not changed.
///
/// # Errors
/// When the recipe does not fit, before anything is written; or when a step fails.
pub fn compress(original: &Path, recipe: &Recipe, out: &Path, workshop: &Workshop<'_>) -> Result<Compressed> {
    let place = RunFolder::vacant(out).map_err(|error| occupied(out, error))?;
    let trained = Trained::load(original, workshop.registry, workshop.device)?;
    check(recipe, &trained, workshop)?;
    let sha256 = checksum(&trained.folder.weights())?;
    drop(trained);
    place.make()?;
    let standing = Standing { original: original.to_owned(), sha256, stages: Vec::new() };
    standing.write(out)?;
    // Last, because the folder is a compression as soon as it has a recipe.
    write_atomically(&out.join(RECIPE), recipe.render()?.as_bytes())?;
    go_on(recipe, out, standing, workshop)
}

/// Why `out`, which is not vacant, cannot hold a new compression.
fn occupied(out: &Path, error: Error) -> Error {
    if !out.join(RECIPE).exists() {
        return error;
    }
    let (problem, remedy) = match out.join(CONFIG).exists() {
        true => ("the folder already holds a compression that has ended", "give another --out".to_owned()),
        false => (
            "the folder already holds a compression that was begun",
            format!("give another --out, or go on with it: ansatz compress --resume {}", out.display()),
        ),
    };
    Error::input(out.display(), problem, "a new or empty folder", remedy)
}

/// Goes on with the compression in `out` behind its last finished step.
///
/// # Errors
/// When there is none or it has ended, the original run was changed, or a step fails.
pub fn resume(out: &Path, workshop: &Workshop<'_>) -> Result<Compressed> {
    if !out.join(RECIPE).is_file() {
        return Err(Error::input(
            out.display(),
            "the folder is no compression: it has no recipe.toml",
            "a folder that `ansatz compress` was writing",
            "begin one: ansatz compress RUN --recipe FILE --out FOLDER",
        ));
    }
    if out.join(CONFIG).exists() {
        return Err(Error::input(
            out.display(),
            "the compression has ended",
            "one that was interrupted",
            "begin another: ansatz compress RUN --recipe FILE --out FOLDER",
        ));
    }
    let recipe = Recipe::read(&out.join(RECIPE), &[])?;
    let standing = Standing::read(out)?;
    let weights = RunFolder::open(&standing.original)?.weights();
    if checksum(&weights)? != standing.sha256 {
        return Err(Error::input(
            weights.display(),
            "the weights are no longer those that the compression was begun with",
            "the original run, unchanged",
            "restore it, or begin another compression",
        ));
    }
    go_on(&recipe, out, standing, workshop)
}

fn go_on(recipe: &Recipe, out: &Path, mut standing: Standing, workshop: &Workshop<'_>) -> Result<Compressed> {
    let original = standing.original.clone();
    let ended = |finished: bool, stages: Vec<Stage>| Compressed { run: out.to_owned(), finished, stages };
    if standing.stages.is_empty() {
        (workshop.tell)(&format!("measuring the original, {}", original.display()));
        if !standing.measure(out, "original".to_owned(), &original, workshop)? {
            return Ok(ended(false, standing.stages));
        }
    }
    let mut before = original.clone();
    for (number, step) in (1..).zip(&recipe.step) {
        let place = out.join(STEPS).join(number.to_string());
        if standing.stages.len() <= number {
            if workshop.stopped() {
                return Ok(ended(false, standing.stages));
            }
            (workshop.tell)(&format!("step {number} of {}: {}", recipe.step.len(), step.kind()));
            let way = Way { original: &original, before: &before, place: &place };
            let done = step.take(&way, workshop)?
                && standing.measure(out, format!("{number} {}", step.kind()), &place, workshop)?;
            if !done {
                return Ok(ended(false, standing.stages));
            }
        }
        before = place;
    }
    finish(&before, out, &standing)?;
    Ok(ended(true, standing.stages))
}

impl Standing {
    /// Measures `run` and notes what was found; says whether it came to that.
    fn measure(&mut self, out: &Path, step: String, run: &Path, workshop: &Workshop<'_>) -> Result<bool> {
        let measured = match (workshop.measure)(run) {
            // Whoever measures in another process is stopped with this one.
            Err(_) if workshop.stopped() => return Ok(false),
            measured => measured?,
        };
        if !self.stages.is_empty() {
            note_measured(run, &measured)?;
        }
        self.stages.push(Stage { step, run: run.to_owned(), measured });
        self.write(out)?;
        Ok(true)
    }

    fn read(out: &Path) -> Result<Self> {
        let path = out.join(STANDING);
        let text = fs::read_to_string(&path).map_err(Error::file(&path, "read"))?;
        serde_json::from_str(&text).map_err(|error| {
            Error::input(
                path.display(),
                format!("the file is damaged: {error}"),
                "a file as `ansatz compress` leaves it",
                "begin another compression",
            )
        })
    }

    fn write(&self, out: &Path) -> Result<()> {
        let path = out.join(STANDING);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        write_atomically(&path, text.as_bytes())
    }
}

/// Makes the compressed run of that of the last step.
fn finish(last: &Path, out: &Path, standing: &Standing) -> Result<()> {
    let (last, place) = (RunFolder::open(last)?, RunFolder::at(out));
    for name in [
        "model.safetensors",
        "masks.safetensors",
        "preparation.json",
        "layers.json",
        "metrics.jsonl",
        "mistakes.json",
    ] {
        let file = last.path().join(name);
        if file.is_file() {
            let bytes = fs::read(&file).map_err(Error::file(&file, "read"))?;
            write_atomically(&out.join(name), &bytes)?;
        }
    }
    for name in ["mistakes", "published"] {
        copy_folder(&last.path().join(name), &out.join(name))?;
    }
    if let Some(mut summary) = last.read_summary()? {
        summary.compression = standing.stages.clone();
        place.write_summary(&summary)?;
    }
    // Last, because the folder is a run as soon as it has a config.
    let config = fs::read(last.config()).map_err(Error::file(last.config(), "read"))?;
    write_atomically(&place.config(), &config)
}

fn checksum(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(Error::file(path, "read"))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
