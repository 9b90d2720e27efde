//! Weights in safetensors, under the dotted paths of the modules.

mod bits;
mod packed;
mod quantized;

use std::collections::BTreeMap;
use std::path::Path;

use ansatz_core::{Error, Result};
use ansatz_ops::{InputRange, ZeroPoints, dense};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor, TensorData};
use burn_store::{ModuleSnapshot, ModuleStore, SafetensorsStore};

use crate::{Place, write_atomically};
pub(crate) use bits::{pack, unpack};
use packed::Stored;
use quantized::Codes;
pub use quantized::dequantized;

/// Writes all parameters and buffers of `module`, atomically. The same values give the same bytes.
///
/// Quantized weights take as few bits as their values need, and of weights that are at least half zeros the zeros are
/// left out; a module without such weights gives a plain file, which any program reads. The range of a layer's inputs, where
/// one stands beside its weight, is a tensor `[2]` of its own, `WEIGHT.input_range.bounds`; zero points are packed with the
/// codes.
///
/// # Errors
/// When the file cannot be written.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<()> {
    let mut collected = Collected::default();
    module.visit(&mut collected);
    if collected.weights.values().any(|weight| !matches!(weight, Stored::Plain(_))) {
        let bytes = packed::write(&collected.weights).map_err(|error| failed(path, &error))?;
        return write_atomically(path, &bytes);
    }
    drop(collected);
    // burn's own remarks on the file come from a hash map, in an order that changes from run to run.
    let mut store = SafetensorsStore::from_bytes(None).clear_metadata().metadata("format", "safetensors");
    module.save_into(&mut store).map_err(|error| failed(path, &error))?;
    let bytes = store.get_bytes().map_err(|error| failed(path, &error))?;
    write_atomically(path, &bytes)
}

/// The bytes that the parameters and buffers of `module` take in memory: whole numbers with their scales and zero points
/// included.
pub fn bytes_held<M: Module>(module: &M) -> u64 {
    let mut bytes = 0;
    each_tensor(module, |_, data| bytes += data.into_bytes().len() as u64);
    bytes
}

/// Shows every parameter and buffer of `module`, in its order: the dotted path, and the values as they are in memory.
pub fn each_tensor<M: Module>(module: &M, see: impl FnMut(String, TensorData)) {
    struct Each<F> {
        place: Place,
        see: F,
    }
    impl<F: FnMut(String, TensorData)> ModuleVisitor for Each<F> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            (self.see)(self.place.name(), param.val().into_data());
        }
        fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
            (self.see)(self.place.name(), param.val().into_data());
        }
        fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
            (self.see)(self.place.name(), param.val().into_data());
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.place.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.place.exit();
        }
    }
    module.visit(&mut Each { place: Place::default(), see });
}

/// `module` with these values, by dotted path and of the module's sizes; what is not named stays.
pub fn with_tensors<M: Module>(module: M, tensors: BTreeMap<String, TensorData>) -> M {
    let weights = tensors.into_iter().map(|(name, data)| (name, Stored::Plain(data))).collect();
    module.map(&mut Filling { place: Place::default(), weights })
}

/// Reads the parameters and buffers of `module`; all of them must be there, in the right shapes, and nothing
/// else. Weights that were quantized become quantized tensors again, with the ranges of their inputs beside them where the
/// file holds some.
///
/// # Errors
/// When the file is not there, damaged, or of another network.
pub fn load_weights<M: Module>(module: &mut M, path: &Path) -> Result<()> {
    let file = WeightFile::read(path)?;
    let (held, lacking) = (file.shapes(), shapes(module));
    let ranged = held.keys().filter(|name| !lacking.contains_key(*name));
    let ranged = ranged.filter_map(|name| Some((InputRange::weight_of(name)?.to_owned(), [0.0; 2])));
    *module = InputRange::beside(module.clone(), ranged.collect());
    if let Some(problem) = difference(&shapes(module), &held) {
        return Err(Error::input(
            path.display(),
            format!("the weights do not fit the network: {problem}"),
            "weights of the same architecture, data and dimensions",
            "use the config that the weights were trained with",
        ));
    }
    file.fill(module, None)
}

