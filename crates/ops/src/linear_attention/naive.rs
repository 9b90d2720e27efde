//! The recurrence as its equations stand, token by token, and the comparison of the fast form with it.

use burn::tensor::{Device, Tensor};

use crate::testing::{assert_close, random};
use crate::{LinearAttention, LogDecay};

/// `S_t = Diag(a_t) S_{t−1} + k_t v_tᵀ`, and what a query reads of it.
fn naive(tokens: LinearAttention) -> (Tensor<4>, Tensor<4>) {
    let LinearAttention { query, key, value, decay, bonus, state } = tokens;
    let [batch, heads, length, channels] = key.dims();
    let [_, _, _, width] = value.dims();
    let log = match decay {
        LogDecay::None => key.zeros_like(),
        LogDecay::Head(log) => log.unsqueeze_dim::<4>(3).expand(key.dims()),
        LogDecay::Channel(log) => log,
    };
    let column = |of: &Tensor<4>, t: usize| of.clone().narrow(2, t, 1).reshape([batch, heads, channels, 1]);
    let mut state = state.unwrap_or_else(|| Tensor::zeros([batch, heads, channels, width], &key.device()));
    let mut outputs = Vec::new();
    for t in 0..length {
        let added = column(&key, t) * value.clone().narrow(2, t, 1);
        let before = state.clone();
        state = column(&log.clone().exp(), t) * state + added.clone();
        let read = match &bonus {
            Some(bonus) => before + added * bonus.clone().reshape([1, heads, channels, 1]),
            None => state.clone(),
        };
        outputs.push((column(&query, t) * read).sum_dim(2));
    }
    (Tensor::cat(outputs, 2), state)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    None,
    Head,
    Channel,
}

/// Random tokens, and leaves for the gradients: query, key, value, log decays, bonus, state.
struct Leaves {
    tokens: [Tensor<4>; 5],
    bonus: Tensor<2>,
}

impl Leaves {
    /// Log decays are `−strength · e^z` for normal z.
    fn draw(shape: [usize; 5], kind: Kind, strength: f64, device: &Device) -> Self {
        let [batch, heads, length, key, value] = shape;
        let draw = |shape: [usize; 4]| random(shape, device);
        let channels = if kind == Kind::Channel { key } else { 1 };
        let decay = draw([batch, heads, length, channels]).exp() * -strength;
        let tokens = [
            draw([batch, heads, length, key]),
            draw([batch, heads, length, key]),
            draw([batch, heads, length, value]),
            decay,
            draw([batch, heads, key, value]),
        ];
        Self { tokens: tokens.map(Tensor::require_grad), bonus: random([heads, key], device).require_grad() }
    }

    fn tokens(&self, kind: Kind, bonus: bool, state: bool) -> LinearAttention {
        let [query, key, value, log, initial] = self.tokens.clone();
        LinearAttention {
            query,
            key,
            value,
            decay: match kind {
                Kind::None => LogDecay::None,
                Kind::Head => LogDecay::Head(log.squeeze_dim(3)),
                Kind::Channel => LogDecay::Channel(log),
            },
            bonus: bonus.then(|| self.bonus.clone()),
            state: state.then_some(initial),
        }
    }
}

/// Compares outputs, the last state, and all gradients of a weighted sum of both.
fn compare(shape: [usize; 5], kind: Kind, strength: f64, bonus: bool, state: bool) {
    let device = Device::flex().autodiff();
    let leaves = Leaves::draw(shape, kind, strength, &device);
    let run = |form: fn(LinearAttention) -> (Tensor<4>, Tensor<4>)| {
        let (outputs, last) = form(leaves.tokens(kind, bonus, state));
        let weigh = |tensor: &Tensor<4>| {
            let weight = Tensor::arange(0..tensor.shape().num_elements() as i64, &device).float().sin();
            (tensor.clone() * weight.reshape(tensor.dims())).sum()
        };
        let gradients = (weigh(&outputs) + weigh(&last)).backward();
        let all = leaves.tokens.iter().map(|leaf| leaf.grad(&gradients)).collect::<Vec<_>>();
        (outputs.inner(), last.inner(), all, leaves.bonus.grad(&gradients))
    };
    let naive = run(naive);
    let in_chunks = |tokens: LinearAttention| {
        let decay = tokens.logarithms();
        tokens.in_chunks(decay)
    };
    for (form, fast) in [("kernel", run(LinearAttention::run)), ("chunks", run(in_chunks))] {
        let what = format!("{form}, {kind:?} {shape:?}, decays of {strength}, bonus {bonus}, state {state}");
        assert_close(&fast.0, &naive.0, &format!("outputs, {what}"));
        assert_close(&fast.1, &naive.1, &format!("state, {what}"));
        for (index, (fast, naive)) in fast.2.iter().zip(&naive.2).enumerate() {
            assert_eq!(fast.is_some(), naive.is_some(), "gradient {index}, {what}");
            if let (Some(fast), Some(naive)) = (fast, naive) {
                assert_close(fast, naive, &format!("gradient {index}, {what}"));
            }
        }
        assert_eq!(fast.3.is_some(), bonus);
        if let (Some(fast), Some(naive)) = (&fast.3, &naive.3) {
            assert_close(fast, naive, &format!("gradient of the bonus, {what}"));
        }
    }
}

#[test]
fn the_fast_form_is_the_equation() {
    // One token; less than a chunk; whole chunks; odd numbers of chunks with a shorter last one.
    for shape in [
        [1, 1, 1, 1, 1],
        [2, 3, 1, 4, 5],
        [2, 1, 7, 3, 1],
        [1, 2, 128, 4, 3],
        [1, 1, 150, 1, 4],
        [1, 1, 290, 2, 1],
        [1, 2, 40, 17, 35],
    ] {
        for kind in [Kind::None, Kind::Head, Kind::Channel] {
            for (bonus, state) in [(false, false), (false, true), (true, true)] {
                compare(shape, kind, 0.1, bonus, state);
            }
        }
    }
}

#[test]
fn no_decay_is_too_strong() {
    // From nearly none to nearly all at each token, mixed in one sequence.
    for strength in [1e-4, 3.0, 50.0, 1e4] {
        for kind in [Kind::Head, Kind::Channel] {
            compare([1, 2, 70, 3, 2], kind, strength, kind == Kind::Channel, true);
        }
    }
}

#[test]
fn a_weak_decay_is_not_lost_behind_a_strong_one() {
    // Of a sum that holds −1e6, float32 has no digits left for a decay of −0.01.
    let device = Device::flex();
    let ones = || Tensor::<4>::ones([1, 1, 40, 1], &device);
    let mut log = vec![-0.01f32; 40];
    log[3] = -1e6;
    let log = Tensor::<1>::from_data(log.as_slice(), &device).reshape([1, 1, 40]);
    let run = |decay| {
        LinearAttention { query: ones(), key: ones(), value: ones(), decay, bonus: None, state: None }.run().0
    };
    // Behind the strong decay the sum begins anew.
    let expected: f32 = (0..=36).map(|age| (-0.01 * age as f32).exp()).sum();
    for decay in [LogDecay::Head(log.clone()), LogDecay::Channel(log.clone().unsqueeze_dim(3))] {
        let last = run(decay).narrow(2, 39, 1).into_scalar::<f32>();
        assert!((last - expected).abs() < 1e-4, "{last} is not {expected}");
    }
}
