//! What a number is learned from.

use ansatz_core::{Error, Result, Targets};
use burn::tensor::{Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mean over the batch of `(y − x)²` or `|y − x|`, on the scale that the network works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegressLoss {
    /// The squared error.
    #[default]
    Mse,
    /// The absolute error, which a few wild examples move less.
    Mae,
}

impl RegressLoss {
    /// The figure that is the mean of this loss.
    pub(crate) fn figure(self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::Mae => "mae",
        }
    }

    /// The loss of one error.
    pub(crate) fn of(self, error: f64) -> f64 {
        match self {
            Self::Mse => error * error,
            Self::Mae => error.abs(),
        }
    }

    /// The loss of each of `errors`.
    pub(crate) fn of_each(self, errors: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Mse => errors.clone() * errors,
            Self::Mae => errors.abs(),
        }
    }

    /// The mean loss, `[1]`, of `outputs` `[batch, 1, 1]`.
    ///
    /// # Errors
    /// When `targets` are no numbers, or not as many.
    pub fn apply(self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        let [batch, positions, values] = outputs.dims();
        let wanted = numbers(targets, batch * positions * values)?.to_vec();
        let data = TensorData::new(wanted, [batch, positions, values]);
        let errors = outputs.clone() - Tensor::from_data(data, (&outputs.device(), outputs.dtype()));
        Ok(self.of_each(errors).mean())
    }
}

/// `count` numbers.
///
/// # Errors
/// When `targets` are of another kind, or not as many.
pub(super) fn numbers(targets: &Targets, count: usize) -> Result<&[f32]> {
    match targets {
        Targets::Numbers(numbers) if numbers.len() == count => Ok(numbers),
        Targets::Numbers(numbers) => {
            Err(Error::Failed(format!("{} numbers as labels of {count} outputs", numbers.len())))
        }
        _ => Err(Error::Failed("labels that are no numbers".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_and_its_gradient_are_the_definition() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let targets = Targets::Numbers(vec![1.0, -2.0]);
        for (loss, expected, slopes) in
            [(RegressLoss::Mse, 2.125, [0.5, 2.0]), (RegressLoss::Mae, 1.25, [0.5, 0.5])]
        {
            let outputs = Tensor::<3>::from_data([[[1.5]], [[0.0]]], &device).require_grad();
            let found = loss.apply(outputs.clone(), &targets).unwrap();
            let gradients = found.backward();
            assert_eq!(found.into_scalar::<f32>(), expected);
            let gradient: Vec<f32> =
                outputs.grad(&gradients).expect("tracked").into_data().try_to_vec().unwrap();
            assert_eq!(gradient, slopes);
        }
    }

    #[test]
    fn labels_that_do_not_match_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        for targets in [Targets::Unknown, Targets::Numbers(vec![0.0]), Targets::Classes(vec![0, 1])] {
            assert!(RegressLoss::Mse.apply(Tensor::zeros([2, 1, 1], &device), &targets).is_err());
        }
    }
}
