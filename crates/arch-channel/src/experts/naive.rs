//! The mixture of experts as its equation reads, every expert for every token, and what must hold of the fast one.

use ansatz_core::{BoxedChannel, Channel, Context, Registry};
use burn::module::Param;
use burn::tensor::{Bool, Distribution, Tensor, TensorData, Tolerance, activation};

use super::{Experts, ExpertsConfig, Scores};

fn variants() -> [ExpertsConfig; 4] {
    let default = ExpertsConfig::default;
    [
        // Mixtral, Jamba, DeepSeek-V3 and Qwen3-Next in small.
        ExpertsConfig { experts: 4, expansion: 1.5, ..default() },
        ExpertsConfig { experts: 3, hidden: Some(5), renormalize: false, ..default() },
        ExpertsConfig {
            experts: 6,
            chosen: 3,
            hidden: Some(4),
            scores: Scores::Sigmoid,
            scale: 1.5,
            correction: true,
            groups: 3,
            chosen_groups: 2,
            shared_hidden: 4,
            ..default()
        },
        ExpertsConfig {
            experts: 5,
            chosen: 1,
            hidden: Some(3),
            shared_hidden: 7,
            shared_gate: true,
            ..default()
        },
    ]
}

/// Every expert for every token, times a weight that is zero for those that were not chosen.
fn naive(layer: &Experts, config: &ExpertsConfig, tokens: Tensor<2>) -> Tensor<2> {
    let logits = tokens.clone().matmul(layer.router.weight.val());
    let scores = match config.scores {
        Scores::Softmax => activation::softmax(logits, 1),
        Scores::Sigmoid => activation::sigmoid(logits),
    };
    let preferred = match &layer.correction {
        Some(correction) => scores.clone() + correction.val().unsqueeze(),
        None => scores.clone(),
    };
    let [count, experts] = scores.dims();
    let chosen = config.routing().choose(&preferred.into_data().try_to_vec::<f32>().unwrap());
    let mut mask = vec![0.0f32; count * experts];
    for (choice, expert) in chosen.iter().enumerate() {
        mask[choice / config.chosen * experts + expert] = 1.0;
    }
    let mut weights = scores * Tensor::from_data(TensorData::new(mask, [count, experts]), &tokens.device());
    if config.renormalize {
        weights = weights.clone() / weights.sum_dim(1);
    }
    let mut output = tokens.zeros_like();
    for expert in 0..experts {
        let map = |maps: &Param<Tensor<3>>| maps.val().narrow(0, expert, 1).squeeze_dim::<2>(0);
        let gate = config.activation.apply(tokens.clone().matmul(map(&layer.gate)));
        let made = (gate * tokens.clone().matmul(map(&layer.expand))).matmul(map(&layer.contract));
        output = output + made * weights.clone().narrow(1, expert, 1) * config.scale;
    }
    if let Some(shared) = &layer.shared {
        let always = shared.forward(tokens.clone().unsqueeze(), &Context::default()).squeeze_dim::<2>(0);
        let gate = layer.shared_gate.as_ref();
        let gate = gate.map(|gate| activation::sigmoid(tokens.clone().matmul(gate.weight.val())));
        output = output + gate.map_or(always.clone(), |gate| always * gate);
    }
    output
}

#[test]
fn outputs_and_gradients_are_those_of_the_equation() {
    let device = ansatz_device::open("cpu").unwrap().autodiff();
    device.seed(3);
    let tolerance = Tolerance::<f32>::absolute(1e-5).set_relative(1e-4);
    for config in variants() {
        let mut layer = config.build(6, &device).unwrap();
        layer.router.weight = layer.router.weight.map(|weight| (weight * 40.0).detach().require_grad());
        for count in [1, 2, 9, 40] {
            let tokens = Tensor::<2>::random([count, 6], Distribution::Normal(0.0, 1.0), &device);
            let direction = Tensor::<2>::random([count, 6], Distribution::Normal(0.0, 1.0), &device);
            let results = [true, false].map(|fast| {
                let tokens = tokens.clone().require_grad();
                let output = if fast {
                    layer.forward(tokens.clone().unsqueeze(), &Context::default()).squeeze_dim::<2>(0)
                } else {
                    naive(&layer, &config, tokens.clone())
                };
                let gradients = (output.clone() * direction.clone()).sum().backward();
                let maps = [&layer.gate, &layer.expand, &layer.contract];
                let mut found = vec![output.into_data(), tokens.grad(&gradients).unwrap().into_data()];
                found.extend(maps.map(|map| map.val().grad(&gradients).unwrap().into_data()));
                found.push(layer.router.weight.val().grad(&gradients).unwrap().into_data());
                found
            });
            for (fast, slow) in results[0].iter().zip(&results[1]) {
                fast.assert_approx_eq(slow, tolerance);
            }
        }
    }
}

#[test]
fn mixtures_conform() {
    let device = ansatz_device::open("cpu").unwrap();
    for config in variants() {
        let build = |width, device: &_| Ok(BoxedChannel::new(config.build(width, device)?));
        let checked = ansatz_conformance::channel(build).named(format!("{config:?}")).check(&device);
        checked.unwrap_or_else(|failure| panic!("{failure}"));
    }
    let registry = Registry::default().channel::<ExpertsConfig>();
    ansatz_conformance::registry(&registry, &device).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn the_loss_of_the_load_is_that_of_the_paper() {
    let device = ansatz_device::open("cpu").unwrap().autodiff();
    let config = ExpertsConfig { experts: 2, chosen: 1, balance: 0.5, ..ExpertsConfig::default() };
    let mut layer = config.build(2, &device).unwrap();
    let identity = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
    layer.router.weight = Param::from_tensor(identity);
    // Scores 3/4 and 1/4 for the first two tokens, 1/4 and 3/4 for the third; the last is padding.
    let three = 3f32.ln();
    let tokens = Tensor::<3>::from_data([[[three, 0.0], [three, 0.0], [0.0, three], [0.0, 50.0]]], &device);
    let mask = Tensor::<2, Bool>::from_data([[true, true, true, false]], &device);
    let context = Context { mask: Some(mask), ..Context::default() };
    layer.forward(tokens.clone(), &context);
    let (choices, scores) =
        ([2.0 / 3.0, 1.0 / 3.0], [(0.75 + 0.75 + 0.25) / 3.0, (0.25 + 0.25 + 0.75) / 3.0]);
    let expected = 0.5 * 2.0 * (choices[0] * scores[0] + choices[1] * scores[1]);
    let loss = context.shared.loss().expect("the layer adds one while training").into_scalar::<f32>();
    assert!((loss - expected).abs() < 1e-6, "{loss}, expected {expected}");

    let used = Context::default();
    let plain = ExpertsConfig { balance: 0.0, ..config }.build(2, &device).unwrap();
    plain.forward(tokens.clone(), &used);
    burn::module::Module::valid(&layer).forward(tokens.inner(), &used);
    assert!(used.shared.loss().is_none(), "nothing is added in use, or without a coefficient");
}

#[test]
fn operations_and_parameters_are_counted() {
    use burn::module::Module;
    let device = ansatz_device::open("cpu").unwrap();
    let config =
        ExpertsConfig { hidden: Some(10), shared_hidden: 12, shared_gate: true, ..Default::default() };
    let layer = config.build(4, &device).unwrap();
    assert_eq!(layer.num_params(), 4 * 8 + 8 * 3 * 40 + 3 * 48 + 4);
    assert_eq!(layer.flops(), 2 * (4 * 8 + 2 * 3 * 40 + 3 * 48 + 4));
}
