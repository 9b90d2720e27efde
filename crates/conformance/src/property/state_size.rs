//! The declared growth of the state is the real one.

use ansatz_core::Context;

use crate::case::Case;
use crate::network::Network;
use crate::run::Subject;

/// Tokens after which the state is measured.
const MEASURED: [usize; 4] = [1, 2, 17, 64];

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let Some(form) = subject.plain.recurrent() else { return Ok(None) };
    let measured: Vec<usize> =
        if subject.plain.any_length() { MEASURED.to_vec() } else { (1..=case.input.length).collect() };
    let longest = measured[measured.len() - 1];
    let tokens = case.with_length(longest).tokens(1, &subject.device);
    let mut state = form.state(case.batch, &subject.device);
    let mut seen = 0;
    let mut sizes = Vec::new();
    for until in measured {
        form.step(tokens.clone().narrow(1, seen, until - seen), &mut state, &Context::default());
        seen = until;
        if state.position != seen {
            return Err(format!("the state stands at position {} after {seen} tokens", state.position));
        }
        sizes.push((seen, state.elements()));
    }
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    if let Some(other) = sizes.iter().find(|size| form.constant_state() && size.1 != first.1) {
        let (seen, elements) = other;
        return Err(format!(
            "declared constant, but it holds {} values after 1 token and {elements} after {seen}",
            first.1
        ));
    }
    if !form.constant_state() && sizes.len() > 1 && last.1 <= first.1 {
        return Err(format!(
            "declared growing, but it holds {} values after 1 token and {} after {}",
            first.1, last.1, last.0
        ));
    }
    Ok(Some(0.0))
}
