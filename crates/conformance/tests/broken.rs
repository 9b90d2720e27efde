//! Mixers and backbones that are wrong in one way each: the kit must catch each by the right property.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ansatz_conformance::{Failure, Property, Report, backbone, mixer};
use ansatz_core::{
    Backbone, BoxedBackbone, BoxedMixer, Context, FeatureSpec, Features, Layer, Mixer, Recurrent, State,
};
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    LeaksTheFuture,
    StateOffByOne,
    NanAtExtremes,
    IgnoresTheMask,
    NanWhereAllIsPadding,
    ConstantStateGrows,
    GrowingStateIsConstant,
    LosesItsPosition,
    LooksAtNeighbours,
    WrongGradient,
    KeepsValuesFromRecords,
    KeepsMemoryOutsideTheState,
    WrongWidth,
    Explodes,
    InfluenceOfTheFuture,
    ConstantOfOneType,
    ParallelFormPanics,
    FastFormIsWrong,
}
use Fault::*;

static BUILT: AtomicUsize = AtomicUsize::new(0);

/// `y_t = Σ_{s ≤ t} decay^(t−s) w x_s`.
#[derive(Module, Debug)]
struct Decaying {
    weight: Param<Tensor<1>>,
    #[module(skip)]
    fault: Fault,
    #[module(skip)]
    steps: Arc<AtomicUsize>,
    hidden: f64,
}

impl Decaying {
    fn new(fault: Fault, width: usize, device: &Device) -> Self {
        let built = BUILT.fetch_add(1, Ordering::Relaxed);
        let hidden = if fault == KeepsValuesFromRecords { built as f64 } else { 0.0 };
        let weight = Param::from_tensor(Tensor::<1>::full([width], 0.5, device));
        Self { weight, fault, steps: Arc::default(), hidden }
    }

    fn decay(&self) -> f64 {
        if self.fault == Explodes { 1.2 } else { 0.8 }
    }

    /// `[to, from]`, how much is left of each token.
    fn kernel(&self, length: usize, tokens: &Tensor<3>) -> Tensor<3> {
        let value = |to: usize, from: usize| match to.checked_sub(from) {
            Some(age) => self.decay().powf(age as f64),
            None if self.fault == LeaksTheFuture => 1e-2,
            None => 0.0,
        };
        let values: Vec<f64> =
            (0..length * length).map(|index| value(index / length, index % length)).collect();
        let data = burn::tensor::TensorData::new(values, [1, length, length]);
        Tensor::from_data(data, (&tokens.device(), tokens.dtype()))
    }

    /// What every form does to a token.
    fn weigh(&self, tokens: Tensor<3>) -> Tensor<3> {
        let weight = self.weight.val();
        let weight = if self.fault == WrongGradient { weight.detach() } else { weight };
        let weighed = tokens * weight.unsqueeze() + self.hidden;
        match self.fault {
            FastFormIsWrong if weighed.dtype() == DType::F32 => weighed * 1.01,
            NanAtExtremes => weighed.clone() + weighed.powi_scalar(2).exp() * 0.0,
            ConstantOfOneType => weighed.clone() + Tensor::<3>::ones([1, 1, 1], &weighed.device()),
            _ => weighed,
        }
    }
}

impl Mixer for Decaying {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        assert!(self.fault != ParallelFormPanics || length < 7, "too long for me");
        let tokens = match &context.mask {
            Some(mask) if self.fault != IgnoresTheMask => {
                let real = mask.clone().unsqueeze_dim::<3>(2).float().cast(tokens.dtype());
                match self.fault {
                    NanWhereAllIsPadding => tokens * real.clone() / real.clone().sum_dim(1) * real.sum_dim(1),
                    _ => tokens * real,
                }
            }
            _ => tokens,
        };
        let tokens = self.weigh(tokens);
        let tokens = if self.fault == LooksAtNeighbours && batch > 1 {
            tokens.clone() - tokens.mean_dim(0) * 0.1
        } else {
            tokens
        };
        let outputs = self.kernel(length, &tokens).matmul(tokens);
        if self.fault == WrongWidth { Tensor::cat(vec![outputs.clone(), outputs], 2) } else { outputs }
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn influence(&self, tokens: Tensor<3>, _context: &Context) -> Option<Tensor<4>> {
        let [batch, length, _] = tokens.dims();
        let kernel = self.kernel(length, &tokens).expand([batch, length, length]).unsqueeze_dim::<4>(1);
        Some(if self.fault == InfluenceOfTheFuture { kernel.swap_dims(2, 3) } else { kernel })
    }

    fn flops(&self, length: usize) -> u64 {
        length as u64
    }
}

impl Recurrent for Decaying {
    fn state(&self, batch: usize, device: &Device) -> State {
        State::new().with("sum", Tensor::<3>::zeros([batch, 1, self.weight.dims()[0]], device))
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let tokens = self.weigh(tokens);
        let mut sum = state.take::<3>("sum").expect("the state begins with a sum");
        let mut outputs = Vec::new();
        for at in 0..length {
            let before = sum.clone();
            sum = sum * self.decay() + tokens.clone().narrow(1, at, 1);
            outputs.push(if self.fault == StateOffByOne { before } else { sum.clone() });
        }
        state.set("sum", sum);
        if self.fault == ConstantStateGrows {
            let seen = state.take::<3>("seen");
            state.set("seen", Tensor::cat(seen.into_iter().chain([tokens]).collect(), 1));
        }
        if self.fault != LosesItsPosition {
            state.position += length;
        }
        let outputs = Tensor::cat(outputs, 1);
        if self.fault == KeepsMemoryOutsideTheState {
            return outputs + self.steps.fetch_add(1, Ordering::Relaxed) as f64;
        }
        outputs
    }

