//! How far two results are apart, and how far they may be.

use burn::tensor::Tensor;

/// How far two float32 results may be apart, as a share of the largest value.
///
/// float32 keeps 24 bits: ε = 2⁻²³ ≈ 1.2e-7. Two orders of adding up n terms differ by at most n·ε of the
/// sum of their magnitudes, and a layer is a few such sums of up to some hundred terms one behind the other.
pub(crate) const FLOAT32: f64 = 1024.0 * f32::EPSILON as f64;

/// Values on the host, in float64.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>, String> {
    let data = tensor.into_data().convert::<f64>();
    data.try_into_vec().map_err(|error| format!("the device does not hand over a result: {error:?}"))
}

/// The largest magnitude; infinite if a value is not finite.
pub(crate) fn magnitude(values: &[f64]) -> f64 {
    values.iter().fold(
        0.0,
        |largest, value| {
            if value.is_finite() { f64::max(largest, value.abs()) } else { f64::INFINITY }
        },
    )
}

/// How far `found` is from `expected`, as a share of [`FLOAT32`] of `scale`.
///
/// # Errors
/// When it is more than 1, or a value is not finite; `what` says what is compared.
pub(crate) fn close(what: &str, found: &[f64], expected: &[f64], scale: f64) -> Result<f64, String> {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} values instead of {}", found.len(), expected.len()));
    }
    if magnitude(found).is_infinite() || magnitude(expected).is_infinite() {
        return Err(format!("{what}: a value is not finite"));
    }
    // Where all values are tiny, only what float32 can hold beside 1e-6 counts.
    let scale = scale.max(1e-6);
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    let (place, largest) = differences
        .enumerate()
        .fold((0, 0.0), |worst, (place, next)| if next > worst.1 { (place, next) } else { worst });
    let deviation = largest / (FLOAT32 * scale);
    if deviation <= 1.0 {
        return Ok(deviation);
    }
    Err(format!(
        "{what}: value {place} is {:e} instead of {:e}, off by {largest:.3e} where the largest is {scale:.3e}; \
         allowed is {:.3e}",
        found[place],
        expected[place],
        FLOAT32 * scale
    ))
}

/// Refuses values that are not finite.
pub(crate) fn finite(what: &str, values: &[f64]) -> Result<(), String> {
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    if bad == 0 { Ok(()) } else { Err(format!("{what}: {bad} of {} values are not finite", values.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_and_by_how_much() {
        assert!(close("outputs", &[1.0, 2.0], &[1.0, 2.00001], 2.0).is_ok());
        let message = close("outputs", &[1.0, 2.0], &[1.0, 2.5], 2.5).unwrap_err();
        assert!(
            message.starts_with("outputs: value 1 is 2e0 instead of 2.5e0, off by 5.000e-1"),
            "{message}"
        );
        assert!(close("outputs", &[f64::NAN], &[f64::NAN], 1.0).unwrap_err().contains("not finite"));
        assert!(finite("state", &[0.0, f64::INFINITY]).unwrap_err().contains("1 of 2"));
    }
}
