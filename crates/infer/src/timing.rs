//! How long a token takes to decode.

use std::time::Instant;

use ansatz_core::{Codec, Error, Model, Result};
use burn::tensor::Device;

use crate::stepper::Stepper;

/// Rounds of tokens at one context, of which the median counts.
const ROUNDS: usize = 3;

/// Tokens that go in at once on the way to a context.
const PIECE: usize = 256;

/// The time of a token behind a context.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TokenTime {
    /// Tokens before it.
    pub context: usize,
    /// Milliseconds per token, each the likeliest behind the one before it: the median of three rounds.
    pub milliseconds: f64,
    /// Bytes of the state behind the context.
    pub state_bytes: usize,
}

/// Decodes `tokens` tokens behind each of `contexts`, one example at a time.
///
/// # Errors
/// When the network cannot be asked token by token, or has no position for that many tokens.
pub fn time_decoding(
    model: &Model,
    codec: &dyn Codec,
    contexts: &[usize],
    tokens: usize,
    device: &Device,
) -> Result<Vec<TokenTime>> {
    contexts.iter().map(|&context| time_at(model, codec, context, tokens, device)).collect()
}

fn time_at(
    model: &Model,
    codec: &dyn Codec,
    context: usize,
    tokens: usize,
    device: &Device,
) -> Result<TokenTime> {
    // One round more than is timed: the first one warms up.
    let last = context + tokens * (ROUNDS + 1);
    if let Some(limit) = model.backbone.limit().filter(|&limit| last > limit) {
        return Err(Error::input(
            format!("{last} tokens"),
            format!("the network has positions for {limit}"),
            format!("contexts that leave room for {} more tokens", tokens * (ROUNDS + 1)),
            "ask for shorter contexts",
        ));
    }
    let mut stepper = Stepper::new(model, codec, device)?;
    // Which tokens they are does not change the time.
    let prompt: Vec<u32> = (0..context.max(1)).map(|place| (place % codec.vocabulary()) as u32).collect();
    let mut logits = Vec::new();
    for piece in prompt.chunks(PIECE) {
        logits = stepper.step(piece)?;
    }
    let state_bytes = stepper.state_bytes();
    let mut round = || {
        let clock = Instant::now();
        for _ in 0..tokens {
            logits = stepper.step(&[likeliest(&logits)])?;
        }
        Ok(1e3 * clock.elapsed().as_secs_f64() / tokens as f64)
    };
    round()?;
    let mut times = (0..ROUNDS).map(|_| round()).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(TokenTime { context, milliseconds: times[ROUNDS / 2], state_bytes })
}

fn likeliest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|(_, left), (_, right)| left.total_cmp(right));
    best.map_or(0, |(token, _)| token as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_token_has_the_greatest_logit() {
        assert_eq!(likeliest(&[-3.0, 2.5, 2.0]), 1);
    }
}
