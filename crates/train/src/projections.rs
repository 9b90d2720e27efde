//! The maps through which a student's tokens are compared with a teacher's.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// The regressors of FitNets (Romero et al. 2015, arXiv:1412.6550, section 2.2), which are linear here: one for each pair of
/// blocks whose widths differ. They learn with the student, lie in its checkpoints, and are thrown away in the end.
#[derive(Module, Debug, Default)]
pub(crate) struct Projections {
    /// For each pair of blocks, in their order.
    of_pairs: Vec<Option<Linear>>,
}

impl Projections {
    /// For pairs of the widths `[student, teacher]`, drawn on `host` by `seed`.
    pub(crate) fn of(widths: &[[usize; 2]], seed: u64, host: &Device) -> Self {
        host.seed(seed);
        let linear = |&[student, teacher]: &[usize; 2]| {
            (student != teacher).then(|| drawn(LinearConfig::new(student, teacher).init(host)))
        };
        Self { of_pairs: widths.iter().map(linear).collect() }
    }

    /// Whether nothing is learned.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_pairs.iter().all(Option::is_none)
    }

    /// The student's tokens of pair `index` as wide as the teacher's.
    pub(crate) fn forward(&self, index: usize, tokens: Tensor<3>) -> Tensor<3> {
        match self.of_pairs.get(index).and_then(Option::as_ref) {
            Some(linear) => linear.forward(tokens),
            None => tokens,
        }
    }
}

/// The same map, its values drawn now rather than on first use.
fn drawn(linear: Linear) -> Linear {
    linear.weight.val();
    linear.bias.as_ref().map(Param::val);
    linear
}
