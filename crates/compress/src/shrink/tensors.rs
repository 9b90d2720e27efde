//! All tensors of a network on the host: read, rearranged along an axis, put into another network.

use std::collections::BTreeMap;

use ansatz_core::{Error, Result};
use ansatz_run::{Mask, Masks, each_tensor, with_tensors};
use burn::module::Module;
use burn::tensor::TensorData;

/// The tensors of a network by their dotted paths, buffers such as running statistics among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tensors(BTreeMap<String, TensorData>);

impl Tensors {
    /// Those of `module`.
    pub(super) fn read<M: Module>(module: &M) -> Self {
        let mut tensors = BTreeMap::new();
        each_tensor(module, |name, data| {
            tensors.insert(name, data);
        });
        Self(tensors)
    }

    /// `masks` as tensors, true where a value is kept.
    pub(super) fn of(masks: &Masks) -> Self {
        let data = |mask: &Mask| TensorData::new(mask.kept.clone(), mask.shape.clone());
        Self(masks.iter().map(|(name, mask)| (name.to_owned(), data(mask))).collect())
    }

    /// The masks that these tensors are.
    pub(super) fn masks(&self) -> Masks {
        let mut masks = Masks::default();
        for (name, data) in self.iter() {
            let kept = data.try_to_vec::<bool>().unwrap_or_default();
            masks.add(name, Mask { shape: data.shape().to_vec(), kept });
        }
        masks
    }

    /// Every tensor by name, in the order of the names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &TensorData)> {
        self.0.iter().map(|(name, data)| (name.as_str(), data))
    }

    /// The sizes of the tensor `name`.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|data| &data.shape()[..])
    }

    /// Whether `other` has tensors of the same names and sizes.
    pub(super) fn alike(&self, other: &Self) -> bool {
        let shapes = |tensors: &Self| -> Vec<(String, Vec<usize>)> {
            tensors.iter().map(|(name, data)| (name.to_owned(), data.shape().to_vec())).collect()
        };
        shapes(self) == shapes(other)
    }

    /// The first name that one of both lacks.
    pub(super) fn unshared<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let lacking =
            |these: &'a Self, those: &Self| these.0.keys().find(|name| !those.0.contains_key(*name));
        lacking(self, other).or_else(|| lacking(other, self)).map(String::as_str)
    }

    /// Gives the tensor `name` along `axis` the entries `order`, in this order.
    pub(super) fn select(&mut self, name: &str, axis: usize, order: &[usize]) {
        if let Some(data) = self.0.get_mut(name) {
            *data = select(data, axis, order);
        }
    }

    /// Makes the entries `places` of the tensor `name` along `axis` zero.
    pub(super) fn silence(&mut self, name: &str, axis: usize, places: &[usize]) {
        if let Some(data) = self.0.get_mut(name) {
            *data = silence(data, axis, places);
        }
    }

    /// The sums of `measure` of the values of the tensor `name`, for each entry along `axis`.
    pub(super) fn sums(&self, name: &str, axis: usize, measure: impl Fn(f32) -> f64) -> Vec<f64> {
        let Some(data) = self.0.get(name) else { return Vec::new() };
        let (size, entry) = (data.shape()[axis], data.shape()[axis + 1..].iter().product::<usize>());
        let values = data.clone().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
        let mut sums = vec![0.0; size];
        for (index, value) in values.into_iter().enumerate() {
            sums[index / entry % size] += measure(value);
        }
        sums
    }

    /// Makes every tensor zero whose name `is_meant`.
    pub(super) fn silence_all(&mut self, is_meant: impl Fn(&str) -> bool) {
        for (_, data) in self.0.iter_mut().filter(|(name, _)| is_meant(name)) {
            let zeros = vec![0; data.bytes().len()];
            *data = TensorData::from_bytes_vec(zeros, data.shape().clone(), data.dtype());
        }
    }

    /// Gives every tensor the name that `renamed` says, and leaves out those that get none.
    pub(super) fn rename(self, renamed: impl Fn(&str) -> Option<String>) -> Self {
        Self(self.0.into_iter().filter_map(|(name, data)| Some((renamed(&name)?, data))).collect())
    }

    /// `module` with these values.
    ///
    /// # Errors
    /// When it has other tensors.
    pub(super) fn fill<M: Module>(&self, module: M) -> Result<M> {
        let wanted = Self::read(&module);
        if !wanted.alike(self) {
            let differs = self.iter().find(|(name, data)| wanted.shape(name) != Some(&data.shape()[..]));
            let name = differs.map(|(name, _)| name).or_else(|| self.unshared(&wanted));
            return Err(Error::Failed(format!(
                "the smaller network is of another shape at `{}`",
                name.unwrap_or_default()
            )));
        }
        Ok(with_tensors(module, self.0.clone()))
    }
}

/// The entries `order` of `data` along `axis`.
fn select(data: &TensorData, axis: usize, order: &[usize]) -> TensorData {
    let mut shape = data.shape().to_vec();
    let entry = shape[axis + 1..].iter().product::<usize>() * data.dtype().size();
    let row = shape[axis] * entry;
    let mut bytes = Vec::with_capacity(data.bytes().len() / shape[axis].max(1) * order.len());
    for row in data.bytes().chunks_exact(row.max(1)) {
        order.iter().for_each(|place| bytes.extend_from_slice(&row[place * entry..(place + 1) * entry]));
    }
    shape[axis] = order.len();
    TensorData::from_bytes_vec(bytes, shape, data.dtype())
}

/// `data` with zeros at the entries `places` along `axis`.
fn silence(data: &TensorData, axis: usize, places: &[usize]) -> TensorData {
    let shape = data.shape().to_vec();
    let entry = shape[axis + 1..].iter().product::<usize>() * data.dtype().size();
    let mut bytes = data.bytes().to_vec();
    for row in bytes.chunks_exact_mut((shape[axis] * entry).max(1)) {
        // Zero is all bits zero in every type of number.
        places.iter().for_each(|place| row[place * entry..(place + 1) * entry].fill(0));
    }
    TensorData::from_bytes_vec(bytes, shape, data.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::tests::mixed;

    #[test]
    fn entries_are_taken_and_silenced_along_an_axis() {
        let data = TensorData::from([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        select(&data, 1, &[2, 0]).assert_eq(&TensorData::from([[3.0_f32, 1.0], [6.0, 4.0]]), true);
        select(&data, 0, &[1]).assert_eq(&TensorData::from([[4.0_f32, 5.0, 6.0]]), true);
        let silent = TensorData::from([[1.0_f32, 0.0, 3.0], [4.0, 0.0, 6.0]]);
        super::silence(&data, 1, &[1]).assert_eq(&silent, true);
    }

    #[test]
    fn what_is_read_is_put_into_another_network_of_its_shape_alone() {
        let device = ansatz_device::open("cpu").unwrap();
        let (first, second) = (mixed(&device), mixed(&device));
        let tensors = Tensors::read(&first);
        assert!(tensors.shape("norm.running_mean").is_some(), "statistics are tensors as well");
        let filled = Tensors::read(&tensors.fill(second).unwrap());
        for ((name, data), (_, found)) in tensors.iter().zip(filled.iter()) {
            assert_eq!(data, found, "{name}");
        }
        let mut narrow = tensors.clone();
        narrow.select("layers.1.weight", 1, &[0, 1]);
        let message = narrow.fill(mixed(&device)).unwrap_err().to_string();
        assert!(message.contains("`layers.1.weight`"), "{message}");
    }
}
