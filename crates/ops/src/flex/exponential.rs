//! Exponentials written so that the compiler vectorises loops over them.

/// `e^x`, within two units in the last place for x from −87 to 88; beyond, as at these ends.
///
/// `e^x = 2^n e^r` with n the nearest whole number to `x / ln 2`, and a polynomial for the rest r (Cephes, `expf`).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // ln 2 in two parts; the first has so few digits that its product with n is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Added to a small number, it leaves the nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    // Written so that what is no number stays so.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * LN_2[0] - whole * LN_2[1];
    let mut sum = POLYNOMIAL[0];
    for coefficient in &POLYNOMIAL[1..] {
        sum = sum * rest + coefficient;
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    (sum * rest * rest + rest + 1.0) * f32::from_bits(exponent << 23)
}

/// `log(1 + e^x) = max(x, 0) + log(1 + e^{−|x|})`, the logarithm by `log(1 + u) = 2 artanh(u / (2 + u))`.
#[inline(always)]
pub(super) fn softplus(x: f32) -> f32 {
    const SERIES: [f32; 8] =
        [1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0];
    let small = exp(-x.abs());
    let ratio = small / (2.0 + small);
    let square = ratio * ratio;
    let mut sum = 0.0;
    for coefficient in SERIES {
        sum = sum * square + coefficient;
    }
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + 2.0 * ratio * sum
}

/// `1 / (1 + e^{−x})`, the derivative of [`softplus`].
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_float64() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 2.5e-7, "exp({x})");
            let exact = f64::from(x).max(0.0) + (-f64::from(x).abs()).exp().ln_1p();
            assert!((f64::from(softplus(x)) / exact - 1.0).abs() < 3e-7, "softplus({x})");
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(sigmoid(x)) / exact - 1.0).abs() < 4e-7, "sigmoid({x})");
        }
    }

    #[test]
    fn the_ends_are_finite_and_no_number_stays_none() {
        assert_eq!(exp(-1e4), exp(-87.0));
        assert_eq!(exp(f32::INFINITY), exp(88.0));
        assert_eq!((softplus(1e4), sigmoid(1e4)), (1e4, 1.0));
        assert!(softplus(-1e4) < 1e-30);
        assert!(exp(f32::NAN).is_nan() && softplus(f32::NAN).is_nan());
    }
}