/// A file of weights, read and found to be whole.
pub(crate) struct WeightFile<'a> {
    path: &'a Path,
    held: Held,
    shapes: Shapes,
}

/// What a file holds.
enum Held {
    /// Tensors as any program reads them.
    Plain(Vec<u8>),
    /// Weights of which some are packed.
    Packed(BTreeMap<String, Stored>),
}

impl<'a> WeightFile<'a> {
    pub(crate) fn read(path: &'a Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
        if let Some(weights) = packed::read(&bytes).map_err(|problem| damaged(path, &problem))? {
            let shapes = weights.iter().map(|(name, weight)| (name.clone(), weight.shape())).collect();
            return Ok(Self { path, held: Held::Packed(weights), shapes });
        }
        let mut store = SafetensorsStore::from_bytes(Some(bytes.clone()));
        let tensors = store.get_all_tensors().map_err(|error| damaged(path, &error.to_string()))?;
        let shapes = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.to_vec())).collect();
        Ok(Self { path, held: Held::Plain(bytes), shapes })
    }

    /// The shapes of its weights.
    pub(crate) fn shapes(&self) -> Shapes {
        self.shapes.clone()
    }

    /// Puts all weights, or those of `names`, into `module`, whose shapes are known to be the same.
    pub(crate) fn fill<M: Module>(self, module: &mut M, names: Option<&[String]>) -> Result<()> {
        match self.held {
            Held::Packed(mut weights) => {
                weights.retain(|name, _| names.is_none_or(|names| names.contains(name)));
                let mut points = BTreeMap::new();
                for (name, weight) in &weights {
                    if let Stored::Quantized(Codes { zero_points, scales, sharing, .. }) = weight
                        && !zero_points.is_empty()
                    {
                        let point = (zero_points.clone(), scales.clone(), (*sharing).into());
                        points.insert(name.clone(), point);
                    }
                }
                let filled = module.clone().map(&mut Filling { place: Place::default(), weights });
                *module = ZeroPoints::beside(filled, points);
                Ok(())
            }
            Held::Plain(bytes) => {
                let mut store = SafetensorsStore::from_bytes(Some(bytes));
                if let Some(names) = names {
                    store = store.with_full_paths(names.to_vec()).allow_partial(true);
                }
                let loaded = module.load_from(&mut store);
                loaded.map(|_| ()).map_err(|error| {
                    Error::Failed(format!("{}: cannot load the weights: {error}", self.path.display()))
                })
            }
        }
    }
}

fn damaged(path: &Path, problem: &str) -> Error {
    let problem = problem.lines().next().unwrap_or_default();
    Error::input(
        path.display(),
        format!("the file is damaged or no safetensors file: {problem}"),
        "a file as `ansatz train` leaves it",
        "train again, or restore the file",
    )
}

/// What the weights of `module` must be.
pub(crate) fn shapes<M: Module>(module: &M) -> Shapes {
    let mut wanted = Wanted::default();
    module.visit(&mut wanted);
    wanted.shapes
}

/// Collects the weights of a module as a file would hold them.
#[derive(Default)]
struct Collected {
    place: Place,
    weights: BTreeMap<String, Stored>,
}

