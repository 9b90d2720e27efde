//! Long inputs stay finite.

use super::recurrence::steps;
use crate::case::Case;
use crate::compare::{finite, host};
use crate::network::Network;
use crate::run::Subject;

const LENGTH: usize = 1024;
const CHUNK: usize = 128;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    if !subject.plain.any_length() || case.input.grid.is_some() {
        return Ok(None);
    }
    let case = case.with_batch(1).with_length(LENGTH);
    let tokens = case.tokens(1, &subject.device);
    let outputs = subject.plain.forward(case.features(tokens.clone())).tokens;
    finite(&format!("outputs of {LENGTH} tokens"), &host(outputs)?)?;
    if let Some(form) = subject.plain.recurrent() {
        let outputs = steps(form, tokens, &[CHUNK; LENGTH / CHUNK], &subject.device);
        finite(&format!("outputs of {LENGTH} tokens in steps of {CHUNK}"), &host(outputs)?)?;
    }
    Ok(Some(0.0))
}
