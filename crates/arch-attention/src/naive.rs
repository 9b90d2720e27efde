//! Attention as the paper writes it, one query and one head at a time, for the tests of the fast form.

use ansatz_core::{Context, Mixer};
use ansatz_ops::{Norm, NormConfig, RotaryConfig, RotaryPairing};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Distribution, Gradients, Tensor, TensorData, Tolerance};

use crate::{Attention, AttentionConfig};

/// One head's vector: to one scale, then turned by its position, a pair of values at a time.
fn place(config: &AttentionConfig, norm: Option<&Norm>, vector: Tensor<1>, position: usize) -> Tensor<1> {
    let vector = match (norm, config.query_key_norm) {
        (Some(norm), Some(NormConfig { epsilon, unit_offset, .. })) => {
            let deviation = ((vector.clone() * vector.clone()).mean() + epsilon).sqrt();
            vector / deviation * (norm.scale.val() + if unit_offset { 1.0 } else { 0.0 })
        }
        _ => vector,
    };
    let Some(rope) = config.rope else { return vector };
    let [width] = vector.dims();
    let turned = (width as f64 * rope.fraction) as usize;
    let mut values: Vec<Tensor<1>> = (0..width).map(|index| vector.clone().narrow(0, index, 1)).collect();
    for pair in 0..turned.div_ceil(2) {
        let (left, right) = match rope.pairing {
            RotaryPairing::Halves => (pair, pair + turned.div_ceil(2)),
            RotaryPairing::Neighbours => (2 * pair, 2 * pair + 1),
        };
        let angle = position as f64 * rope.base.powf(-2.0 * pair as f64 / turned as f64);
        let (a, b) = (values[left].clone(), values[right].clone());
        values[left] = a.clone() * angle.cos() - b.clone() * angle.sin();
        values[right] = b * angle.cos() + a * angle.sin();
    }
    Tensor::cat(values, 0)
}

/// `visible(batch, query, key)` says what each query sees.
fn attention(
    config: &AttentionConfig,
    layer: &Attention,
    tokens: Tensor<3>,
    visible: &dyn Fn(usize, usize, usize) -> bool,
) -> Tensor<3> {
    let [batch, length, _] = tokens.dims();
    let (heads, size) = (layer.heads.query, layer.heads.width);
    let group = heads / layer.heads.key_value;
    let device = tokens.device();
    let query = layer.query.forward(tokens.clone());
    let key = layer.key.forward(tokens.clone()) * config.key_scale;
    let value = layer.value.forward(tokens);
    // Values `first..first + size` of one token.
    let part = |of: &Tensor<3>, batch, token, first| {
        of.clone().narrow(0, batch, 1).narrow(1, token, 1).narrow(2, first, size).reshape([size])
    };
    let stride = if config.gated { 2 * size } else { size };
    let scale = config.scale.unwrap_or(1.0 / (size as f64).sqrt());
    let mut rows = Vec::new();
    for batch in 0..batch {
        for to in 0..length {
            for head in 0..heads {
                let q = part(&query, batch, to, head * stride);
                let q = place(config, layer.query_norm.as_ref(), q, to);
                let mut total = Tensor::<1>::zeros([1], &device);
                let mut sum = Tensor::<1>::zeros([size], &device);
                for from in (0..length).filter(|from| visible(batch, to, *from)) {
                    let k = part(&key, batch, from, head / group * size);
                    let k = place(config, layer.key_norm.as_ref(), k, from);
                    let score = (q.clone() * k).sum() * scale;
                    let score = match config.cap {
                        Some(cap) => (score / cap).tanh() * cap,
                        None => score,
                    };
                    sum = sum + part(&value, batch, from, head / group * size) * score.clone().exp();
                    total = total + score.exp();
                }
                let seen = (0..length).any(|from| visible(batch, to, from));
                let average = if seen { sum / total } else { sum };
                rows.push(if config.gated {
                    average / ((-part(&query, batch, to, head * stride + size)).exp() + 1.0)
                } else {
                    average
                });
            }
        }
    }
    layer.output.forward(Tensor::cat(rows, 0).reshape([batch, length, heads * size]))
}

/// The gradients of all parameters, in the order of the fields.
struct Collect<'a>(&'a Gradients, Vec<TensorData>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.extend(param.grad(self.0).map(|gradient| gradient.into_data()));
    }
}

/// The output, and the gradients of the tokens and of all parameters.
fn run(layer: &Attention, tokens: &Tensor<3>, form: impl Fn(Tensor<3>) -> Tensor<3>) -> Vec<TensorData> {
    let tokens = tokens.clone().detach().require_grad();
    let output = form(tokens.clone());
    let weight = Tensor::arange(0..output.shape().num_elements() as i64, &output.device()).float();
    let loss = (output.clone() * weight.reshape(output.dims()).sin()).sum();
    let gradients = loss.backward();
    let mut collect = Collect(&gradients, Vec::new());
    layer.visit(&mut collect);
    let mut all =
        vec![output.into_data(), tokens.grad(&gradients).expect("tokens have a gradient").into_data()];
    all.extend(collect.1);
    all
}