impl ModuleVisitor for Collected {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (name, tensor) = (self.place.name(), param.val());
        if let Some(weight) = ZeroPoints::weight_of(&name)
            && let Some(Stored::Quantized(codes)) = self.weights.get_mut(weight)
        {
            let shifts: Vec<f32> = tensor.into_data().try_into_vec_as().unwrap_or_default();
            codes.zero_points = ZeroPoints::of_shifts(&shifts, &codes.scales);
            return;
        }
        let stored = match Codes::of(&tensor) {
            Some(codes) => Stored::Quantized(codes),
            None => Stored::of(dense(tensor).into_data()),
        };
        self.weights.insert(name, stored);
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.weights.insert(self.place.name(), Stored::Plain(param.val().into_data()));
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.weights.insert(self.place.name(), Stored::Plain(param.val().into_data()));
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

/// Puts the weights of a packed file, which are known to fit, into a module.
struct Filling {
    place: Place,
    weights: BTreeMap<String, Stored>,
}

impl Filling {
    /// The weight of this place where it holds numbers as they are.
    fn data(&mut self) -> Option<TensorData> {
        match self.weights.remove(&self.place.name())? {
            Stored::Plain(data) | Stored::Sparse(data) => Some(data),
            Stored::Quantized(_) => None,
        }
    }
}

impl ModuleMapper for Filling {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.weights.remove(&self.place.name()) {
            None => param,
            Some(Stored::Plain(data) | Stored::Sparse(data)) => {
                param.map(|tensor| Tensor::from_data(data, (&tensor.device(), tensor.dtype())))
            }
            Some(Stored::Quantized(codes)) => {
                param.map(|tensor| codes.tensor(tensor.dims(), &tensor.device()))
            }
        }
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let Some(data) = self.data() else { return param };
        param.map(|tensor| Tensor::from_data(data, (&tensor.device(), tensor.dtype())))
    }
    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        let Some(data) = self.data() else { return param };
        param.map(|tensor| Tensor::from_data(data, &tensor.device()))
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

/// The sizes of tensors by their dotted names.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

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
    place: Place,
    shapes: Shapes,
}

impl Wanted {
    fn add(&mut self, shape: &[usize]) {
        self.shapes.insert(self.place.name(), shape.to_vec());
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
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
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
    fn ranges_of_inputs_are_stored_beside_quantized_weights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let (mut saved, mut loaded) = (linear(3, 2, true), linear(3, 2, true));
        let codes = Codes {
            shape: vec![3, 2],
            codes: (-3..3).collect(),
            scales: vec![0.5],
            zero_points: vec![],
            sharing: quantized::Sharing::Tensor,
        };
        saved.weight = saved.weight.map(|weight| codes.tensor([3, 2], &weight.device()));
        let saved = InputRange::beside(saved, [("weight".to_owned(), [-0.3, 1.7])].into());
        save_weights(&saved, &path).unwrap();
        load_weights(&mut loaded, &path).unwrap();
        let range = loaded.weight.reparameterization::<InputRange>().expect("a range");
        assert_eq!(range.bounds.val().into_data().try_to_vec::<f32>().unwrap(), [-0.3, 1.7]);
        assert_eq!(Codes::of(&loaded.weight.base()), Some(codes));
        let first = std::fs::read(&path).unwrap();
        save_weights(&loaded, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        // Floats again, for those who train on, or for other programs.
        let plain = dequantized(loaded);
        assert!(plain.weight.reparameterization::<InputRange>().is_none());
        save_weights(&plain, &path).unwrap();
        load_weights(&mut linear(3, 2, true), &path).unwrap();
    }

    #[test]
    fn zero_points_are_stored_with_the_codes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let (mut saved, mut loaded) = (linear(4, 2, true), linear(4, 2, true));
        let codes = Codes {
            shape: vec![4, 2],
            codes: vec![-8, 7, 0, 3, -2, 1, 5, -6],
            scales: vec![0.5, 0.25, 1.0, 2.0],
            zero_points: vec![-8, 0, 7, 1],
            sharing: quantized::Sharing::Group(2),
        };
        saved.weight = saved.weight.map(|weight| codes.tensor([4, 2], &weight.device()));
        let points = (codes.zero_points.clone(), codes.scales.clone(), codes.sharing.into());
        let saved = ZeroPoints::beside(saved, [("weight".to_owned(), points)].into());
        save_weights(&saved, &path).unwrap();
        load_weights(&mut loaded, &path).unwrap();
        assert_eq!(loaded.weight.val().into_data(), saved.weight.val().into_data());
        assert_eq!(loaded.weight.val().into_data().try_to_vec::<f32>().unwrap()[..2], [0.0, 1.75]);
        let mut smaller = linear(3, 2, true);
        assert!(load_weights(&mut smaller, &path).unwrap_err().to_string().contains("`weight`"));
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
