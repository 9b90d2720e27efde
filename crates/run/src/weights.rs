//! Weights in safetensors, under the dotted paths of the modules.

use std::path::Path;

use ansatz_core::{Error, Result};
use burn::module::Module;
use burn_store::{ModuleSnapshot, SafetensorsStore};

use crate::write_atomically;

/// Writes all parameters and buffers of `module`, atomically. The same values give the same bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<()> {
    // burn's own remarks on the file come from a hash map, in an order that changes from run to run.
    let mut store = SafetensorsStore::from_bytes(None).clear_metadata().metadata("format", "safetensors");
    module.save_into(&mut store).map_err(|error| failed(path, &error))?;
    let bytes = store.get_bytes().map_err(|error| failed(path, &error))?;
    write_atomically(path, &bytes)
}

/// Reads the parameters and buffers of `module`; all of them must be there, in the right shapes.
///
/// # Errors
/// When the file is not there, damaged, or of another network.
pub fn load_weights<M: Module>(module: &mut M, path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
    let mut store = SafetensorsStore::from_bytes(Some(bytes));
    let applied = module.load_from(&mut store).map_err(|error| mismatch(path, error.to_string()))?;
    let unused = applied.unused.first();
    match unused {
        Some(name) => Err(mismatch(path, format!("it holds `{name}`, which the network lacks"))),
        None => Ok(()),
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Failed(format!("{}: cannot write the weights: {error}", path.display()))
}

fn mismatch(path: &Path, problem: String) -> Error {
    let problem = problem.lines().next().unwrap_or_default().to_owned();
    Error::input(
        path.display(),
        format!("the weights do not fit the network: {problem}"),
        "weights of the same architecture, data and dimensions",
        "use the config that the weights were trained with",
    )
}
