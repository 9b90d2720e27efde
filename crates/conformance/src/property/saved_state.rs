//! A state can be saved, restored and forked.

use ansatz_core::{Context, State};

use crate::case::Case;
use crate::compare::{close, host, magnitude};
use crate::network::Network;
use crate::run::Subject;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let Some(form) = subject.plain.recurrent() else { return Ok(None) };
    let device = &subject.device;
    let length = case.input.length;
    let past = length.div_ceil(2);
    if past == length {
        return Ok(None);
    }
    let tokens = case.tokens(1, device);
    let next = tokens.clone().narrow(1, past, length - past);
    let other = case.tokens(2, device).narrow(1, past, length - past);
    let mut state = form.state(case.batch, device);
    form.step(tokens.narrow(1, 0, past), &mut state, &Context::default());

    let saved = state.to_data();
    let mut restored = State::from_data(saved, device);
    if restored.position != state.position {
        return Err(format!("position {} is restored as {}", state.position, restored.position));
    }
    let (before, after) = (state.tensors(), restored.tensors());
    if before.len() != after.len() {
        return Err(format!("{} tensors are restored as {}", before.len(), after.len()));
    }
    for ((name, before), (_, after)) in before.into_iter().zip(after) {
        if before.to_data() != after.to_data() {
            return Err(format!("the tensor `{name}` is restored with other values"));
        }
    }

    // A fork goes its own way first; what it does must not reach the state it came from.
    let mut fork = state.clone();
    form.step(other, &mut fork, &Context::default());
    let resumed = host(form.step(next.clone(), &mut restored, &Context::default()))?;
    let went_on = host(form.step(next, &mut state, &Context::default()))?;
    let what = "outputs after a fork went another way, against the restored state";
    Ok(Some(close(what, &went_on, &resumed, magnitude(&resumed))?))
}
