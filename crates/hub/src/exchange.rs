//! A published checkpoint as a run of ours, and back.

use std::path::Path;

use ansatz_core::{Choice, Encoder, Error, Model, Registry, Result, role};
use ansatz_data_text::{Tokenizer, TokenizerConfig};
use ansatz_run::{
    Experiment, RunFolder, Trained, dequantized, save_weights, write_atomically, write_folder_atomically,
};
use burn::module::Module;
use burn::tensor::Device;

use crate::tensors::write_tensors;
use crate::{Folder, Names, family_of, parameters};

/// Where a run keeps the config it was published with, and under which names its weights were.
const PUBLISHED: &str = "published";
const CONFIG: &str = "config.json";
const NAMES: &str = "names.json";
const TOKENIZER: &str = "tokenizer.json";

/// How a run of a checkpoint reads text.
#[derive(Debug, Clone)]
pub struct Reading {
    /// From text to tokens.
    pub tokenizer: Tokenizer,
    /// The same, as the run's config names it.
    pub config: TokenizerConfig,
    /// The most tokens of a sentence that stands alone, where the checkpoint says so.
    pub sentence: Option<usize>,
    /// The token behind the last one of a text, where the checkpoint says so.
    pub end: Option<u32>,
}

/// What a run of a checkpoint is made of.
pub struct RunParts {
    /// The network.
    pub model: Model,
    /// The config of what it reads.
    pub data: Choice<role::Data>,
    /// What it reads, as the run keeps it.
    pub encoder: Box<dyn Encoder>,
    /// The config of its body.
    pub backbone: Choice<role::Backbone>,
    /// The config of what it is asked.
    pub task: Choice<role::Task>,
    /// Under which names the weights are published.
    pub names: Names,
}

/// What [`import`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The family of the checkpoint.
    pub family: &'static str,
    /// Trainable values.
    pub parameters: usize,
    /// Whether the network can write on from a prompt.
    pub generates: bool,
}

/// Makes a run at `run` of the checkpoint at `folder`. A `tokenizer.json` beside it becomes the run's; without one
/// every byte is a token.
///
/// # Errors
/// When the family is not known or makes no run, something at the checkpoint does not fit, or `run` is not vacant.
pub fn import(folder: &Folder, run: &Path, registry: &Registry, device: &Device) -> Result<Imported> {
    let place = RunFolder::vacant(run)?;
    let family = family_of(folder)?;
    let subject = (family.open)(folder, registry, device)?;
    let tokenizer = folder.file(TOKENIZER);
    let choice = if tokenizer.is_file() { TokenizerConfig::File(tokenizer) } else { TokenizerConfig::Bytes };
    let tokenizer = choice.open()?;
    let kept = match choice {
        TokenizerConfig::Bytes => TokenizerConfig::Bytes,
        TokenizerConfig::File(_) => TokenizerConfig::File(run.join(PUBLISHED).join(TOKENIZER)),
    };
    let reading = Reading {
        tokenizer: tokenizer.clone(),
        config: kept,
        sentence: sentence(folder)?,
        end: folder.token("eos_token_id")?,
    };
    let parts = subject.run_parts(reading).ok_or_else(|| {
        Error::input(
            folder.path().display(),
            "checkpoints of this family make no run",
            "a network that reads tokens and foretells some",
            "verify it instead: ansatz verify FOLDER",
        )
    })??;
    let mut experiment = Experiment {
        title: folder.name(),
        seed: 0,
        data: parts.data,
        backbone: parts.backbone,
        task: parts.task,
        init: None,
        train: Default::default(),
    };
    experiment.backbone.complete("backbone", registry)?;
    place.make()?;
    save_weights(&parts.model, &place.weights())?;
    place.write_preparation(&parts.encoder.preparation()?)?;
    write_folder_atomically(&run.join(PUBLISHED), |there| {
        let config = serde_json::Value::Object(folder.config.clone());
        write_atomically(&there.join(CONFIG), format!("{config:#}\n").as_bytes())?;
        let names = serde_json::to_string(&parts.names)
            .map_err(|error| Error::Failed(format!("the key table cannot be written: {error}")))?;
        write_atomically(&there.join(NAMES), names.as_bytes())?;
        match tokenizer.to_json()? {
            Some(text) => write_atomically(&there.join(TOKENIZER), text.as_bytes()),
            None => Ok(()),
        }
    })?;
    // Last, since a folder is a run once it has a config.
    place.write_experiment(&experiment)?;
    let generates = parts.model.backbone.recurrent().is_some();
    Ok(Imported { family: family.name, parameters: parts.model.num_params(), generates })
}

/// Writes the run at `run`, which was imported, as the checkpoint that was published, to `folder`. Returns how many
/// tensors there are.
///
/// # Errors
/// When the run was not imported, its network is no longer the published one, or `folder` is not empty.
pub fn export(run: &Path, folder: &Path, registry: &Registry, device: &Device) -> Result<usize> {
    let trained = Trained::load(run, registry, device)?;
    let published = run.join(PUBLISHED);
    if !published.join(CONFIG).is_file() {
        return Err(Error::input(
            run.display(),
            "the run was not imported, or has other sizes since then, so that nobody published how its weights are called",
            "a run that `ansatz import` made, or what became of it without another shape",
            "use its model.safetensors as it is: the names are the paths of the modules",
        ));
    }
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let remedy = "give another --out";
        return Err(Error::input(folder.display(), "the folder is not empty", "a new folder", remedy));
    }
    let path = published.join(NAMES);
    let text = std::fs::read_to_string(&path).map_err(Error::file(&path, "read"))?;
    let names: Names = serde_json::from_str(&text).map_err(|error| {
        let expected = "a file as `ansatz import` leaves it";
        Error::input(path.display(), format!("the file is damaged: {error}"), expected, "import again")
    })?;
    let tensors = names.write(&parameters(&dequantized(trained.model)))?;
    write_folder_atomically(folder, |there| {
        for name in [CONFIG, TOKENIZER] {
            let from = published.join(name);
            if from.is_file() {
                let bytes = std::fs::read(&from).map_err(Error::file(&from, "read"))?;
                write_atomically(&there.join(name), &bytes)?;
            }
        }
        write_tensors(&there.join("model.safetensors"), &tensors)
    })?;
    Ok(tensors.len())
}

/// The most tokens of a sentence, where the checkpoint is one of sentence embeddings.
fn sentence(folder: &Folder) -> Result<Option<usize>> {
    let path = folder.file("sentence_bert_config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(Error::file(&path, "read"))?;
    let read: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let most = read.as_ref().and_then(|read| read["max_seq_length"].as_u64()).filter(|most| *most > 2);
    match most {
        Some(most) => Ok(Some(most as usize)),
        None => Err(Error::input(
            path.display(),
            "it names no `max_seq_length`",
            "a whole number above 2",
            "fetch or restore the file, or remove it",
        )),
    }
}