fn compare(
    config: &AttentionConfig,
    [batch, length, width]: [usize; 3],
    real: Option<&[Vec<bool>]>,
    device: &Device,
) {
    let layer = config.build(width, device).unwrap();
    let tokens = Tensor::<3>::random([batch, length, width], Distribution::Normal(0.0, 1.0), device);
    let mask = real.map(|rows| {
        let rows = rows.iter().map(|row| Tensor::<1, Bool>::from_data(row.as_slice(), device)).collect();
        Tensor::stack::<2>(rows, 0)
    });
    let context = Context { mask, ..Context::default() };
    let visible = |batch: usize, to: usize, from: usize| {
        let near = config.window.is_none_or(|window| to.abs_diff(from) < window);
        near && (!config.causal || from <= to) && real.is_none_or(|rows| rows[batch][from])
    };
    let fast = run(&layer, &tokens, |tokens| layer.forward(tokens, &context));
    let naive = run(&layer, &tokens, |tokens| attention(config, &layer, tokens, &visible));
    let plain = layer.valid().forward(tokens.clone().inner(), &context).into_data();
    assert_eq!(fast.len(), naive.len());
    plain.assert_approx_eq::<f32>(&naive[0], Tolerance::default());
    for (fast, naive) in fast.iter().zip(&naive) {
        fast.assert_approx_eq::<f32>(naive, Tolerance::default());
    }
    let influence = layer.influence(tokens.clone(), &context).unwrap();
    assert_eq!(influence.dims(), [batch, config.heads, length, length]);
    let sums = influence.sum_dim(3).into_data().try_to_vec::<f32>().unwrap();
    for (row, sum) in sums.iter().enumerate() {
        let (batch, to) = (row / (config.heads * length), row % length);
        let expected = if (0..length).any(|from| visible(batch, to, from)) { 1.0 } else { 0.0 };
        assert!((sum - expected).abs() < 1e-5, "weights of query {to} sum to {sum}");
    }
}

#[test]
fn the_fast_form_is_the_equation() {
    let device = ansatz_device::open("cpu").unwrap().autodiff();
    let shapes = [[1, 1, 4], [1, 5, 6], [2, 7, 12], [3, 4, 12]];
    let heads = [(1, None, None), (2, None, None), (2, Some(1), None), (6, Some(3), Some(3))];
    for shape in shapes {
        for (heads, key_value_heads, head_width) in heads {
            for causal in [false, true] {
                let bias = shape[0] != 3;
                let default = AttentionConfig::default();
                let config = AttentionConfig { heads, key_value_heads, head_width, causal, bias, ..default };
                compare(&config, shape, None, &device);
            }
        }
    }
}

/// Every further option, some alone and then all together.
fn options() -> Vec<AttentionConfig> {
    let default = AttentionConfig { heads: 2, head_width: Some(6), ..AttentionConfig::default() };
    let rope = RotaryConfig { base: 30.0, ..RotaryConfig::default() };
    let norm = NormConfig { unit_offset: true, ..NormConfig::rms(1e-3) };
    vec![
        AttentionConfig { window: Some(1), ..default.clone() },
        AttentionConfig { window: Some(3), rope: Some(rope), ..default.clone() },
        AttentionConfig { scale: Some(0.7), cap: Some(0.5), key_scale: -1.3, ..default.clone() },
        AttentionConfig { query_key_norm: Some(NormConfig::rms(1e-6)), rope: Some(rope), ..default.clone() },
        AttentionConfig { gated: true, output_bias: Some(false), ..default.clone() },
        AttentionConfig {
            heads: 4,
            key_value_heads: Some(2),
            window: Some(2),
            rope: Some(RotaryConfig { fraction: 0.7, pairing: RotaryPairing::Neighbours, ..rope }),
            query_key_norm: Some(norm),
            scale: Some(1.1),
            cap: Some(1.0),
            key_scale: 0.6,
            gated: true,
            ..default
        },
    ]
}

#[test]
fn every_option_is_its_equation() {
    let device = ansatz_device::open("cpu").unwrap().autodiff();
    let real = [vec![true, false, true, true, true], vec![true, true, true, false, false]];
    for config in options() {
        for causal in [false, true] {
            let config = AttentionConfig { causal, ..config.clone() };
            compare(&config, [2, 5, 8], None, &device);
            compare(&config, [2, 5, 8], Some(&real), &device);
        }
    }
}

#[test]
fn hidden_tokens_take_no_part() {
    let device = ansatz_device::open("cpu").unwrap().autodiff();
    // Padding behind, in front and between; then an example of nothing but padding.
    let real =
        [vec![true, true, false, false], vec![false, true, false, true], vec![false, false, false, false]];
    for causal in [false, true] {
        for key_value_heads in [None, Some(1)] {
            let config = AttentionConfig { heads: 2, key_value_heads, causal, ..AttentionConfig::default() };
            compare(&config, [3, 4, 6], Some(&real), &device);
        }
    }
}

#[test]
fn dropout_acts_in_training_alone() {
    let device = ansatz_device::open("cpu").unwrap().autodiff();
    device.seed(3);
    let config = AttentionConfig { dropout: 0.5, ..AttentionConfig::default() };
    let layer = config.build(8, &device).unwrap();
    let tokens = Tensor::<3>::random([2, 9, 8], Distribution::Normal(0.0, 1.0), &device);
    let twice = || layer.forward(tokens.clone(), &Context::default()).into_data();
    assert_ne!(twice(), twice());
    let layer = layer.valid();
    let tokens = tokens.inner();
    let whole = |(): ()| layer.forward(tokens.clone(), &Context::default()).into_data();
    assert_eq!(whole(()), whole(()));
}
