//! Writing on from a prompt, the likeliest token each time.

use ansatz_core::Result;
use burn::tensor::{Tensor, TensorData};

use crate::{Generated, Values};

/// `count` greedy tokens behind `prompt`, `[batch, length]`. `step` gives the logits `[batch, length, vocabulary]` of
/// the next tokens, which come one at a time behind the prompt.
///
/// # Errors
/// When a step fails.
pub(crate) fn greedy(
    prompt: TensorData,
    count: usize,
    mut step: impl FnMut(TensorData) -> Result<Tensor<3>>,
) -> Result<Generated> {
    let batch = prompt.shape().to_vec()[0];
    let mut next = prompt;
    let mut tokens = vec![Vec::with_capacity(count); batch];
    let mut logits = Vec::with_capacity(count);
    for _ in 0..count {
        let all = step(next)?;
        let [_, length, vocabulary] = all.dims();
        let last = all.narrow(1, length - 1, 1);
        let values = Values::from_data(last.into_data());
        let chosen: Vec<i64> = values.values.chunks(vocabulary).map(|row| largest(row) as i64).collect();
        for (row, token) in tokens.iter_mut().zip(&chosen) {
            row.push(*token as u32);
        }
        next = TensorData::new(chosen, [batch, 1]);
        logits.push(values);
    }
    let logits = Values::joined(&logits, 1).expect("every step has the same shape");
    Ok(Generated { tokens, logits })
}

/// The place of the largest value, the first of several.
fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}
