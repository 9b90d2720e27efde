//! Binary cross entropy, for labels of which any number may hold: once on the device, once on the host.

use ansatz_core::{Error, Result, Targets};
use burn::tensor::{Tensor, TensorData, activation};

use crate::weights::Weight;

/// Which labels hold, `[batch × labels]`.
///
/// # Errors
/// When `targets` are of another kind, or of another number of examples or labels.
pub(crate) fn labels(targets: &Targets, [examples, labels]: [usize; 2]) -> Result<&[bool]> {
    match targets {
        Targets::Labels { labels: given, values }
            if *given == labels && values.len() == examples * labels =>
        {
            Ok(values)
        }
        Targets::Labels { labels: given, values } => Err(Error::Failed(format!(
            "{} label values in rows of {given}, for {examples} outputs of {labels} labels",
            values.len()
        ))),
        _ => Err(Error::Failed("labels of which one alone holds, where any number may".to_owned())),
    }
}

/// The mean over batch and labels, in nats, `[1]`, of
///
/// ```text
/// −w₁ q log σ(x) − w₀ (1 − q) log σ(−x)
/// ```
///
/// with `q = (1 − ε) target + ε / 2`, the smoothing ε of cross entropy over the two classes that a label has. `weights`
/// holds w₀ and w₁ of each label; all are 1 where it is empty.
///
/// # Errors
/// When `targets` do not match `logits` `[batch, labels]`.
pub(crate) fn loss(
    logits: Tensor<2>,
    targets: &Targets,
    smoothing: f64,
    weights: &[Weight],
) -> Result<Tensor<1>> {
    let shape @ [examples, count] = logits.dims();
    let (kept, spread) = ((1.0 - smoothing) as f32, (smoothing / 2.0) as f32);
    let (mut held, mut lacked) = (Vec::with_capacity(examples * count), Vec::with_capacity(examples * count));
    for (at, holds) in labels(targets, shape)?.iter().enumerate() {
        let wanted = if *holds { kept + spread } else { spread };
        let [without, with] = weights.get(at % count).copied().unwrap_or([1.0; 2]);
        held.push(with * wanted);
        lacked.push(without * (1.0 - wanted));
    }
    let place = (&logits.device(), logits.dtype());
    let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), place);
    let surprise = activation::log_sigmoid(logits.clone()) * tensor(held)
        + activation::log_sigmoid(logits.neg()) * tensor(lacked);
    Ok(surprise.sum() * (-1.0 / (examples * count) as f64))
}

/// `log σ(x)` in float64, finite for every finite x.
pub(crate) fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    const LOGITS: [[f32; 3]; 2] = [[2.0, -1.0, 0.5], [0.0, 3.0, -3.0]];
    const HELD: [bool; 6] = [true, false, true, false, false, true];

    fn targets() -> Targets {
        Targets::Labels { labels: 3, values: HELD.to_vec() }
    }

    #[test]
    fn the_loss_and_its_gradient_are_the_definition() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        for (smoothing, weights) in
            [(0.0, vec![]), (0.1, vec![]), (0.1, vec![[1.0, 3.0], [0.5, 1.0], [2.0, 0.0]])]
        {
            let logits = Tensor::<2>::from_data(LOGITS, &device).require_grad();
            let found = loss(logits.clone(), &targets(), smoothing, &weights).unwrap();
            let gradients = found.backward();
            let (mut sum, mut slopes) = (0.0, Vec::new());
            for at in 0..6 {
                let x = f64::from(LOGITS[at / 3][at % 3]);
                let p = 1.0 / (1.0 + (-x).exp());
                let q = (1.0 - smoothing) * f64::from(u8::from(HELD[at])) + smoothing / 2.0;
                let [w0, w1] = weights.get(at % 3).map_or([1.0; 2], |pair: &[f32; 2]| pair.map(f64::from));
                sum -= w1 * q * p.ln() + w0 * (1.0 - q) * (1.0 - p).ln();
                slopes.push(((w0 * (1.0 - q) * p - w1 * q * (1.0 - p)) / 6.0) as f32);
            }
            let value = f64::from(found.into_scalar::<f32>());
            assert!((value - sum / 6.0).abs() < 1e-6, "{value} {}", sum / 6.0);
            let gradient = logits.grad(&gradients).unwrap().into_data();
            gradient.assert_approx_eq::<f32>(&TensorData::new(slopes, [2, 3]), Tolerance::default());
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let device = ansatz_device::open("cpu").unwrap();
        let logits = Tensor::<2>::from_data([[1e30f32, -1e30]], &device);
        let certain = Targets::Labels { labels: 2, values: vec![true, false] };
        assert_eq!(loss(logits, &certain, 0.0, &[]).unwrap().into_scalar::<f32>(), 0.0);
        assert_eq!((log_sigmoid(1e30), log_sigmoid(-1e30)), (0.0, -1e30));
        assert!((log_sigmoid(0.3) - (1.0 / (1.0 + (-0.3f64).exp())).ln()).abs() < 1e-15);
    }

    #[test]
    fn labels_that_do_not_match_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        for targets in [
            Targets::Unknown,
            Targets::Classes(vec![0, 1]),
            Targets::Labels { labels: 2, values: vec![true; 4] },
            Targets::Labels { labels: 3, values: vec![true; 3] },
        ] {
            let logits = Tensor::<2>::from_data(LOGITS, &device);
            assert!(loss(logits, &targets, 0.0, &[]).is_err());
        }
    }
}
