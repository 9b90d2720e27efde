//! One step of Adam with decoupled weight decay.

use burn::tensor::Tensor;

/// What a step of Adam is told (Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, arXiv:1412.6980,
/// algorithm 1; Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, arXiv:1711.05101, algorithm 2):
///
/// ```text
/// m ← β₁ m + (1 − β₁) g
/// v ← β₂ v + (1 − β₂) g²
/// θ ← (1 − η λ) θ − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// β₁ and β₂, each in 0–1 without 1.
    pub betas: [f32; 2],
    /// ε, above 0.
    pub epsilon: f32,
    /// η.
    pub rate: f64,
    /// λ.
    pub weight_decay: f64,
    /// t, counted from 1.
    pub time: usize,
}

impl AdamStep {
    /// `1 − β₁ᵗ` and `1 − β₂ᵗ`.
    pub(crate) fn corrections(&self) -> [f32; 2] {
        self.betas.map(|beta| 1.0 - beta.powi(i32::try_from(self.time).unwrap_or(i32::MAX)))
    }

    /// `1 − η λ`.
    pub(crate) fn kept(&self) -> f64 {
        1.0 - self.rate * self.weight_decay
    }

    /// θ, m and v behind the step, given θ, g, m and v, which must carry no gradients; all of one shape.
    ///
    /// The fast form goes through all of them once; both give the same bits.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn apply<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        moments: [Tensor<D>; 2],
    ) -> (Tensor<D>, [Tensor<D>; 2]) {
        let shape = weights.dims();
        for tensor in [&gradient, &moments[0], &moments[1]] {
            assert_eq!(tensor.dims(), shape, "weights, gradients and moments have one shape");
        }
        #[cfg(feature = "flex")]
        if [&weights, &gradient, &moments[0], &moments[1]].into_iter().all(crate::flex::takes) {
            return crate::flex::adam(self, weights, gradient, moments);
        }
        self.composed(weights, gradient, moments)
    }

    /// The same of burn's operations.
    fn composed<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        [mean, square]: [Tensor<D>; 2],
    ) -> (Tensor<D>, [Tensor<D>; 2]) {
        let ([first, second], [of_mean, of_square]) = (self.betas, self.corrections());
        let mean = mean.mul_scalar(first) + gradient.clone().mul_scalar(1.0 - first);
        let square = square.mul_scalar(second) + gradient.square().mul_scalar(1.0 - second);
        let scale = square.clone().div_scalar(of_square).sqrt().add_scalar(self.epsilon);
        let change = mean.clone().div_scalar(of_mean) / scale;
        let weights = weights.mul_scalar(self.kept()) - change.mul_scalar(self.rate);
        (weights, [mean, square])
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::{DType, Device};

    #[test]
    fn the_fast_form_has_the_bits_of_tensor_operations() {
        let device = Device::flex();
        for shape in [[1, 1], [7, 5], [300, 257]] {
            let gradients: Vec<Tensor<2>> = (0..3).map(|_| random(shape, &device)).collect();
            let start = random(shape, &device);
            for weight_decay in [0.0, 0.1] {
                let walk = |apply: &dyn Fn(&AdamStep, Tensor<2>, Tensor<2>, [Tensor<2>; 2]) -> _| {
                    let zeros = || Tensor::zeros(shape, &device);
                    let begin = (start.clone(), [zeros(), zeros()]);
                    gradients.iter().zip(1..).fold(begin, |(weights, moments), (gradient, time)| {
                        let step =
                            AdamStep { betas: [0.9, 0.999], epsilon: 1e-8, rate: 3e-3, weight_decay, time };
                        apply(&step, weights, gradient.clone(), moments)
                    })
                };
                let (fast, [mean, square]) =
                    walk(&|step, weights, gradient, moments| step.apply(weights, gradient, moments));
                let (slow, [naive_mean, naive_square]) =
                    walk(&|step, weights, gradient, moments| step.composed(weights, gradient, moments));
                for (fast, slow) in [(fast, slow), (mean, naive_mean), (square, naive_square)] {
                    assert_eq!(fast.into_data(), slow.into_data(), "{shape:?}, decay {weight_decay}");
                }
            }
        }
    }

    #[test]
    fn what_others_hold_stays_as_it_was() {
        let device = Device::flex();
        let [weights, gradient, mean, square] = [(); 4].map(|()| random([40, 3], &device).abs());
        let before = [&weights, &gradient, &mean, &square].map(Tensor::to_data);
        let step = AdamStep { betas: [0.9, 0.999], epsilon: 1e-8, rate: 0.1, weight_decay: 0.1, time: 5 };
        let (after, _) = step.apply(weights.clone(), gradient.clone(), [mean.clone(), square.clone()]);
        assert_ne!(after.into_data(), before[0]);
        assert_eq!([&weights, &gradient, &mean, &square].map(Tensor::to_data), before);
    }

    #[test]
    fn other_number_types_take_the_composed_form() {
        let device = Device::flex();
        let [weights, gradient, mean, square] =
            [(); 4].map(|()| random([4, 3], &device).abs().cast(DType::F64));
        let step = AdamStep { betas: [0.9, 0.999], epsilon: 1e-8, rate: 0.1, weight_decay: 0.0, time: 1 };
        let (after, _) = step.apply(weights, gradient, [mean, square]);
        assert_eq!(after.dtype(), DType::F64);
    }
}
