//! What happens to a residual branch while training.

use ansatz_ops::dropout;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::Tensor;

/// Drops values of a residual branch (Srivastava et al. 2014) or, for whole examples, the branch itself
/// (stochastic depth, Huang et al. 2016, arXiv:1603.09382), while training alone. What is left is scaled
/// so that its expectation stays the same.
#[derive(Module, Debug)]
pub struct Residual {
    dropout: Dropout,
    skip: Dropout,
}

impl Residual {
    /// A branch whose values are dropped, and which is skipped, with these probabilities in 0–1.
    pub(crate) fn new(dropout: f64, skip: f64) -> Self {
        Self { dropout: DropoutConfig::new(dropout).init(), skip: DropoutConfig::new(skip).init() }
    }

    /// `[batch, length, width]` → the same.
    pub fn forward(&self, branch: Tensor<3>) -> Tensor<3> {
        let branch = dropout(&self.dropout, branch);
        if self.skip.prob == 0.0 {
            return branch;
        }
        // Dropout of one value per example, spread over the whole branch.
        let whole = Tensor::ones_like(&branch.clone().narrow(1, 0, 1).narrow(2, 0, 1));
        branch * dropout(&self.skip, whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_skip_the_branch_as_a_whole_and_keep_its_expectation() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        device.seed(5);
        let residual = Residual::new(0.0, 0.25);
        let ones = || Tensor::<3>::ones([400, 2, 3], &device);
        let values = residual.forward(ones()).into_data().try_to_vec::<f32>().unwrap();
        let kept = values.chunks(6).filter(|example| {
            assert!(example.iter().all(|value| *value == example[0]), "{example:?}");
            assert!(example[0] == 0.0 || (example[0] - 4.0 / 3.0).abs() < 1e-6, "{example:?}");
            example[0] > 0.0
        });
        // 300 of 400 are expected, with a standard deviation of 8.7.
        assert!((260..340).contains(&kept.count()));
        residual.valid().forward(ones().inner()).into_data().assert_eq(&ones().inner().into_data(), true);
    }

    #[test]
    fn without_probabilities_the_branch_is_left_alone() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let branch = Tensor::<3>::ones([2, 2, 3], &device);
        let same = Residual::new(0.0, 0.0).forward(branch.clone());
        same.into_data().assert_eq(&branch.into_data(), true);
    }
}
