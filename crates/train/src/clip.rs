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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use proptest::prelude::*;

    #[derive(Module, Debug)]
    struct Pair {
        matrix: Param<Tensor<2>>,
        vector: Param<Tensor<1>>,
        idle: Param<Tensor<1>>,
    }

    fn pair() -> (Pair, Device) {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let matrix = Param::from_data([[0.0; 3]; 2], &device);
        let vector = Param::from_data([0.0; 4], &device);
        (Pair { matrix, vector, idle: Param::from_data([0.0; 5], &device) }, device.inner())
    }

    fn gradients(pair: &Pair, values: &[f32], device: &Device) -> GradientsParams {
        let mut gradients = GradientsParams::new();
        let matrix = Tensor::<1>::from_floats(&values[..6], device).reshape([2, 3]);
        gradients.register(pair.matrix.id, matrix);
        gradients.register(pair.vector.id, Tensor::<1>::from_floats(&values[6..], device));
        gradients
    }

    /// All gradients as one vector.
    fn concatenated(pair: &Pair, gradients: &GradientsParams) -> Vec<f32> {
        let matrix = gradients.get::<2>(pair.matrix.id).unwrap().into_data();
        let vector = gradients.get::<1>(pair.vector.id).unwrap().into_data();
        [matrix.try_to_vec::<f32>().unwrap(), vector.try_to_vec().unwrap()].concat()
    }

    fn naive_norm(values: &[f32]) -> f64 {
        values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn clipping_is_that_of_the_concatenated_vector(
            values in prop::collection::vec(-10.0_f32..10.0, 10),
            limit in 0.1_f64..40.0,
        ) {
            let (pair, device) = pair();
            let gradients = gradients(&pair, &values, &device);
            let norm = global_norm(&pair, &gradients, &device);
            let naive = naive_norm(&values);
            prop_assert!((f64::from(norm.clone().into_scalar::<f32>()) - naive).abs() < 1e-4);
            let clipped = concatenated(&pair, &clip(&pair, gradients, norm, limit));
            let factor = (limit / naive).min(1.0);
            for (given, value) in clipped.iter().zip(&values) {
                prop_assert!((f64::from(*given) - f64::from(*value) * factor).abs() < 1e-4);
            }
            if naive < limit * 0.999 {
                prop_assert_eq!(clipped, values);
            }
        }
    }

    #[test]
    fn no_gradient_at_all_is_no_trouble() {
        let (pair, device) = pair();
        let norm = global_norm(&pair, &GradientsParams::new(), &device);
        assert_eq!(norm.clone().into_scalar::<f32>(), 0.0);
        let zeros = gradients(&pair, &[0.0; 10], &device);
        assert_eq!(concatenated(&pair, &clip(&pair, zeros, norm, 1.0)), [0.0; 10]);
    }
}
