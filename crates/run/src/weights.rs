//! Weights in safetensors, under the dotted paths of the modules.

use std::collections::BTreeMap;
use std::path::Path;

use ansatz_core::{Error, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};
use burn_store::{ModuleSnapshot, ModuleStore, SafetensorsStore};

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

/// Reads the parameters and buffers of `module`; all of them must be there, in the right shapes, and nothing
/// else.
///
/// # Errors
/// When the file is not there, damaged, or of another network.
pub fn load_weights<M: Module>(module: &mut M, path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
    if let Some(problem) = difference(&shapes(module), &held(&bytes, path)?) {
        return Err(Error::input(
            path.display(),
            format!("the weights do not fit the network: {problem}"),
            "weights of the same architecture, data and dimensions",
            "use the config that the weights were trained with",
        ));
    }
    module
        .load_from(&mut SafetensorsStore::from_bytes(Some(bytes)))
        .map_err(|error| Error::Failed(format!("{}: cannot load the weights: {error}", path.display())))?;
    Ok(())
}

/// The sizes of tensors by their dotted names.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// What a file holds; `path` names it in errors.
pub(crate) fn held(bytes: &[u8], path: &Path) -> Result<Shapes> {
    let mut store = SafetensorsStore::from_bytes(Some(bytes.to_vec()));
    let held = store.get_all_tensors().map_err(|error| {
        let problem = error.to_string();
        let problem = problem.lines().next().unwrap_or_default();
        Error::input(
            path.display(),
            format!("the file is damaged or no safetensors file: {problem}"),
            "a file as `ansatz train` leaves it",
            "train again, or restore the file",
        )
    })?;
    Ok(held.iter().map(|(name, tensor)| (name.clone(), tensor.shape.to_vec())).collect())
}

/// What the weights of `module` must be.
pub(crate) fn shapes<M: Module>(module: &M) -> Shapes {
    let mut wanted = Wanted::default();
    module.visit(&mut wanted);
    wanted.shapes
}

/// The first thing that two networks do not have in common.
fn difference(wanted: &Shapes, held: &Shapes) -> Option<String> {
    for (name, shape) in wanted {
        match held.get(name) {
            None => return Some(format!("the file lacks `{name}`")),
            Some(other) if other != shape => {
                return Some(format!("`{name}` is {other:?} in the file and {shape:?} in the network"));
            }
            Some(_) => {}
        }
    }
    let unknown = held.keys().find(|name| !wanted.contains_key(*name))?;
    Some(format!("the file holds `{unknown}`, which the network lacks"))
}

/// Collects the shapes that a module's weights must have.
#[derive(Default)]
struct Wanted {
    path: Vec<String>,
    shapes: Shapes,
}

impl Wanted {
    fn add(&mut self, shape: &[usize]) {
        self.shapes.insert(self.path.join("."), shape.to_vec());
    }
}

impl ModuleVisitor for Wanted {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(&param.val().dims());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(&param.val().dims());
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(&param.val().dims());
    }
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Failed(format!("{}: cannot write the weights: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};

    fn linear(inputs: usize, outputs: usize, bias: bool) -> Linear {
        let device = ansatz_device::open("cpu").unwrap();
        LinearConfig::new(inputs, outputs).with_bias(bias).init(&device)
    }

    #[test]
    fn what_is_saved_is_loaded_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let (saved, mut loaded) = (linear(3, 2, true), linear(3, 2, true));
        save_weights(&saved, &path).unwrap();
        load_weights(&mut loaded, &path).unwrap();
        assert_eq!(loaded.weight.val().into_data(), saved.weight.val().into_data());
        let first = std::fs::read(&path).unwrap();
        save_weights(&loaded, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
    }

    #[test]
    fn weights_of_another_network_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let refused = |mut network: Linear| load_weights(&mut network, &path).unwrap_err().to_string();
        save_weights(&linear(3, 2, true), &path).unwrap();
        assert!(refused(linear(3, 4, true)).contains("`bias` is [2] in the file and [4] in the network"));
        assert!(refused(linear(3, 2, false)).contains("the file holds `bias`"));
        save_weights(&linear(3, 2, false), &path).unwrap();
        assert!(refused(linear(3, 2, true)).contains("the file lacks `bias`"));
        std::fs::write(&path, b"nothing of the kind").unwrap();
        assert!(refused(linear(3, 2, true)).contains("damaged"));
    }
}
