//! Cross entropy, once on the device to learn from and once on the host to judge by.

use ansatz_core::{Error, Result, Targets};
use burn::tensor::{Tensor, TensorData, activation};

use crate::weights::Weight;

/// What each example of a batch should be, `[batch × classes]`, each row summing to 1.
///
/// # Errors
/// When there are no labels, or they are of another number of examples or classes.
pub(crate) fn distribution(targets: &Targets, [examples, classes]: [usize; 2]) -> Result<Vec<f32>> {
    let mismatch = |problem: String| {
        Error::Failed(format!("labels that do not match {examples} outputs of {classes} classes: {problem}"))
    };
    match targets {
        Targets::Classes(indices) if indices.len() == examples => {
            let mut values = vec![0.0; examples * classes];
            for (row, &class) in indices.iter().enumerate() {
                if class >= classes {
                    return Err(mismatch(format!("class {class} is not below {classes}")));
                }
                values[row * classes + class] = 1.0;
            }
            Ok(values)
        }
        Targets::Classes(indices) => Err(mismatch(format!("{} labels", indices.len()))),
        Targets::Distribution { classes: given, values }
            if *given == classes && values.len() == examples * classes =>
        {
            Ok(values.clone())
        }
        Targets::Distribution { classes: given, values } => {
            Err(mismatch(format!("{} values in rows of {given}", values.len())))
        }
        Targets::Labels { .. } => Err(mismatch("any number of them may hold".to_owned())),
        Targets::Tokens(_) => Err(mismatch("they are tokens".to_owned())),
        Targets::HiddenValues { .. } => Err(mismatch("they are hidden values".to_owned())),
        Targets::Series { .. } => Err(mismatch("they are steps of a series".to_owned())),
        Targets::Numbers(_) => Err(mismatch("they are numbers".to_owned())),
        Targets::Unknown => Err(mismatch("they are unknown".to_owned())),
    }
}

/// The mean of `−Σ_k w_k q_k log p_k` over the batch, in nats, `[1]`, with `q = (1 − ε) target + ε/classes`
/// (Szegedy et al. 2016, section 7) and `p = softmax(logits)`. `weights` holds w of each class second; all are 1 where it is
/// empty. The mean is over examples, not over weights, so that no class counts more beside others of its kind.
///
/// # Errors
/// When `targets` do not match `logits` `[batch, classes]`.
pub(crate) fn loss(
    logits: Tensor<2>,
    targets: &Targets,
    smoothing: f64,
    weights: &[Weight],
) -> Result<Tensor<1>> {
    let [examples, classes] = logits.dims();
    let mut values = distribution(targets, [examples, classes])?;
    if smoothing > 0.0 {
        let (kept, spread) = ((1.0 - smoothing) as f32, (smoothing / classes as f64) as f32);
        values.iter_mut().for_each(|value| *value = kept * *value + spread);
    }
    for row in values.chunks_exact_mut(classes) {
        row.iter_mut().zip(weights).for_each(|(value, [_, weight])| *value *= weight);
    }
    let data = TensorData::new(values, [examples, classes]);
    let target = Tensor::<2>::from_data(data, (&logits.device(), logits.dtype()));
    let surprise = activation::log_softmax(logits, 1) * target;
    Ok(surprise.sum() * (-1.0 / examples as f64))
}

