//! The recurrence of RWKV-4: a weighted mean of all values so far, whose weights decay with distance.

use burn::tensor::{Tensor, assert_shape};

/// The recurrence of RWKV-4 (Peng et al. 2023, arXiv:2305.13048, equation 16), channel by channel:
///
/// ```text
/// y_t = (Σ_{i<t} e^{(t−1−i) w + k_i} v_i + e^{u + k_t} v_t) / (Σ_{i<t} e^{(t−1−i) w + k_i} + e^{u + k_t})
/// ```
///
/// The exponents have no bound, so every sum is kept relative to its largest term, as in appendix D there. The
/// state holds, behind the last token, the numerator a, the denominator b, and the exponent p to which both are
/// relative: the sums are a eᵖ and b eᵖ.
///
/// # Shapes
/// - `decay` w: `[channels]`, 0 or below
/// - `bonus` u: `[channels]`
/// - `key`, `value`: `[batch, length, channels]`
/// - `state`: `[batch, 3, channels]`, see [`wkv_state`]
/// - result: `[batch, length, channels]` and the state behind the last token
///
/// # Panics
/// When the shapes do not fit each other.
pub fn wkv(
    decay: Tensor<1>,
    bonus: Tensor<1>,
    key: Tensor<3>,
    value: Tensor<3>,
    state: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    let [batch, length, channels] = key.dims();
    assert_shape!(value, [batch, length, channels]);
    assert_shape!(state, [batch, 3, channels]);
    assert_shape!(decay, [channels]);
    assert_shape!(bonus, [channels]);
    #[cfg(feature = "flex")]
    if let Some(rows) = crate::flex::wkv([&decay, &bonus], [&key, &value, &state]) {
        return (rows.clone().narrow(1, 0, length), rows.narrow(1, length, 3));
    }
    doubling(decay, bonus, key, value, state)
}

/// The exponent of sums without a term: small enough to vanish beside any other, and finite.
const NOTHING: f64 = -1e38;

/// The state of [`wkv`] before the first token, `[batch, 3, channels]`, for keys like `key`
/// `[batch, 1.., channels]`.
pub fn wkv_state(key: &Tensor<3>) -> Tensor<3> {
    let zero = key.clone().detach().narrow(1, 0, 1).zeros_like();
    Tensor::cat(vec![zero.clone(), zero.clone(), zero + NOTHING], 1)
}

/// Weighted sums at every position: numerators, denominators, and the exponents to which they are relative,
/// `[batch, positions, channels]` each.
///
/// No gradient passes through the exponents: a change of eᵖ is one of a and b.
#[derive(Clone)]
struct Sums {
    numerator: Tensor<3>,
    denominator: Tensor<3>,
    exponent: Tensor<3>,
}

impl Sums {
    fn each(self, change: impl Fn(Tensor<3>) -> Tensor<3>) -> Self {
        Self {
            numerator: change(self.numerator),
            denominator: change(self.denominator),
            exponent: change(self.exponent),
        }
    }

    fn join(self, later: Self) -> Self {
        let join = |first, second| Tensor::cat(vec![first, second], 1);
        Self {
            numerator: join(self.numerator, later.numerator),
            denominator: join(self.denominator, later.denominator),
            exponent: join(self.exponent, later.exponent),
        }
    }

    /// These sums decayed by `decay` `[1, 1, channels]`, added to others.
    fn add_to(self, later: Self, decay: Tensor<3>) -> Self {
        let decayed = self.exponent + decay;
        let exponent = decayed.clone().detach().max_pair(later.exponent.clone());
        let (old, new) = ((decayed - exponent.clone()).exp(), (later.exponent - exponent.clone()).exp());
        Self {
            numerator: self.numerator * old.clone() + later.numerator * new.clone(),
            denominator: self.denominator * old + later.denominator * new,
            exponent,
        }
    }
}

/// The recurrence on every device, in log₂ length passes over all tokens (Hillis and Steele 1986): after the pass
/// of distance d, every position holds the sum of the last 2d terms.
fn doubling(
    decay: Tensor<1>,
    bonus: Tensor<1>,
    key: Tensor<3>,
    value: Tensor<3>,
    state: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    let [_, length, _] = key.dims();
    let (decay, bonus) = (decay.unsqueeze::<3>(), bonus.unsqueeze::<3>());
    let before = Sums {
        numerator: state.clone().narrow(1, 0, 1),
        denominator: state.clone().narrow(1, 1, 1),
        exponent: state.narrow(1, 2, 1).detach(),
    };
    // The term of each token is relative to its own key: e^{k − p} is 1, and carries the gradient.
    let exponent = key.clone().detach();
    let one = (key.clone() - exponent.clone()).exp();
    let terms = Sums { numerator: value.clone() * one.clone(), denominator: one, exponent };

    // Position t of `length + 1` holds what stands before token t; the state is the first term.
    let mut sums = before.join(terms);
    let mut distance = 1;
    while distance <= length {
        let rest = length + 1 - distance;
        let earlier = sums.clone().each(|part| part.narrow(1, 0, rest));
        let later = sums.clone().each(|part| part.narrow(1, distance, rest));
        let whole = sums.each(|part| part.narrow(1, 0, distance));
        sums = whole.join(earlier.add_to(later, decay.clone() * distance as f64));
        distance *= 2;
    }
    let last = sums.clone().each(|part| part.narrow(1, length, 1));
    let sums = sums.each(|part| part.narrow(1, 0, length));

    let current = key + bonus;
    let largest = sums.exponent.clone().max_pair(current.clone().detach());
    let (old, new) = ((sums.exponent - largest.clone()).exp(), (current - largest).exp());
    let output = (sums.numerator * old.clone() + value * new.clone()) / (sums.denominator * old + new);
    (output, Tensor::cat(vec![last.numerator, last.denominator, last.exponent], 1))
}

#[cfg(all(test, feature = "flex"))]
mod tests;
