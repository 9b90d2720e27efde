//! No output depends on a later token.

use burn::tensor::Tensor;

use crate::case::Case;
use crate::compare::{close, host, magnitude};
use crate::network::Network;
use crate::run::Subject;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    if subject.plain.recurrent().is_none() {
        return Ok(None);
    }
    let length = case.input.length;
    let forward = |tokens: Tensor<3>| subject.plain.forward(case.features(tokens)).tokens;
    let tokens = case.tokens(1, &subject.device);
    let other = case.tokens(2, &subject.device) * 3.0;
    let outputs = forward(tokens.clone());
    let mut worst = 0.0f64;
    for past in 1..length {
        let future = other.clone().narrow(1, past, length - past);
        let changed = forward(Tensor::cat(vec![tokens.clone().narrow(1, 0, past), future], 1));
        let before = host(outputs.clone().narrow(1, 0, past))?;
        let after = host(changed.narrow(1, 0, past))?;
        let what = format!("outputs of the first {past} tokens, after later ones were changed");
        worst = worst.max(close(&what, &after, &before, magnitude(&before))?);
    }
    Ok(Some(worst))
}
