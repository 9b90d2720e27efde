//! The functions that squash a gate, without a branch, so that the compiler can vectorise loops over them.

/// `2ᵏ` for whole numbers of which the bias of the exponent makes a normal number.
#[inline(always)]
fn power_of_two(k: f32) -> f32 {
    f32::from_bits(((k as i32 + 127) << 23) as u32)
}

/// `exp(x)`, to about two units in the last place, for any x; results below the smallest normal number are
/// brought up to it.
///
/// x = k ln 2 + r with |r| ≤ ½ ln 2: then exp x = 2ᵏ exp r, and exp r is a polynomial (Cephes, `expf`).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // ln 2 in two parts, of which the first has so few digits that k times it is exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let k = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = k.mul_add(-LOW, k.mul_add(-HIGH, x));
    let mut sum = 1.987_569_1e-4f32;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        sum = sum.mul_add(r, coefficient);
    }
    (sum.mul_add(r * r, r) + 1.0) * power_of_two(k)
}

/// `1 / (1 + exp(−x))`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `log(1 + exp x) = max(x, 0) + log(1 + exp(−|x|))`, the logarithm by `log(1 + u) = 2 artanh(u / (2 + u))`.
#[inline(always)]
pub(super) fn softplus(x: f32) -> f32 {
    const SERIES: [f32; 8] =
        [1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0];
    let small = exp(-x.abs());
    let ratio = small / (2.0 + small);
    let square = ratio * ratio;
    let mut sum = 0.0f32;
    for coefficient in SERIES {
        sum = sum.mul_add(square, coefficient);
    }
    let positive = if x < 0.0 { 0.0 } else { x };
    (2.0 * ratio).mul_add(sum, positive)
}

/// [`softplus`] of every lane. A loop and not a closure, whose body would be compiled by itself, without the
/// processor's extensions.
#[inline(always)]
pub(super) fn softplus_lanes<const N: usize>(mut x: [f32; N]) -> [f32; N] {
    for x in &mut x {
        *x = softplus(*x);
    }
    x
}

/// [`exp`] of every lane of a product.
#[inline(always)]
pub(super) fn exp_lanes<const N: usize>(mut left: [f32; N], right: &[f32; N]) -> [f32; N] {
    for lane in 0..N {
        left[lane] = exp(left[lane] * right[lane]);
    }
    left
}

/// `tanh x`, to a few units in the last place: a quotient of polynomials up to where float32 rounds to ±1 (Eigen,
/// `ptanh`).
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let square = x * x;
    let mut above = -2.760_768_5e-16f32;
    for coefficient in
        [2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3]
    {
        above = above.mul_add(square, coefficient);
    }
    let mut below = 1.198_258_4e-6f32;
    for coefficient in [1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3] {
        below = below.mul_add(square, coefficient);
    }
    x * above / below
}

/// `erf x = 2/√π ∫₀ˣ e^(−t²) dt` to about 4e-7: the rational function of Eigen and XLA, in which ±4 stands for
/// all that is farther out.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let bounded = x.clamp(-4.0, 4.0);
    let square = bounded * bounded;
    let mut above = -2.726_142_4e-10;
    for coefficient in
        [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2]
    {
        above = above * square + coefficient;
    }
    let mut below = -1.456_607_2e-5;
    for coefficient in [-2.133_740_5e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2] {
        below = below * square + coefficient;
    }
    bounded * above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest deviation from the float64 function over a fine grid, as a share of what `scale` allows.
    fn worst(fast: fn(f32) -> f32, exact: fn(f64) -> f64, scale: fn(f64) -> f64) -> f64 {
        (-40_000..=40_000)
            .map(|step| step as f32 * 5e-4)
            .map(|x| (f64::from(fast(x)) - exact(f64::from(x))).abs() / scale(exact(f64::from(x))))
            .fold(0.0, f64::max)
    }

    #[test]
    fn they_are_exact_to_float32() {
        let relative = |value: f64| f64::from(f32::EPSILON) * value.abs().max(f64::from(f32::MIN_POSITIVE));
        let exponential = worst(exp, f64::exp, relative);
        assert!(exponential < 2.0, "exp: {exponential}");
        let logistic = worst(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), relative);
        assert!(logistic < 3.0, "sigmoid: {logistic}");
        let softened = worst(softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), relative);
        assert!(softened < 3.0, "softplus: {softened}");
        let tangent = worst(tanh, f64::tanh, relative);
        assert!(tangent < 4.0, "tanh: {tangent}");
    }

    #[test]
    fn extremes_stay_finite_and_what_is_no_number_stays_so() {
        for (x, expected) in
            [(f32::INFINITY, [1.0, 1.0]), (f32::NEG_INFINITY, [0.0, -1.0]), (1e4, [1.0, 1.0])]
        {
            assert!((sigmoid(x) - expected[0]).abs() < 1e-37 && (tanh(x) - expected[1]).abs() < 1e-6, "{x}");
        }
        assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && softplus(f32::NAN).is_nan());
        assert_eq!(softplus(1e4), 1e4);
        assert!((0.0..1e-30).contains(&softplus(-1e4)));
    }

    /// `2/√π Σ (−1)ⁿ x^(2n+1) / (n! (2n+1))`: in float64 good to 1e-9 for |x| ≤ 4.
    fn series(x: f64) -> f64 {
        let (mut power, mut total) = (x, 0.0);
        for n in 0..120 {
            total += power / f64::from(2 * n + 1);
            power *= -x * x / f64::from(n + 1);
        }
        total * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn the_error_function_is_its_series() {
        for step in -400..=400 {
            let x = step as f32 * 0.01;
            assert!((f64::from(erf(x)) - series(f64::from(x))).abs() < 5e-7, "erf {x}");
        }
        assert!((erf(30.0) - 1.0).abs() < 1e-6 && (erf(f32::NEG_INFINITY) + 1.0).abs() < 1e-6);
        assert!(erf(f32::NAN).is_nan());
    }
}
