//! What a student loses by not answering as its teacher does.

use ansatz_core::Targets;
use burn::tensor::{Tensor, TensorData, activation};

/// `T² · Σ_k p_k (log p_k − log q_k)`, the mean over all positions at which something is asked, in nats, `[1]`, with
/// `p = softmax(teacher / T)` and `q = softmax(student / T)`.
///
/// Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015, section 2: the cross entropy with the
/// soft targets, here less the entropy of these, which changes no gradient and makes it 0 where both agree. T² keeps the
/// size of its gradients where T changes.
///
/// # Shapes
/// - `student`, `teacher`: logits `[batch, positions, values]`
/// - `targets`: where they are tokens, positions at which none is known do not count
pub fn soft_loss(student: Tensor<3>, teacher: Tensor<3>, targets: &Targets, temperature: f64) -> Tensor<1> {
    let [batch, positions, _] = student.dims();
    let wanted = teacher / temperature;
    let wanted_log = activation::log_softmax(wanted.clone(), 2);
    let given_log = activation::log_softmax(student / temperature, 2);
    let lost = (activation::softmax(wanted, 2) * (wanted_log - given_log)).sum_dim(2);
    let asked = match targets {
        Targets::Tokens(tokens) if tokens.len() == batch * positions => {
            tokens.iter().map(|token| f32::from(u8::from(token.is_some()))).collect()
        }
        _ => vec![1.0; batch * positions],
    };
    let count = asked.iter().sum::<f32>().max(1.0);
    let asked = TensorData::new(asked, [batch, positions, 1]);
    let asked = Tensor::<3>::from_data(asked, (&lost.device(), lost.dtype()));
    (lost * asked).sum() * (temperature * temperature / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    const STUDENT: [[[f32; 3]; 2]; 2] =
        [[[2.0, -1.0, 0.5], [0.0, 3.0, 3.0]], [[1.0, 1.0, 1.0], [-2.0, 0.0, 4.0]]];
    const TEACHER: [[[f32; 3]; 2]; 2] =
        [[[1.0, 0.0, 0.5], [0.5, 2.0, -3.0]], [[4.0, 1.0, 1.0], [-2.0, 0.0, 4.0]]];

    fn softened(logits: [f32; 3], temperature: f64) -> [f64; 3] {
        let powers = logits.map(|logit| (f64::from(logit) / temperature).exp());
        powers.map(|power| power / powers.iter().sum::<f64>())
    }

    /// The definition, in loops, over the positions that are asked.
    fn naive(temperature: f64, asked: &[(usize, usize)]) -> f64 {
        let position = |&(example, place): &(usize, usize)| -> f64 {
            let (p, q) = (
                softened(TEACHER[example][place], temperature),
                softened(STUDENT[example][place], temperature),
            );
            (0..3).map(|k| p[k] * (p[k].ln() - q[k].ln())).sum()
        };
        temperature.powi(2) * asked.iter().map(position).sum::<f64>() / asked.len() as f64
    }

    #[test]
    fn the_loss_and_its_gradient_are_the_definition() {
        let device = ansatz_device::open("cpu").unwrap();
        let all = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let tokens = Targets::Tokens(vec![Some(1), None, Some(0), None]);
        for (targets, asked) in [(Targets::Unknown, &all[..]), (tokens, &[(0, 0), (1, 0)])] {
            for temperature in [1.0, 4.0] {
                let student = Tensor::<3>::from_data(STUDENT, &device.clone().autodiff()).require_grad();
                let teacher = Tensor::from_inner(Tensor::<3>::from_data(TEACHER, &device));
                let loss = soft_loss(student.clone(), teacher, &targets, temperature);
                let gradients = loss.backward();
                let value = f64::from(loss.into_scalar::<f32>());
                assert!((value - naive(temperature, asked)).abs() < 1e-5, "{value}");
                // Equation 2 times T²: T (q − p), over the positions that are asked.
                let expected: Vec<f32> = (0..12)
                    .map(|index| {
                        let (example, place, k) = (index / 6, index / 3 % 2, index % 3);
                        if !asked.contains(&(example, place)) {
                            return 0.0;
                        }
                        let [p, q] =
                            [TEACHER, STUDENT].map(|logits| softened(logits[example][place], temperature)[k]);
                        (temperature * (q - p) / asked.len() as f64) as f32
                    })
                    .collect();
                let expected = TensorData::new(expected, [2, 2, 3]);
                let gradient = student.grad(&gradients).unwrap().into_data();
                gradient.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
            }
        }
    }

    #[test]
    fn who_answers_as_the_teacher_loses_nothing() {
        let device = ansatz_device::open("cpu").unwrap();
        let logits = || Tensor::<3>::from_data(TEACHER, &device);
        assert!(soft_loss(logits(), logits(), &Targets::Unknown, 3.0).into_scalar::<f32>().abs() < 1e-6);
    }
}
