//! What must hold of an encoder–decoder, with and without a source.

use ansatz_arch_channel::{GatedMlpConfig, MlpConfig};
use ansatz_core::{
    Backbone, BoxedBackbone, Build, Choice, Context, FeatureSpec, Features, Layer, Recurrent, Registry,
    Shared, State,
};
use ansatz_ops::NormConfig;
use burn::module::Module;
use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData, Tolerance};

use crate::{EncoderDecoder, EncoderDecoderConfig, Positions, StageConfig};

fn registry() -> Registry {
    Registry::default().channel::<MlpConfig>().channel::<GatedMlpConfig>()
}

/// The original Transformer, T5 1.1 and BART in small.
fn variants() -> [EncoderDecoderConfig; 3] {
    let stage = |depth, heads, head_width, channel| StageConfig { depth, heads, head_width, channel };
    let default = || EncoderDecoderConfig { width: 8, ..EncoderDecoderConfig::default() };
    [
        EncoderDecoderConfig {
            encoder: stage(1, 2, None, Choice::of("mlp")),
            decoder: stage(2, 4, None, Choice::of("mlp")),
            positions: Positions::None {},
            norm_first: false,
            ..default()
        },
        EncoderDecoderConfig {
            encoder: stage(2, 2, Some(3), Choice::of("gated-mlp")),
            decoder: stage(1, 3, Some(5), Choice::of("gated-mlp")),
            positions: Positions::Relative { buckets: 6, distance: 9 },
            norm: NormConfig::rms(1e-6),
            scaled: false,
            bias: false,
            ..default()
        },
        EncoderDecoderConfig {
            encoder: stage(1, 1, None, Choice::of("mlp")),
            decoder: stage(1, 2, None, Choice::of("mlp")),
            positions: Positions::Learned { count: 80, unread: 2 },
            norm_first: false,
            first_norm: true,
            last_norm: false,
            ..default()
        },
    ]
}

fn build(config: &EncoderDecoderConfig, device: &Device) -> EncoderDecoder {
    let registry = registry();
    config.build(&FeatureSpec::row(40, config.width), &Build::new(&registry, device)).unwrap()
}

/// An encoder–decoder that always has the same source, as a backbone of its own.
#[derive(Module, Debug)]
struct Translating {
    network: EncoderDecoder,
    length: usize,
}

impl Translating {
    fn leave_source(&self, shared: &Shared, like: &Tensor<3>) {
        let [batch, _, width] = like.dims();
        let values: Vec<f32> = (0..self.length * width).map(|at| (at as f32 * 0.7).sin()).collect();
        let options = (&like.device(), like.dtype());
        let tokens = Tensor::<3>::from_data(TensorData::new(values, [1, self.length, width]), options);
        let real: Vec<bool> = (0..self.length).map(|at| at != 1).collect();
        let mask = Tensor::<2, Bool>::from_data(TensorData::new(real, [1, self.length]), &like.device());
        let source = Features {
            mask: Some(mask.expand([batch, self.length])),
            ..Features::row(tokens.expand([batch, self.length, width]))
        };
        shared.leave_source(&source);
    }
}

impl Backbone for Translating {
    fn forward(&self, features: Features) -> Features {
        self.leave_source(&features.shared, &features.tokens);
        self.network.forward(features)
    }
    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        self.network.output(input)
    }
    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        self.network.layers(input)
    }
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }
    fn limit(&self) -> Option<usize> {
        self.network.limit()
    }
}

impl Recurrent for Translating {
    fn state(&self, batch: usize, device: &Device) -> State {
        self.network.state(batch, device)
    }
    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        self.leave_source(&context.shared, &tokens);
        self.network.step(tokens, state, context)
    }
    fn constant_state(&self) -> bool {
        self.network.constant_state()
    }
}

