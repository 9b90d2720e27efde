//! The norm of all gradients together, and shortening them by it.
//!
//! burn clips each tensor by itself, which turns the step; here all are shortened alike, which keeps its
//! direction: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013,
//! algorithm 1. Nothing is read from the device on the way.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

/// The Euclidean norm of all gradients of `module` as one vector, `[1]`, on `device`.
pub fn global_norm<M: Module>(module: &M, gradients: &GradientsParams, device: &Device) -> Tensor<1> {
    let mut visitor = SquaredNorm { gradients, sum: None };
    module.visit(&mut visitor);
    visitor.sum.map_or_else(|| Tensor::zeros([1], device), Tensor::sqrt)
}

struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let squares = gradient.square().sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + squares,
            None => squares,
        });
    }
}

/// Shortens all gradients of `module` by the same factor, so that their norm, which is `norm` `[1]`, is at
/// most `limit`.
pub fn clip<M: Module>(
    module: &M,
    gradients: GradientsParams,
    norm: Tensor<1>,
    limit: f64,
) -> GradientsParams {
    let factor = norm.recip().mul_scalar(limit).clamp_max(1.0);
    let mut visitor = Shortening { gradients, factor };
    module.visit(&mut visitor);
    visitor.gradients
}

struct Shortening {
    gradients: GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Shortening {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let factor = self.factor.clone().reshape([1; D]);
        self.gradients.register(param.id, gradient * factor);
    }
}
