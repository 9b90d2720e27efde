//! Losses that still lie on the device.
//!
//! Reading a figure from a GPU makes the processor wait for it. So the losses of several steps are kept
//! there and read together, and the step at which one stopped being finite is still known exactly.

use ansatz_core::{Error, Result};
use burn::tensor::Tensor;

use crate::step::StepResult;

/// Losses that still lie on the device, in the order of their steps.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    unread: Vec<Unread>,
    gradient_norm: Option<Tensor<1>>,
}

#[derive(Debug)]
struct Unread {
    step: u64,
    rate: f64,
    loss: Tensor<1>,
}

/// What was read of the last step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Mean loss of the step's examples.
    pub loss: f64,
    /// Norm of all gradients together before clipping, where it was taken.
    pub gradient_norm: Option<f64>,
}

/// A figure that is not finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NotFinite {
    /// What it is: `loss`, `norm of the gradients`.
    pub figure: &'static str,
    /// Its value.
    pub value: f64,
    /// The step it came of.
    pub step: u64,
    /// The learning rate of that step.
    pub rate: f64,
}

impl Readings {
    /// Takes in what a step gave.
    pub(crate) fn take_in(&mut self, step: u64, rate: f64, result: StepResult) {
        self.unread.push(Unread { step, rate, loss: result.loss });
        self.gradient_norm = result.gradient_norm;
    }

    /// Reads everything; of the last step if there was any since.
    ///
    /// # Errors
    /// When the device fails to hand the figures over.
    pub(crate) fn read(&mut self) -> Result<Option<Result<Reading, NotFinite>>> {
        let unread = std::mem::take(&mut self.unread);
        let norm = self.gradient_norm.take();
        let Some(last) = unread.last() else { return Ok(None) };
        let (step, rate) = (last.step, last.rate);
        let figures = unread.iter().map(|unread| unread.loss.clone()).chain(norm.clone()).collect();
        let figures: Vec<f32> = Tensor::cat(figures, 0)
            .into_data()
            .convert::<f32>()
            .try_to_vec()
            .map_err(|error| Error::Failed(format!("reading the loss of step {step}: {error:?}")))?;
        for (unread, loss) in unread.iter().zip(&figures) {
            if !loss.is_finite() {
                let Unread { step, rate, .. } = *unread;
                return Ok(Some(Err(NotFinite { figure: "loss", value: f64::from(*loss), step, rate })));
            }
        }
        let loss = f64::from(figures[unread.len() - 1]);
        let gradient_norm = norm.and(figures.last()).map(|norm| f64::from(*norm));
        if let Some(value) = gradient_norm.filter(|norm| !norm.is_finite()) {
            return Ok(Some(Err(NotFinite { figure: "norm of the gradients", value, step, rate })));
        }
        Ok(Some(Ok(Reading { loss, gradient_norm })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(losses: &[f32], norm: Option<f32>) -> Readings {
        let device = ansatz_device::open("cpu").unwrap();
        let tensor = |value: f32| Tensor::<1>::from_floats([value], &device);
        let mut readings = Readings::default();
        for (index, loss) in losses.iter().enumerate() {
            let result = StepResult { loss: tensor(*loss), gradient_norm: norm.map(tensor) };
            readings.take_in(index as u64 + 1, 0.1, result);
        }
        readings
    }

    #[test]
    fn the_last_step_is_read_once() {
        let mut readings = readings(&[3.0, 2.0], Some(5.0));
        let reading = Reading { loss: 2.0, gradient_norm: Some(5.0) };
        assert_eq!(readings.read().unwrap(), Some(Ok(reading)));
        assert_eq!(readings.read().unwrap(), None);
    }

    #[test]
    fn the_first_step_that_is_not_finite_is_named() {
        let not_finite = readings(&[1.0, f32::INFINITY, f32::NAN], None).read().unwrap().unwrap();
        let expected = NotFinite { figure: "loss", value: f64::INFINITY, step: 2, rate: 0.1 };
        assert_eq!(not_finite, Err(expected));
        let not_finite = readings(&[1.0], Some(f32::INFINITY)).read().unwrap().unwrap();
        assert_eq!(not_finite.unwrap_err().figure, "norm of the gradients");
    }
}