#[test]
fn encoder_decoders_conform() {
    let device = ansatz_device::open("cpu").unwrap();
    for config in variants() {
        let registry = registry();
        let network =
            |input: &FeatureSpec, device: &Device| config.build(input, &Build::new(&registry, device));
        let inputs = [FeatureSpec::row(1, 8), FeatureSpec::row(7, 8)];
        let alone = |input: &FeatureSpec, device: &Device| Ok(BoxedBackbone::new(network(input, device)?));
        let translating = |input: &FeatureSpec, device: &Device| {
            Ok(BoxedBackbone::new(Translating { network: network(input, device)?, length: 3 }))
        };
        let checked =
            ansatz_conformance::backbone(alone).named(format!("{config:?}")).inputs(inputs).check(&device);
        checked.unwrap_or_else(|failure| panic!("alone: {failure}"));
        let checked = ansatz_conformance::backbone(translating).named(format!("{config:?}")).inputs(inputs);
        let report = checked.check(&device).unwrap_or_else(|failure| panic!("with a source: {failure}"));
        assert!(report.covers(ansatz_conformance::Property::Recurrence));
    }
}

#[test]
fn the_defaults_conform() {
    let device = ansatz_device::open("cpu").unwrap();
    let registry = registry().backbone::<EncoderDecoderConfig>();
    let report =
        ansatz_conformance::registry(&registry, &device).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.passed.iter().any(|passed| passed.subject == "backbone encoder-decoder"));
}

#[test]
fn every_real_token_of_the_source_counts_and_no_other() {
    let device = ansatz_device::open("cpu").unwrap();
    device.seed(8);
    for config in variants() {
        let network = build(&config, &device);
        let normal = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let (source, target) = (normal([1, 4, 8]), normal([1, 3, 8]));
        let run = |source: Tensor<3>, real: [bool; 4]| {
            let features = Features::row(target.clone());
            let mask = Some(Tensor::<2, Bool>::from_data([real], &device));
            features.shared.leave_source(&Features { mask, ..Features::row(source) });
            network.forward(features).tokens.into_data()
        };
        let real = [true, true, true, false];
        let expected = run(source.clone(), real);
        // Without the padded token, and with another one in its place.
        let features = Features::row(target.clone());
        features.shared.leave_source(&Features::row(source.clone().narrow(1, 0, 3)));
        let shorter = network.forward(features).tokens.into_data();
        shorter.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        for changed in 0..4 {
            let other =
                source.clone().slice_assign([0..1, changed..changed + 1, 0..8], normal([1, 1, 8]) * 3.0);
            let found = run(other, real);
            let same = found.as_slice::<f32>().unwrap().iter().zip(expected.as_slice::<f32>().unwrap());
            let furthest = same.map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max);
            assert_eq!(furthest < 1e-5, changed == 3, "token {changed} of the source: {furthest}");
        }
    }
}

#[test]
fn the_source_is_read_once() {
    let device = ansatz_device::open("cpu").unwrap();
    let network = build(&variants()[1], &device);
    let context = Context::default();
    let source = Tensor::<3>::random([1, 4, 8], Distribution::Normal(0.0, 1.0), &device);
    context.shared.leave_source(&Features::row(source));
    let token = || Tensor::<3>::ones([1, 1, 8], &device);
    let mut state = network.state(1, &device);
    network.step(token(), &mut state, &context);
    let mut fork = state.clone();
    let with = network.step(token(), &mut state, &context).into_data();
    network.step(token(), &mut fork, &Context::default()).into_data().assert_eq(&with, true);
}

#[test]
fn the_tokens_along_the_depth_end_in_the_result() {
    let device = ansatz_device::open("cpu").unwrap();
    for config in variants() {
        let network = build(&config, &device);
        let features = Features::row(Tensor::<3>::random([1, 5, 8], Distribution::Normal(0.0, 1.0), &device));
        features.shared.leave_source(&features);
        for (depth, hidden, result) in [
            (
                config.encoder.depth,
                network.encoder_hidden(features.clone()),
                network.encode(features.clone()),
            ),
            (config.decoder.depth, network.hidden(features.clone()), network.forward(features.clone())),
        ] {
            assert_eq!(hidden.len(), depth + 2);
            hidden[depth + 1].to_data().assert_eq(&result.tokens.to_data(), true);
            let differ = hidden[depth].to_data() != hidden[depth + 1].to_data();
            assert_eq!(differ, config.last_norm);
        }
    }
}