    fn constant_state(&self) -> bool {
        self.fault != GrowingStateIsConstant
    }
}

fn check(fault: Fault, properties: &[Property]) -> Result<Report, Failure> {
    let device = ansatz_device::open("cpu").expect("the processor is always there");
    mixer(|width, device| Ok(BoxedMixer::new(Decaying::new(fault, width, device))))
        .named("decaying")
        .widths([3])
        .only(properties)
        .check(&device)
}

#[test]
fn a_right_mixer_passes() {
    let report = check(Nothing, Property::ALL).unwrap_or_else(|failure| panic!("{failure}"));
    for property in Property::ALL {
        assert!(report.covers(*property) || *property == Property::Layers, "{property}");
    }
    assert!(report.passed.iter().all(|passed| passed.deviation <= 1.0));
    assert!(report.to_string().contains("decaying: causality holds for batch"), "{report}");
}

#[test]
fn every_fault_is_caught_by_its_property() {
    let faults = [
        (LeaksTheFuture, Property::Causality, "after later ones were changed"),
        (StateOffByOne, Property::Recurrence, "in steps of [1"),
        (NanAtExtremes, Property::Extremes, "are not finite"),
        (IgnoresTheMask, Property::Padding, "after padded ones were changed"),
        (NanWhereAllIsPadding, Property::Padding, "whole examples are padding"),
        (ConstantStateGrows, Property::StateSize, "declared constant, but it holds"),
        (GrowingStateIsConstant, Property::StateSize, "declared growing, but it holds"),
        (LosesItsPosition, Property::StateSize, "position 0 after 1 tokens"),
        (LooksAtNeighbours, Property::Neighbours, "against the same example alone"),
        (WrongGradient, Property::Gradients, "`weight` is 0e0 by the gradient"),
        (KeepsValuesFromRecords, Property::Records, "something is not a parameter"),
        (KeepsMemoryOutsideTheState, Property::SavedState, "against the restored state"),
        (WrongWidth, Property::Output, "announced is"),
        (Explodes, Property::Long, "outputs of 1024 tokens"),
        (InfluenceOfTheFuture, Property::Influence, "from the later token"),
        (FastFormIsWrong, Property::Precision, "away from float64"),
        (ParallelFormPanics, Property::Output, "it panicked: too long for me"),
    ];
    for (fault, property, words) in faults {
        let failure = check(fault, &[property]).expect_err(&format!("{fault:?} is caught"));
        assert_eq!(failure.property, property, "{fault:?}");
        let message = failure.to_string();
        assert!(message.contains(words), "{fault:?}: {message}");
        assert!(message.contains("expected: "), "{message}");
        assert!(check(fault, Property::ALL).is_err(), "{fault:?}");
    }
}

#[test]
fn a_constant_of_another_type_than_the_tokens_is_caught() {
    // In float64 a float32 constant cannot be added.
    let failure = check(ConstantOfOneType, &[Property::Gradients]).expect_err("it is caught");
    assert!(failure.problem.contains("panicked"), "{failure}");
}

#[test]
fn a_mixer_that_cannot_be_built_says_why() {
    let device = ansatz_device::open("cpu").expect("the processor is always there");
    let refuse = || ansatz_core::ConfigError::value("heads", "4 heads do not divide 9", "a divisor of 9");
    let failure = mixer(|_, _| Err(refuse().into())).widths([9]).check(&device).expect_err("it is refused");
    assert!(failure.problem.contains("4 heads do not divide 9"), "{failure}");
}

/// A backbone around it that may lie.
#[derive(Module, Debug)]
struct Frame {
    inner: Decaying,
    announced: usize,
    counted: usize,
}

impl Backbone for Frame {
    fn forward(&self, features: Features) -> Features {
        let tokens = self.inner.forward(features.tokens.clone(), &features.context());
        features.with_tokens(tokens)
    }
    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        input.with_width(self.announced)
    }
    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let output = input.to_string();
        vec![Layer { name: "inner".to_owned(), output, parameters: self.counted, flops: 1, activations: 1 }]
    }
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(&self.inner)
    }
}

#[test]
fn a_backbone_that_lies_is_caught() {
    let device = ansatz_device::open("cpu").expect("the processor is always there");
    let check = |announced: usize, counted: usize| {
        let build = move |input: &FeatureSpec, device: &Device| {
            let inner = Decaying::new(Nothing, input.width, device);
            Ok(BoxedBackbone::new(Frame { inner, announced, counted }))
        };
        backbone(build).inputs([FeatureSpec::row(5, 3)]).check(&device)
    };
    let report = check(3, 3).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.covers(Property::Layers) && report.covers(Property::Recurrence));
    assert_eq!(check(4, 3).expect_err("the width is wrong").property, Property::Output);
    let failure = check(3, 2).expect_err("the count is wrong");
    assert_eq!(failure.property, Property::Layers);
    assert!(failure.problem.contains("counts 2 trainable values, the network has 3"), "{failure}");
}
