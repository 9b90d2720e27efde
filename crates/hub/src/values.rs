//! Tensors on the host, of any rank, and the ways in which published ones differ from ours.

use burn::tensor::TensorData;

/// Float values in row-major order, with their shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// All values.
    pub values: Vec<f32>,
}

impl Values {
    /// Copies a tensor.
    ///
    /// # Panics
    /// When `data` holds no floats.
    pub fn from_data(data: TensorData) -> Self {
        let shape = data.shape().to_vec();
        let values = data.convert::<f32>().try_to_vec().expect("floats convert to float32");
        Self { shape, values }
    }

    /// The same as burn's own host tensor.
    pub fn into_data(self) -> TensorData {
        TensorData::new(self.values, self.shape)
    }

    /// The last two dimensions exchanged; `None` for a rank below 2.
    pub(crate) fn transposed(&self) -> Option<Self> {
        let [.., rows, columns] = self.shape[..] else { return None };
        let mut values = Vec::with_capacity(self.values.len());
        for matrix in self.values.chunks((rows * columns).max(1)) {
            values.extend(
                (0..columns)
                    .flat_map(|column| (0..rows).map(move |row| (row, column)))
                    .map(|(row, column)| matrix[row * columns + column]),
            );
        }
        let mut shape = self.shape.clone();
        let rank = shape.len();
        shape.swap(rank - 2, rank - 1);
        Some(Self { shape, values })
    }

    /// With dimension `order[i]` in place i; `None` where `order` does not name every dimension once.
    pub(crate) fn permuted(&self, order: &[usize]) -> Option<Self> {
        let rank = self.shape.len();
        if order.len() != rank || (0..rank).any(|axis| !order.contains(&axis)) {
            return None;
        }
        let mut strides = vec![1; rank];
        for axis in (1..rank).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let shape: Vec<usize> = order.iter().map(|axis| self.shape[*axis]).collect();
        let place = |index: usize| {
            let axes = (0..rank).rev().fold((index, 0), |(rest, place), axis| {
                (rest / shape[axis], place + rest % shape[axis] * strides[order[axis]])
            });
            axes.1
        };
        let values = (0..self.values.len()).map(|index| self.values[place(index)]).collect();
        Some(Self { shape, values })
    }

    /// Sizes before `axis` together, along it, and behind it together.
    fn around(&self, axis: usize) -> [usize; 3] {
        let before = self.shape[..axis].iter().product();
        let behind = self.shape[axis + 1..].iter().product();
        [before, self.shape[axis], behind]
    }

    /// `count` places along `axis` from `first` on; `None` where there are not so many.
    pub(crate) fn narrow(&self, axis: usize, first: usize, count: usize) -> Option<Self> {
        if axis >= self.shape.len() || first + count > self.shape[axis] {
            return None;
        }
        let [_, along, behind] = self.around(axis);
        let values = self
            .values
            .chunks(along * behind)
            .flat_map(|block| block[first * behind..(first + count) * behind].iter().copied())
            .collect();
        let mut shape = self.shape.clone();
        shape[axis] = count;
        Some(Self { shape, values })
    }

    /// All `parts` one behind the other along `axis`; `None` where their other dimensions differ.
    pub(crate) fn joined(parts: &[Self], axis: usize) -> Option<Self> {
        let first = parts.first()?;
        let fits = |part: &Self| {
            part.shape.len() == first.shape.len()
                && part.shape.iter().zip(&first.shape).enumerate().all(|(at, (a, b))| at == axis || a == b)
        };
        if axis >= first.shape.len() || !parts.iter().all(fits) {
            return None;
        }
        let [before, _, _] = first.around(axis);
        let mut values = Vec::with_capacity(parts.iter().map(|part| part.values.len()).sum());
        for block in 0..before {
            for part in parts {
                let [_, along, behind] = part.around(axis);
                values.extend_from_slice(&part.values[block * along * behind..(block + 1) * along * behind]);
            }
        }
        let mut shape = first.shape.clone();
        shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
        Some(Self { shape, values })
    }

    /// The same values in another shape; `None` where that holds another number of them.
    pub(crate) fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        let fits = shape.iter().product::<usize>() == self.values.len();
        fits.then(|| Self { shape, values: self.values.clone() })
    }

    /// With a dimension of size 1 before `axis`; `None` for an axis behind the end.
    pub(crate) fn unsqueezed(&self, axis: usize) -> Option<Self> {
        let mut shape = self.shape.clone();
        (axis <= shape.len()).then(|| shape.insert(axis, 1))?;
        self.reshaped(shape)
    }

    /// Without the dimension `axis`; `None` where that is not of size 1.
    pub(crate) fn squeezed(&self, axis: usize) -> Option<Self> {
        let mut shape = self.shape.clone();
        if shape.get(axis) != Some(&1) {
            return None;
        }
        shape.remove(axis);
        self.reshaped(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Values {
        let values = (0..shape.iter().product::<usize>()).map(|value| value as f32).collect();
        Values { shape: shape.to_vec(), values }
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        for shape in [[2, 3].as_slice(), &[1, 4], &[2, 3, 4]] {
            let values = counted(shape);
            let once = values.transposed().unwrap();
            assert_eq!(once.transposed().unwrap(), values);
        }
        assert_eq!(counted(&[2, 3]).transposed().unwrap().values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert!(counted(&[3]).transposed().is_none());
    }

    #[test]
    fn dimensions_change_places() {
        let values = counted(&[2, 3, 4]);
        let found = values.permuted(&[2, 0, 1]).unwrap();
        assert_eq!(found.shape, [4, 2, 3]);
        // Place (3, 1, 2) was (1, 2, 3).
        assert_eq!(found.values[3 * 6 + 3 + 2], 12.0 + 2.0 * 4.0 + 3.0);
        assert_eq!(found.permuted(&[1, 2, 0]).unwrap(), values);
        assert_eq!(values.permuted(&[0, 2, 1]), values.transposed());
        assert!(values.permuted(&[0, 0, 1]).is_none() && values.permuted(&[0, 1]).is_none());
    }

    #[test]
    fn joining_undoes_narrowing_along_every_axis() {
        let values = counted(&[4, 3, 5]);
        for axis in 0..3 {
            let size = values.shape[axis];
            let parts = [values.narrow(axis, 0, 1).unwrap(), values.narrow(axis, 1, size - 1).unwrap()];
            assert_eq!(Values::joined(&parts, axis).unwrap(), values);
        }
        assert!(values.narrow(0, 3, 2).is_none());
        assert!(Values::joined(&[counted(&[2, 3]), counted(&[2, 4])], 0).is_none());
    }

    #[test]
    fn dimensions_of_one_come_and_go() {
        let values = counted(&[2, 3]);
        for axis in 0..=2 {
            assert_eq!(values.unsqueezed(axis).unwrap().squeezed(axis).unwrap(), values);
        }
        assert!(values.squeezed(0).is_none());
        assert!(values.unsqueezed(3).is_none());
    }
}
