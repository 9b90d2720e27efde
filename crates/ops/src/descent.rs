//! One step of gradient descent with momentum.

use burn::tensor::Tensor;

/// What a step of descent is told (Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum in
/// deep learning, 2013, in PyTorch's form: the first v is g):
///
/// ```text
/// g ← g + λ θ
/// v ← μ v + g
/// θ ← θ − η v,  or θ − η (μ v + g) where one looks ahead
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DescentStep {
    /// μ, in 0–1 without 1; 0: plain descent, which has no v.
    pub momentum: f32,
    /// Whether one looks ahead along v (Nesterov).
    pub nesterov: bool,
    /// η.
    pub rate: f64,
    /// λ.
    pub weight_decay: f32,
}

impl DescentStep {
    /// θ and v behind the step, given θ, g and v (none in front of the first step), which must carry no gradients; all of one
    /// shape.
    ///
    /// The fast form goes through all of them once; both give the same bits.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn apply<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let shape = weights.dims();
        for tensor in std::iter::once(&gradient).chain(&velocity) {
            assert_eq!(tensor.dims(), shape, "weights, gradient and velocity have one shape");
        }
        #[cfg(feature = "flex")]
        if [&weights, &gradient].into_iter().chain(&velocity).all(crate::flex::takes) {
            return crate::flex::descent(self, weights, gradient, velocity);
        }
        self.composed(weights, gradient, velocity)
    }

    /// The same of burn's operations.
    fn composed<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let gradient = match self.weight_decay {
            0.0 => gradient,
            decay => gradient + weights.clone().mul_scalar(decay),
        };
        if self.momentum == 0.0 {
            return (weights - gradient.mul_scalar(self.rate), None);
        }
        let velocity = match velocity {
            Some(velocity) => gradient.clone() + velocity.mul_scalar(self.momentum),
            None => gradient.clone(),
        };
        let change = match self.nesterov {
            true => velocity.clone().mul_scalar(self.momentum) + gradient,
            false => velocity.clone(),
        };
        (weights - change.mul_scalar(self.rate), Some(velocity))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::{DType, Device};

    const STEP: DescentStep = DescentStep { momentum: 0.9, nesterov: true, rate: 3e-2, weight_decay: 1e-2 };

    #[test]
    fn the_fast_form_has_the_bits_of_tensor_operations() {
        let device = Device::flex();
        for shape in [[1, 1], [7, 5], [300, 257]] {
            let gradients: Vec<Tensor<2>> = (0..3).map(|_| random(shape, &device)).collect();
            let start = random(shape, &device);
            for (momentum, nesterov, weight_decay) in [
                (0.9, true, 1e-2),
                (0.9, false, 0.0),
                (0.5, true, 0.0),
                (0.0, false, 1e-2),
                (0.0, false, 0.0),
            ] {
                let step = DescentStep { momentum, nesterov, weight_decay, ..STEP };
                let walk = |apply: &dyn Fn(Tensor<2>, Tensor<2>, Option<Tensor<2>>) -> _| {
                    let begin = (start.clone(), None);
                    gradients.iter().fold(begin, |(weights, velocity), gradient| {
                        apply(weights, gradient.clone(), velocity)
                    })
                };
                let (fast, velocity) =
                    walk(&|weights, gradient, velocity| step.apply(weights, gradient, velocity));
                let (slow, naive) =
                    walk(&|weights, gradient, velocity| step.composed(weights, gradient, velocity));
                assert_eq!(fast.into_data(), slow.into_data(), "{shape:?} {step:?}");
                assert_eq!(
                    velocity.map(Tensor::into_data),
                    naive.map(Tensor::into_data),
                    "{shape:?} {step:?}"
                );
                assert_eq!(
                    momentum == 0.0,
                    step.apply(start.clone(), gradients[0].clone(), None).1.is_none()
                );
            }
        }
    }

    #[test]
    fn what_others_hold_stays_as_it_was() {
        let device = Device::flex();
        let [weights, gradient, velocity] = [(); 3].map(|()| random([40, 3], &device));
        let before = [&weights, &gradient, &velocity].map(Tensor::to_data);
        let (after, _) = STEP.apply(weights.clone(), gradient.clone(), Some(velocity.clone()));
        assert_ne!(after.into_data(), before[0]);
        assert_eq!([&weights, &gradient, &velocity].map(Tensor::to_data), before);
    }

    #[test]
    fn other_number_types_take_the_composed_form() {
        let device = Device::flex();
        let [weights, gradient] = [(); 2].map(|()| random([4, 3], &device).cast(DType::F64));
        assert_eq!(STEP.apply(weights, gradient, None).0.dtype(), DType::F64);
    }
}
