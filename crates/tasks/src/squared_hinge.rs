//! The squared hinge loss: each class against the rest, with a margin.

use ansatz_core::{Result, Targets};
use burn::tensor::{Tensor, TensorData, activation};

use crate::weights::Weight;
use crate::{binary_cross_entropy, cross_entropy};

/// The mean over the batch, `[1]`, of
///
/// ```text
/// Σ_k  w₁ q_k max(0, m − x_k)² + w₀ (1 − q_k) max(0, m + x_k)²
/// ```
///
/// over the classes k, with `q = (1 − ε) target + ε/n` of the n classes, or of the two that a label has (the L2 loss of a
/// support vector machine of one class against the rest: Fan et al., LIBLINEAR, Journal of Machine Learning Research 9,
/// 2008, section 2). `weights` holds w₀ and w₁ of each label; where one class alone holds, both are the weight of that
/// class. All are 1 where it is empty.
///
/// # Errors
/// When `targets` do not match `logits` `[batch, classes]`.
pub(crate) fn loss(
    logits: Tensor<2>,
    targets: &Targets,
    margin: f64,
    smoothing: f64,
    weights: &[Weight],
) -> Result<Tensor<1>> {
    let shape @ [examples, classes] = logits.dims();
    let one_alone = !matches!(targets, Targets::Labels { .. });
    let (shares, choices) = if one_alone {
        (cross_entropy::distribution(targets, shape)?, classes)
    } else {
        let held = binary_cross_entropy::labels(targets, shape)?;
        (held.iter().map(|holds| f32::from(u8::from(*holds))).collect(), 2)
    };
    let (kept, spread) = ((1.0 - smoothing) as f32, (smoothing / choices as f64) as f32);
    let (mut held, mut lacked) = (Vec::with_capacity(shares.len()), Vec::with_capacity(shares.len()));
    for row in shares.chunks_exact(classes) {
        let of_row: f32 = row.iter().zip(weights).map(|(share, [_, weight])| share * weight).sum();
        for (class, share) in row.iter().enumerate() {
            let [without, with] = match weights.get(class) {
                Some(_) if one_alone => [of_row; 2],
                Some(of_label) => *of_label,
                None => [1.0; 2],
            };
            let wanted = kept * share + spread;
            held.push(with * wanted);
            lacked.push(without * (1.0 - wanted));
        }
    }
    let place = (&logits.device(), logits.dtype());
    let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), place);
    let square = |short: Tensor<2>| {
        let short = activation::relu(short);
        short.clone() * short
    };
    let missed =
        square(logits.clone().neg() + margin) * tensor(held) + square(logits + margin) * tensor(lacked);
    Ok(missed.sum() * (1.0 / examples as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    const LOGITS: [[f32; 3]; 2] = [[2.0, -1.75, 0.5], [0.0, 1.25, -3.0]];

    #[test]
    fn the_loss_and_its_gradient_are_the_definition() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let one = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        let mixed = [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]];
        let several = [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]];
        let values = mixed.as_flattened().iter().map(|share| *share as f32).collect();
        let labels = several.as_flattened().iter().map(|share| *share == 1.0).collect();
        let weighted = [[1.0, 3.0], [0.5, 1.0], [2.0, 0.25]];
        for (targets, shares, choices) in [
            (Targets::Classes(vec![2, 1]), one, 3.0),
            (Targets::Distribution { classes: 3, values }, mixed, 3.0),
            (Targets::Labels { labels: 3, values: labels }, several, 2.0),
        ] {
            for (margin, smoothing, weights) in [(1.0, 0.0, &[][..]), (1.5, 0.25, &weighted)] {
                let logits = Tensor::<2>::from_data(LOGITS, &device).require_grad();
                let found = loss(logits.clone(), &targets, margin, smoothing, weights).unwrap();
                assert_eq!(found.dims(), [1]);
                let gradients = found.backward();
                let (mut sum, mut slopes) = (0.0, Vec::new());
                for (row, logits) in LOGITS.iter().enumerate() {
                    for (class, logit) in logits.iter().enumerate() {
                        let x = f64::from(*logit);
                        let wanted = (1.0 - smoothing) * shares[row][class] + smoothing / choices;
                        let [w0, w1] = match weights {
                            [] => [1.0; 2],
                            _ if choices == 2.0 => weights[class].map(f64::from),
                            _ => [(0..3).map(|of| shares[row][of] * f64::from(weights[of][1])).sum(); 2],
                        };
                        let (below, above) = ((margin - x).max(0.0), (margin + x).max(0.0));
                        sum += w1 * wanted * below.powi(2) + w0 * (1.0 - wanted) * above.powi(2);
                        slopes.push((w0 * (1.0 - wanted) * above - w1 * wanted * below) as f32);
                    }
                }
                let value = f64::from(found.into_scalar::<f32>());
                assert!((value - sum / 2.0).abs() < 1e-5, "{value} {}", sum / 2.0);
                let gradient = logits.grad(&gradients).unwrap().into_data();
                gradient.assert_approx_eq::<f32>(&TensorData::new(slopes, [2, 3]), Tolerance::default());
            }
        }
    }

    #[test]
    fn what_is_told_by_the_margin_costs_nothing() {
        let device = ansatz_device::open("cpu").unwrap();
        let logits = || Tensor::<2>::from_data([[1.5f32, -9.0, -1.0]], &device);
        let cost = |margin| {
            loss(logits(), &Targets::Classes(vec![0]), margin, 0.0, &[]).unwrap().into_scalar::<f32>()
        };
        assert_eq!((cost(1.0), cost(2.0)), (0.0, 1.25));
    }

    #[test]
    fn labels_that_do_not_match_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        for targets in [
            Targets::Unknown,
            Targets::Classes(vec![0]),
            Targets::Labels { labels: 2, values: vec![true; 4] },
            Targets::Distribution { classes: 2, values: vec![0.5; 4] },
        ] {
            let logits = Tensor::<2>::from_data(LOGITS, &device);
            assert!(loss(logits, &targets, 1.0, 0.0, &[]).is_err());
        }
    }
}
