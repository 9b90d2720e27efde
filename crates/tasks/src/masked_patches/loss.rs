//! What is learned from hidden values.

use ansatz_core::{Error, Result, Targets};
use burn::tensor::{Tensor, TensorData};

use crate::RegressLoss;

/// The mean loss of the hidden values, `[1]`; 0 where nothing is hidden. `outputs` are all values,
/// `[batch, rows × columns, channels]`.
///
/// # Errors
/// When `targets` are no hidden values, or not as many.
pub(super) fn mean(loss: RegressLoss, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
    let dims = outputs.dims();
    let (values, hidden) = hidden_values(targets, dims.iter().product())?;
    let kind = (&outputs.device(), outputs.dtype());
    let on_device = |values: Vec<f32>| Tensor::<3>::from_data(TensorData::new(values, dims), kind);
    let asked = hidden.iter().map(|hidden| f32::from(u8::from(*hidden))).collect();
    let count = hidden.iter().filter(|hidden| **hidden).count();
    let errors = (outputs - on_device(values.to_vec())) * on_device(asked);
    Ok(loss.of_each(errors).sum() / count.max(1) as f64)
}

/// All values, and which of them are hidden.
///
/// # Errors
/// When `targets` are of another kind, or not `count` values.
pub(super) fn hidden_values(targets: &Targets, count: usize) -> Result<(&[f32], &[bool])> {
    match targets {
        Targets::HiddenValues { values, hidden } if values.len() == count && hidden.len() == count => {
            Ok((values, hidden))
        }
        Targets::HiddenValues { values, .. } => {
            Err(Error::Failed(format!("{} values with some hidden, expected {count}", values.len())))
        }
        _ => Err(Error::Failed("labels that are no hidden values".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_values_alone_count_in_the_loss_and_its_gradient() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let targets = Targets::HiddenValues {
            values: vec![1.0, -2.0, 9.0, 0.5],
            hidden: vec![true, true, false, false],
        };
        for (loss, expected, slopes) in
            [(RegressLoss::Mse, 2.125, [0.5, 2.0, 0.0, 0.0]), (RegressLoss::Mae, 1.25, [0.5, 0.5, 0.0, 0.0])]
        {
            let outputs = Tensor::<3>::from_data([[[1.5f32, 0.0]], [[3.0, 7.0]]], &device).require_grad();
            let found = mean(loss, outputs.clone(), &targets).unwrap();
            let gradient = outputs.grad(&found.backward()).expect("tracked");
            assert_eq!(gradient.into_data().try_to_vec::<f32>().unwrap(), slopes);
            assert_eq!(found.into_scalar::<f32>(), expected);
        }
    }

    #[test]
    fn labels_that_do_not_match_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let short = Targets::HiddenValues { values: vec![0.0; 3], hidden: vec![true; 3] };
        for targets in [Targets::Unknown, short] {
            assert!(mean(RegressLoss::Mse, Tensor::zeros([2, 2, 1], &device), &targets).is_err());
        }
        let nothing = Targets::HiddenValues { values: vec![1.0; 4], hidden: vec![false; 4] };
        let outputs = Tensor::zeros([2, 2, 1], &device);
        assert_eq!(mean(RegressLoss::Mse, outputs, &nothing).unwrap().into_scalar::<f32>(), 0.0);
    }
}
