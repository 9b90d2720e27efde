//! Gradient descent with momentum, by the fused step of `ansatz-ops`.

use ansatz_ops::DescentStep;
use burn::optim::{Optimizer, RecordState, StateSink, StateSource, join_path};
use burn::tensor::{Device, Tensor};

use crate::optimizer::Sgd;

/// What burn's own SGD computes, without dampening, in a single pass over each parameter.
#[derive(Debug, Clone)]
pub(crate) struct Descent {
    momentum: f32,
    nesterov: bool,
    weight_decay: f32,
}

/// The velocity, where there is momentum; written as burn's SGD writes its state.
#[derive(Debug, Clone)]
pub(crate) struct DescentState<const D: usize>(Option<Tensor<D>>);

/// Under which name burn's SGD keeps the velocity.
const PLACE: [&str; 2] = ["momentum", "velocity"];

impl Descent {
    /// With these settings, but another decay.
    pub(crate) fn new(settings: &Sgd, weight_decay: f64) -> Self {
        let (momentum, weight_decay) = (settings.momentum as f32, weight_decay as f32);
        Self { momentum, nesterov: settings.nesterov, weight_decay }
    }
}

impl Optimizer for Descent {
    type State<const D: usize> = DescentState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<DescentState<D>>,
    ) -> (Tensor<D>, Option<DescentState<D>>) {
        let &Self { momentum, nesterov, weight_decay } = self;
        let step = DescentStep { momentum, nesterov, rate, weight_decay };
        let (weights, velocity) = step.apply(weights, gradient, state.and_then(|state| state.0));
        (weights, Some(DescentState(velocity)))
    }

    fn to_device<const D: usize>(state: DescentState<D>, device: &Device) -> DescentState<D> {
        DescentState(state.0.map(|velocity| velocity.to_device(device)))
    }
}

impl<const D: usize> RecordState for DescentState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let [nested, leaf] = PLACE;
        if let Some(velocity) = &self.0 {
            out.push_tensor(&join_path(prefix, nested), leaf, velocity.to_data());
        }
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let [nested, leaf] = PLACE;
        let velocity = source.take_tensor(&join_path(prefix, nested), leaf);
        Some(Self(velocity.map(|velocity| Tensor::from_data(velocity, device))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::SgdConfig;
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::momentum::MomentumConfig;
    use burn::tensor::Distribution;

    #[test]
    fn steps_and_what_is_kept_of_them_are_those_of_burn() {
        let device = ansatz_device::open("cpu").unwrap();
        for (momentum, nesterov) in [(0.9, true), (0.8, false), (0.0, false)] {
            let settings = Sgd { momentum, nesterov, ..Sgd::default() };
            let theirs = SgdConfig::new().with_weight_decay(Some(WeightDecayConfig::new(0.1))).with_momentum(
                (momentum > 0.0).then_some(MomentumConfig { momentum, dampening: 0.0, nesterov }),
            );
            let (ours, theirs) = (Descent::new(&settings, 0.1), theirs.build());
            let start = Tensor::<2>::random([30, 20], Distribution::Default, &device);
            let (mut one, mut other) = ((start.clone(), None), (start, None));
            for _ in 0..4 {
                let gradient = Tensor::random([30, 20], Distribution::Normal(0.0, 1.0), &device);
                one = ours.step(1e-2, one.0, gradient.clone(), one.1);
                other = theirs.step(1e-2, other.0, gradient, other.1);
            }
            let difference = (one.0 - other.0).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-6, "{difference}");
            let (mut ours, mut theirs) = (StateSink::default(), StateSink::default());
            one.1.unwrap().state_flatten("a", &mut ours);
            other.1.unwrap().state_flatten("a", &mut theirs);
            let names =
                |sink: &StateSink| sink.tensors.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&ours), names(&theirs));
            let mut source = StateSource::default();
            ours.tensors.iter().for_each(|(name, data)| source.insert_tensor(name.clone(), data.clone()));
            let back = DescentState::<2>::state_unflatten("a", &mut source, &device).unwrap();
            assert_eq!(back.0.map(Tensor::into_data), ours.tensors.first().map(|(_, data)| data.clone()));
        }
    }
}
