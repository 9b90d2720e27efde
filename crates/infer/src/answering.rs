//! How long an answer takes.

use std::time::Instant;

use ansatz_core::{Batch, HostOutputs, Result};
use ansatz_run::{Latency, Trained};
use burn::tensor::Device;

/// Answers that are not timed.
const WARMUP: usize = 10;

/// Answers that are timed.
const TIMED: usize = 60;

/// The times of answers to `batch`, from its tensors on the host to the outputs there, all views of it included: 60
/// behind 10 that are not timed.
///
/// # Errors
/// When the inputs are not those of the network.
pub fn time_answers(trained: &Trained, batch: &Batch, device: &Device) -> Result<Latency> {
    let answer = || {
        let clock = Instant::now();
        HostOutputs::read(trained.model.judge(batch, &*trained.encoder, device)?)?;
        Ok(1e3 * clock.elapsed().as_secs_f64())
    };
    let times: Vec<f64> = (0..WARMUP + TIMED).map(|_| answer()).collect::<Result<_>>()?;
    Ok(Latency::of(batch.examples, times[WARMUP..].to_vec()))
}
