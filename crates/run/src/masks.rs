//! Which weights of a network are kept, and which are zero for good.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ansatz_core::{Error, Result};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::weights::{pack, unpack};
use crate::{Place, write_atomically};

/// Which values of a weight are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// The weight's sizes.
    pub shape: Vec<usize>,
    /// True where a value is kept, row-major.
    pub kept: Vec<bool>,
}

/// Which values are kept of the weights that were pruned, by the dotted paths of the weights.
///
/// A run keeps them as `masks.safetensors`, a bit per value. They outlive what is done to the weights: whoever trains
/// on holds them, step by step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masks(BTreeMap<String, Mask>);

const SHAPES: &str = "shapes";

impl Masks {
    /// No weight was pruned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mask of the weight `name`.
    pub fn get(&self, name: &str) -> Option<&Mask> {
        self.0.get(name)
    }

    /// All masks by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Mask)> {
        self.0.iter().map(|(name, mask)| (name.as_str(), mask))
    }

    /// Keeps of the weight `name` only what `mask` keeps, and what an earlier mask kept.
    ///
    /// # Panics
    /// When an earlier mask of the same name is of another shape.
    pub fn add(&mut self, name: &str, mut mask: Mask) {
        if let Some(earlier) = self.0.get(name) {
            assert_eq!(earlier.shape, mask.shape, "two masks of `{name}`");
            mask.kept.iter_mut().zip(&earlier.kept).for_each(|(kept, earlier)| *kept &= earlier);
        }
        self.0.insert(name.to_owned(), mask);
    }

    /// Those of the weights of these names.
    pub fn of(mut self, names: &[String]) -> Self {
        self.0.retain(|name, _| names.contains(name));
        self
    }

    /// Reads the file at `path`; none where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
        Self::from_bytes(&bytes).ok_or_else(|| {
            Error::input(
                path.display(),
                "the file is damaged or holds no masks",
                "a file as pruning leaves it",
                "restore the file, or prune again",
            )
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        let shapes: BTreeMap<String, Vec<usize>> =
            serde_json::from_str(header.metadata().as_ref()?.get(SHAPES)?).ok()?;
        let file = SafeTensors::deserialize(bytes).ok()?;
        let mask = |(name, shape): (String, Vec<usize>)| {
            let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
            let bits = unpack(file.tensor(&name).ok()?.data(), 1, count)?;
            Some((name, Mask { shape, kept: bits.iter().map(|bit| *bit != 0).collect() }))
        };
        shapes.into_iter().map(mask).collect::<Option<_>>().map(Self)
    }

    /// Writes the file at `path`, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomically(path, &self.to_bytes()?)
    }

    /// What the file holds.
    ///
    /// # Errors
    /// When there is too much of it.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed =
            |error: &dyn std::fmt::Display| Error::Failed(format!("the masks cannot be written: {error}"));
        let bits: Vec<Vec<u8>> =
            self.0.values().map(|mask| pack(mask.kept.iter().map(|kept| i8::from(*kept)), 1)).collect();
        let views = self
            .0
            .keys()
            .zip(&bits)
            .map(|(name, bits)| Ok((name, TensorView::new(Dtype::U8, vec![bits.len()], bits)?)));
        let views = views
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| failed(&error))?;
        let shapes: BTreeMap<&str, &[usize]> =
            self.iter().map(|(name, mask)| (name, &mask.shape[..])).collect();
        let shapes = serde_json::to_string(&shapes).map_err(|error| failed(&error))?;
        let remarks = HashMap::from([(SHAPES.to_owned(), shapes)]);
        safetensors::serialize(views, Some(remarks)).map_err(|error| failed(&error))
    }

    /// The masks on `device`, to be held many times.
    pub fn on(&self, device: &Device) -> Holding {
        let pruned = |mask: &Mask| {
            let pruned: Vec<bool> = mask.kept.iter().map(|kept| !kept).collect();
            let count = pruned.len();
            Tensor::from_data(TensorData::new(pruned, [count]), device)
        };
        Holding(self.0.iter().map(|(name, mask)| (name.clone(), pruned(mask))).collect())
    }
}

/// Masks on a device: true where a value is zero.
#[derive(Debug, Clone)]
pub struct Holding(BTreeMap<String, Tensor<1, Bool>>);

impl Holding {
    /// The same module, with zeros where the masks say so. A parameter learns on as before.
    ///
    /// # Panics
    /// When a weight has another number of values than its mask.
    pub fn hold<M: Module>(&self, module: M) -> M {
        if self.0.is_empty() {
            return module;
        }
        module.map(&mut Hold { place: Place::default(), pruned: &self.0 })
    }
}

struct Hold<'a> {
    place: Place,
    pruned: &'a BTreeMap<String, Tensor<1, Bool>>,
}

impl ModuleMapper for Hold<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(pruned) = self.pruned.get(&self.place.name()) else { return param };
        param.map(|tensor| {
            let (autodiff, learns) = (tensor.device().is_autodiff(), tensor.is_require_grad());
            let tensor = tensor.inner();
            let pruned = pruned.clone().reshape(tensor.dims());
            // Filled, not multiplied: a negative value times 0 is −0, another number to a file.
            let held = tensor.mask_fill(pruned, 0.0);
            if autodiff { Tensor::from_inner(held).set_require_grad(learns) } else { held }
        })
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};

    fn masks() -> Masks {
        let mut masks = Masks::default();
        let kept = vec![true, false, true, true, true, false];
        masks.add("weight", Mask { shape: vec![3, 2], kept });
        masks
    }

    #[test]
    fn a_file_gives_the_masks_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("masks.safetensors");
        assert!(Masks::read(&path).unwrap().is_empty());
        masks().write(&path).unwrap();
        assert_eq!(Masks::read(&path).unwrap(), masks());
        std::fs::write(&path, b"nothing of the kind").unwrap();
        assert!(Masks::read(&path).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn what_was_pruned_once_stays_pruned() {
        let mut masks = masks();
        masks.add("weight", Mask { shape: vec![3, 2], kept: vec![false, true, true, true, true, true] });
        assert_eq!(masks.get("weight").unwrap().kept, [false, false, true, true, true, false]);
    }

    #[test]
    fn masked_values_become_zero_and_parameters_learn_on() {
        let device = ansatz_device::open("cpu").unwrap();
        for device in [device.clone(), device.autodiff()] {
            let layer: Linear = LinearConfig::new(3, 2).init(&device);
            let before = layer.weight.val().into_data().try_to_vec::<f32>().unwrap();
            let (id, learns) = (layer.weight.id, layer.weight.val().is_require_grad());
            let layer = masks().on(&device.clone().inner()).hold(layer);
            let after: [f32; 6] =
                layer.weight.val().into_data().try_to_vec::<f32>().unwrap().try_into().unwrap();
            let expected = [before[0], 0.0, before[2], before[3], before[4], 0.0];
            assert_eq!(after.map(f32::to_bits), expected.map(f32::to_bits));
            assert_eq!((layer.weight.id, layer.weight.val().is_require_grad()), (id, learns));
        }
    }
}
