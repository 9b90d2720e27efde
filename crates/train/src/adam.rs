//! Adam with decoupled weight decay, by the fused step of `ansatz-ops`.

use ansatz_ops::AdamStep;
use burn::optim::{AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Device, Tensor};

use crate::optimizer::AdamW;

/// What burn's own AdamW computes, with the same state, in a single pass over each parameter.
#[derive(Debug, Clone)]
pub(crate) struct Adam {
    betas: [f32; 2],
    epsilon: f32,
    weight_decay: f64,
}

impl Adam {
    /// With these settings, but another decay.
    pub(crate) fn new(settings: &AdamW, weight_decay: f64) -> Self {
        let betas = settings.betas.map(|beta| beta as f32);
        Self { betas, epsilon: settings.epsilon as f32, weight_decay }
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let (time, moments) = match state {
            Some(AdamWState { momentum }) => (momentum.time + 1, [momentum.moment_1, momentum.moment_2]),
            None => (1, [(); 2].map(|()| gradient.zeros_like())),
        };
        let &Self { betas, epsilon, weight_decay } = self;
        let step = AdamStep { betas, epsilon, rate, weight_decay, time };
        let (weights, [mean, square]) = step.apply(weights, gradient, moments);
        (weights, Some(AdamWState::new(AdaptiveMomentumState::new(time, mean, square))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamWState { momentum: state.momentum.to_device(device) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::AdamWConfig;
    use burn::tensor::Distribution;

    #[test]
    fn steps_are_those_of_burn() {
        let device = ansatz_device::open("cpu").unwrap();
        let settings = AdamW { betas: [0.8, 0.95], epsilon: 1e-6, ..AdamW::default() };
        let theirs =
            AdamWConfig::new().with_beta_1(0.8).with_beta_2(0.95).with_epsilon(1e-6).with_weight_decay(0.1);
        let (ours, theirs) = (Adam::new(&settings, 0.1), theirs.build());
        let start = Tensor::<2>::random([30, 20], Distribution::Default, &device);
        let (mut one, mut other) = ((start.clone(), None), (start, None));
        for _ in 0..4 {
            let gradient = Tensor::random([30, 20], Distribution::Normal(0.0, 1.0), &device);
            one = ours.step(1e-2, one.0, gradient.clone(), one.1);
            other = theirs.step(1e-2, other.0, gradient, other.1);
        }
        let difference = (one.0 - other.0).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
        assert_eq!(one.1.unwrap().momentum.time, other.1.unwrap().momentum.time);
    }
}
