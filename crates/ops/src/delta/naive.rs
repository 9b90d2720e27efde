//! Both rules as their equations are written, one head and one token at a time, and how the fast forms compare.

use burn::tensor::{Device, Tensor};

use super::{Decay, delta_rule, diagonal_plus_low_rank, generalized, rule};
use crate::testing::{assert_close, between, random};

type Results = (Tensor<4>, Tensor<4>);

/// Runs `token(state [key, value], batch, head, at)` along every head: the new state and its query.
fn run(
    [batch, heads, length]: [usize; 3],
    state: &Tensor<4>,
    token: impl Fn(Tensor<2>, [usize; 3]) -> (Tensor<2>, Tensor<2>),
) -> Results {
    let [_, _, key, value] = state.dims();
    let (mut outputs, mut states) = (Vec::new(), Vec::new());
    for row in 0..batch {
        for head in 0..heads {
            let mut current = state.clone().narrow(0, row, 1).narrow(1, head, 1).reshape([key, value]);
            for at in 0..length {
                let (next, query) = token(current, [row, head, at]);
                outputs.push(next.clone().transpose().matmul(query));
                current = next;
            }
            states.push(current);
        }
    }
    (
        Tensor::cat(outputs, 1).transpose().reshape([batch, heads, length, value]),
        Tensor::cat(states, 0).reshape([batch, heads, key, value]),
    )
}

/// The vector of one token as a column.
fn column(of: &Tensor<4>, [row, head, at]: [usize; 3]) -> Tensor<2> {
    let [_, _, _, width] = of.dims();
    of.clone().narrow(0, row, 1).narrow(1, head, 1).narrow(2, at, 1).reshape([width, 1])
}

fn naive_delta(inputs: &[Tensor<4>; 6]) -> Results {
    let [query, key, value, strength, decay, state] = inputs;
    let [batch, heads, length, _] = key.dims();
    run([batch, heads, length], state, |state, at| {
        let state = state * column(decay, at);
        let wrong = column(value, at) - state.clone().transpose().matmul(column(key, at));
        let state = state + column(key, at).matmul((wrong * column(strength, at)).transpose());
        (state, column(query, at))
    })
}

fn naive_generalized(inputs: &[Tensor<4>; 7]) -> Results {
    let [query, key, value, decay, read, write, state] = inputs;
    let [batch, heads, length, _] = key.dims();
    run([batch, heads, length], state, |state, at| {
        let taken = state.clone().transpose().matmul(column(read, at));
        let state = state * column(decay, at)
            + column(write, at).matmul(taken.transpose())
            + column(key, at).matmul(column(value, at).transpose());
        (state, column(query, at))
    })
}

/// Keys of length 1: with β up to 2 the state then stays bounded.
fn unit(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let x = random(shape, device);
    x.clone() / x.powf_scalar(2.0).sum_dim(3).sqrt()
}

/// Compares outputs, states, and the gradients of all inputs.
fn compare<const N: usize>(
    what: &str,
    inputs: [Tensor<4>; N],
    fast: impl Fn(&[Tensor<4>; N]) -> Results,
    naive: impl Fn(&[Tensor<4>; N]) -> Results,
) {
    let inputs = inputs.map(|input| input.detach().require_grad());
    let (outputs, states) = naive(&inputs);
    let (fast_outputs, fast_states) = fast(&inputs);
    let device = outputs.device();
    let upstream = [random(outputs.dims(), &device), random(states.dims(), &device)];
    let gradients = |outputs: Tensor<4>, states: Tensor<4>| {
        ((outputs * upstream[0].clone()).sum() + (states * upstream[1].clone()).sum()).backward()
    };
    assert_close(&fast_outputs, &outputs, &format!("outputs of {what}"));
    assert_close(&fast_states, &states, &format!("states of {what}"));
    let (found, expected) = (gradients(fast_outputs, fast_states), gradients(outputs, states));
    for (index, input) in inputs.iter().enumerate() {
        let Some(expected) = input.grad(&expected) else { continue };
        let found = input.grad(&found).unwrap_or_else(|| panic!("{what}: input {index} has no gradient"));
        assert_close(&found, &expected, &format!("gradient of input {index} of {what}"));
    }
}

/// Batch, heads, length, key, value.
const SHAPES: [[usize; 5]; 7] = [
    [1, 1, 1, 1, 1],
    [2, 1, 2, 3, 2],
    [1, 3, 7, 4, 6],
    [2, 2, 16, 8, 4],
    [1, 2, 65, 5, 3],
    [1, 1, 130, 4, 4],
    [1, 2, 40, 17, 35],
];

