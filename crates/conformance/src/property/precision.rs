//! float32 computes what float64 does.
//!
//! A fast form is often written for float32 alone; then the differences of [`Property::Gradients`] check
//! another form, in float64, and this property checks the fast one against it.
//!
//! Distances are Euclidean over a whole tensor: where a function has a kink, a value that rounds to its
//! other side changes few entries by much, and most by nothing.
//!
//! [`Property::Gradients`]: crate::Property::Gradients

use burn::tensor::DType;

use crate::case::Case;
use crate::compare::{FLOAT32, finite, host};
use crate::float64::computes_float64;
use crate::network::Network;
use crate::parameters::{Named, backward, cast, gradients};
use crate::run::Subject;

/// What the distance may be, as a share of the length: a network is several layers, each of [`FLOAT32`].
const SHARE: f64 = 8.0 * FLOAT32;
/// The part of the length of all gradients together that counts for each: one that is zero by symmetry has
/// only rounding errors.
const COMMON: f64 = 0.01;

fn length(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Outputs, gradients of the tokens, gradients of the parameters.
fn outcome<N: Network>(
    network: &N,
    case: &Case,
    dtype: DType,
    subject: &Subject<'_, N>,
) -> Result<Vec<Named>, String> {
    let device = &subject.training_device;
    let tokens = case.tokens_of(dtype, 1, device).require_grad();
    let outputs = network.forward(case.features(tokens.clone())).tokens;
    // Equal weights would hide a gradient that is lost in a norm.
    let weights = outputs.ones_like().cumsum(1).cumsum(2).sin();
    let all = backward((outputs.clone() * weights).sum(), &tokens);
    let slopes = tokens.grad(&all).map_or(Ok(Vec::new()), host)?;
    let mut found =
        vec![("outputs".to_owned(), host(outputs)?), ("gradients of the tokens".to_owned(), slopes)];
    let named = |(path, values): Named| (format!("gradient of `{path}`"), values);
    found.extend(gradients(network, &all)?.into_iter().map(named));
    Ok(found)
}

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    if !computes_float64(&subject.device) {
        return Ok(None);
    }
    let single = outcome(&subject.training, case, DType::F32, subject)?;
    let double = outcome(&cast(subject.copy(case)?, DType::F64), case, DType::F64, subject)?;
    let common = COMMON * length(double.iter().skip(2).flat_map(|(_, values)| values.iter().copied()));
    let mut worst = 0.0f64;
    for (index, ((what, single), (_, double))) in single.iter().zip(&double).enumerate() {
        finite(what, single)?;
        let distance = length(single.iter().zip(double).map(|(single, double)| single - double));
        let scale = length(double.iter().copied()) + if index < 2 { 1e-6 } else { common.max(1e-6) };
        let deviation = distance / (SHARE * scale);
        if deviation > 1.0 {
            return Err(format!(
                "{what}: {distance:.3e} away from float64, where the whole is {scale:.3e} long; allowed is {:.3e}",
                SHARE * scale
            ));
        }
        worst = worst.max(deviation);
    }
    Ok(Some(worst))
}
