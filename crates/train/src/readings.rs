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
