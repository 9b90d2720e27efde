//! What pruning and rounding want to know of a weight's inputs.

use ansatz_ops::Observed;
use burn::tensor::Tensor;

use super::{Statistic, columns};

/// How long each input is over all examples: ‖X_j‖₂.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Norms {
    squares: Vec<f64>,
    count: usize,
}

impl Norms {
    /// ‖X_j‖₂ for the inputs of each group, one group behind the other; of a kernel for each place of its window.
    pub fn norms(&self) -> impl Iterator<Item = f64> {
        self.squares.iter().map(|square| square.sqrt())
    }

    /// How many rows, or windows, were seen.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Statistic for Norms {
    fn bytes(groups: usize, inputs: usize) -> usize {
        groups.saturating_mul(inputs).saturating_mul(size_of::<f64>())
    }

    fn see(&mut self, inputs: &Observed) {
        columns(inputs, |x| {
            self.count += x.dims()[2];
            add(&mut self.squares, x.powi_scalar(2).sum_dim(2));
        });
    }
}

/// The second derivatives of the squared error ‖WX − ŴX‖² by the weights of one output, the same for each: H = 2XXᵀ
/// (Frantar and Alistarh 2022, arXiv:2208.11580, section 3).
///
/// Products are summed in float32 over a batch, and over batches in float64.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hessian {
    values: Vec<f64>,
    inputs: usize,
    count: usize,
}

impl Hessian {
    /// H `[inputs, inputs]` of each group.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact((self.inputs * self.inputs).max(1))
    }

    /// Inputs of each output; of a kernel with their windows.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many rows, or windows, were seen.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether all examples led to numbers.
    pub(crate) fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    #[cfg(test)]
    pub(crate) fn of(values: Vec<f64>, inputs: usize) -> Self {
        Self { values, inputs, count: 1 }
    }
}

impl Statistic for Hessian {
    fn bytes(groups: usize, inputs: usize) -> usize {
        Norms::bytes(groups, inputs).saturating_mul(inputs)
    }

    fn see(&mut self, inputs: &Observed) {
        columns(inputs, |x| {
            let [_, inputs, count] = x.dims();
            self.inputs = inputs;
            self.count += count;
            add(&mut self.values, x.clone().matmul(x.swap_dims(1, 2)).mul_scalar(2.0));
        });
    }
}

/// Adds the values of `more`, of which `sums` are none yet, or as many.
fn add(sums: &mut Vec<f64>, more: Tensor<3>) {
    let values: Vec<f32> = more.into_data().convert::<f32>().try_into_vec().expect("converted to float32");
    sums.resize(values.len(), 0.0);
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::ops::ConvOptions;

    #[test]
    fn sums_are_those_worked_out_by_hand() {
        let device = ansatz_device::open("cpu").unwrap();
        let (mut hessian, mut norms) = (Hessian::default(), Norms::default());
        for rows in [[[1.0, 2.0], [0.0, -1.0]], [[3.0, 0.0], [0.0, 2.0]]] {
            let rows = Observed::Rows(Tensor::from_floats(rows, &device));
            hessian.see(&rows);
            norms.see(&rows);
        }
        assert_eq!(hessian, Hessian { values: vec![20.0, 4.0, 4.0, 18.0], inputs: 2, count: 4 });
        assert_eq!(norms.norms().collect::<Vec<_>>(), [10f64.sqrt(), 3.0]);
        assert_eq!(norms.count(), 4);
    }

    #[test]
    fn each_group_of_a_convolution_has_its_own() {
        let device = ansatz_device::open("cpu").unwrap();
        let picture = Tensor::<4>::from_floats([[[[1.0, 2.0]], [[3.0, 4.0]]]], &device);
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 2);
        let mut hessian = Hessian::default();
        hessian.see(&Observed::Picture { picture, kernel: [1, 2], options });
        let groups: Vec<_> = hessian.groups().collect();
        assert_eq!(groups, [[2.0, 4.0, 4.0, 8.0], [18.0, 24.0, 24.0, 32.0]]);
        assert!(hessian.is_finite());
    }
}