#[test]
fn the_delta_rule_is_its_equation() {
    let device = Device::flex().autodiff();
    for [batch, heads, length, key, value] in SHAPES {
        for kind in ["none", "head", "channel"] {
            let keys = [batch, heads, length, key];
            let factors = match kind {
                "none" => Tensor::ones([batch, heads, length, 1], &device),
                "head" => between([batch, heads, length, 1], 0.0, 1.0, &device),
                _ => between(keys, 0.0, 1.0, &device),
            };
            let inputs = [
                random(keys, &device),
                unit(keys, &device),
                random([batch, heads, length, value], &device),
                between([batch, heads, length, 1], 0.0, 2.0, &device),
                factors,
                random([batch, heads, key, value], &device),
            ];
            let decay = |factors: &Tensor<4>| match kind {
                "none" => Decay::None,
                "head" => Decay::Head(factors.clone().squeeze_dim(3)),
                _ => Decay::Channel(factors.clone()),
            };
            let fast = |inputs: &[Tensor<4>; 6]| {
                let [query, key, value, strength, factors, state] = inputs.clone();
                delta_rule(query, key, value, strength.squeeze_dim(3), decay(&factors), Some(state))
            };
            let chunks = |inputs: &[Tensor<4>; 6]| {
                let [query, key, value, strength, factors, state] = inputs.clone();
                rule::in_chunks(query, key, value, strength, decay(&factors), Some(state))
            };
            let naive = |inputs: &[Tensor<4>; 6]| {
                // Without decay the factors take no part, and so have no gradient.
                let mut inputs = inputs.clone();
                if kind == "none" {
                    inputs[4] = inputs[4].clone().detach();
                }
                naive_delta(&inputs)
            };
            compare(&format!("{kind} decay at length {length}"), inputs.clone(), fast, naive);
            compare(&format!("{kind} decay at length {length}, in chunks"), inputs, chunks, naive);
        }
    }
}

#[test]
fn the_generalized_rule_is_its_equation() {
    let device = Device::flex().autodiff();
    for [batch, heads, length, key, value] in SHAPES {
        let keys = [batch, heads, length, key];
        let read = unit(keys, &device);
        let inputs = [
            random(keys, &device),
            random(keys, &device),
            random([batch, heads, length, value], &device),
            between(keys, 0.0, 1.0, &device),
            read.clone(),
            read * between(keys, -1.0, 0.0, &device),
            random([batch, heads, key, value], &device),
        ];
        let fast = |inputs: &[Tensor<4>; 7]| {
            let [query, key, value, decay, read, write, state] = inputs.clone();
            diagonal_plus_low_rank(query, key, value, decay, read, write, Some(state))
        };
        let chunks = |inputs: &[Tensor<4>; 7]| {
            let [query, key, value, decay, read, write, state] = inputs.clone();
            generalized::in_chunks(query, key, value, decay, read, write, Some(state))
        };
        compare(&format!("length {length}"), inputs.clone(), fast, naive_generalized);
        compare(&format!("length {length}, in chunks"), inputs, chunks, naive_generalized);
    }
}

#[test]
fn a_sequence_may_be_cut_anywhere() {
    let device = Device::flex();
    let [batch, heads, length, key, value] = [2, 2, 83, 6, 4];
    let keys = [batch, heads, length, key];
    let (q, k, v) =
        (random(keys, &device), unit(keys, &device), random([batch, heads, length, value], &device));
    let strength = between([batch, heads, length, 1], 0.0, 1.0, &device);
    let factors = between(keys, 0.5, 1.0, &device);
    let run = |first: usize, count: usize, state: Option<Tensor<4>>| {
        let part = |of: &Tensor<4>| of.clone().narrow(2, first, count);
        let decay = Decay::Channel(part(&factors));
        delta_rule(part(&q), part(&k), part(&v), part(&strength).squeeze_dim(3), decay, state)
    };
    let (whole, end) = run(0, length, None);
    let mut state = None;
    let mut parts = Vec::new();
    for (first, count) in [(0, 1), (1, 1), (2, 30), (32, 51)] {
        let (outputs, next) = run(first, count, state);
        parts.push(outputs);
        state = Some(next);
    }
    assert_close(&Tensor::cat(parts, 2), &whole, "outputs");
    assert_close(&state.expect("four parts"), &end, "state");
}

#[test]
fn a_decay_of_zero_forgets_everything() {
    let device = Device::flex().autodiff();
    let shape = [1, 1, 40, 4];
    let (q, k, v) = (random(shape, &device), unit(shape, &device), random(shape, &device));
    let strength = Tensor::<3>::ones([1, 1, 40], &device);
    // Before token 33 all is forgotten, so what was before it changes nothing, and gets a gradient of zero.
    let mut factors = vec![0.9f32; 40];
    factors[33] = 0.0;
    let head = Tensor::<1>::from_data(factors.as_slice(), &device).reshape([1, 1, 40]);
    let channel = head.clone().unsqueeze_dim::<4>(3).expand(shape);
    for decay in [Decay::Head(head), Decay::Channel(channel)] {
        let v = v.clone().detach().require_grad();
        let (outputs, _) = delta_rule(q.clone(), k.clone(), v.clone(), strength.clone(), decay, None);
        let behind = outputs.narrow(2, 33, 7);
        let last = |of: &Tensor<4>| of.clone().narrow(2, 33, 7);
        let strength = strength.clone().narrow(2, 33, 7);
        let kept = Decay::Head(strength.clone() * 0.9);
        let (alone, _) = delta_rule(last(&q), last(&k), last(&v), strength, kept, None);
        assert_close(&behind, &alone, "outputs");
        let gradient = v.grad(&behind.sum().backward()).expect("values take part");
        let before = gradient.clone().narrow(2, 0, 33).abs().max().into_scalar::<f32>();
        assert_eq!(before, 0.0);
        assert!(gradient.abs().sum().into_scalar::<f32>().is_finite());
    }
}