/// `log softmax(logits)` in float64.
pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = logits.iter().map(|logit| f64::from(*logit) - f64::from(largest));
    let log_sum = shifted.clone().map(f64::exp).sum::<f64>().ln();
    shifted.map(|logit| logit - log_sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    const LOGITS: [[f32; 3]; 2] = [[2.0, -1.0, 0.5], [0.0, 3.0, 3.0]];

    /// The definition, in loops.
    fn naive(target: [[f64; 3]; 2], smoothing: f64) -> f64 {
        let example = |row: usize| -> f64 {
            let total: f64 = LOGITS[row].iter().map(|logit| f64::from(*logit).exp()).sum();
            (0..3)
                .map(|class| {
                    let wanted = (1.0 - smoothing) * target[row][class] + smoothing / 3.0;
                    -wanted * (f64::from(LOGITS[row][class]).exp() / total).ln()
                })
                .sum()
        };
        (example(0) + example(1)) / 2.0
    }

    #[test]
    fn the_loss_and_its_gradient_are_the_definition() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let mixed = Targets::Distribution { classes: 3, values: vec![0.5, 0.25, 0.25, 0.0, 1.0, 0.0] };
        let cases = [
            (Targets::Classes(vec![2, 1]), [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]),
            (mixed, [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]),
        ];
        for (targets, target) in cases {
            for smoothing in [0.0, 0.1] {
                let logits = Tensor::<2>::from_data(LOGITS, &device).require_grad();
                let loss = loss(logits.clone(), &targets, smoothing, &[]).unwrap();
                assert_eq!(loss.dims(), [1]);
                let gradients = loss.backward();
                let value = f64::from(loss.into_scalar::<f32>());
                assert!((value - naive(target, smoothing)).abs() < 1e-6);
                // The gradient of a logit is (p − q) / batch.
                let expected: Vec<f32> = (0..6)
                    .map(|index| {
                        let (row, class) = (index / 3, index % 3);
                        let wanted = (1.0 - smoothing) * target[row][class] + smoothing / 3.0;
                        ((log_softmax(&LOGITS[row])[class].exp() - wanted) / 2.0) as f32
                    })
                    .collect();
                let gradient = logits.grad(&gradients).unwrap().into_data();
                let expected = TensorData::new(expected, [2, 3]);
                gradient.assert_approx_eq::<f32>(&expected, Tolerance::default());
            }
        }
    }

    #[test]
    fn a_weight_multiplies_what_its_class_adds() {
        let device = ansatz_device::open("cpu").unwrap();
        let logits = || Tensor::<2>::from_data(LOGITS, &device);
        let weights = [[0.0, 0.5], [0.0, 3.0], [0.0, 2.0]];
        let found = loss(logits(), &Targets::Classes(vec![2, 1]), 0.0, &weights).unwrap();
        let log = |row: usize, class: usize| log_softmax(&LOGITS[row])[class];
        let expected = -(2.0 * log(0, 2) + 3.0 * log(1, 1)) / 2.0;
        assert!((f64::from(found.into_scalar::<f32>()) - expected).abs() < 1e-6);
        let mixed = Targets::Distribution { classes: 3, values: vec![0.5, 0.5, 0.0, 0.0, 0.0, 1.0] };
        let found = loss(logits(), &mixed, 0.0, &weights).unwrap();
        let expected = -(0.25 * log(0, 0) + 1.5 * log(0, 1) + 2.0 * log(1, 2)) / 2.0;
        assert!((f64::from(found.into_scalar::<f32>()) - expected).abs() < 1e-6);
    }

    #[test]
    fn labels_that_do_not_match_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let logits = || Tensor::<2>::from_data(LOGITS, &device);
        let wrong = [
            (Targets::Unknown, "unknown"),
            (Targets::Classes(vec![0]), "1 labels"),
            (Targets::Classes(vec![0, 3]), "class 3"),
            (Targets::Distribution { classes: 2, values: vec![0.5; 4] }, "rows of 2"),
        ];
        for (targets, problem) in wrong {
            let message = loss(logits(), &targets, 0.0, &[]).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let device = ansatz_device::open("cpu").unwrap();
        let logits = Tensor::<2>::from_data([[1e30f32, -1e30, 0.0]], &device);
        let value = loss(logits, &Targets::Classes(vec![0]), 0.0, &[]).unwrap().into_scalar::<f32>();
        assert_eq!(value, 0.0);
        assert_eq!(log_softmax(&[1e30, -1e30])[0], 0.0);
    }
}
