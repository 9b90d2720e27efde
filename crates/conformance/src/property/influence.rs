//! The reading of influence is one.

use crate::case::Case;
use crate::compare::{finite, host};
use crate::network::Network;
use crate::run::Subject;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let readings = subject.plain.influence(case.features(case.tokens(1, &subject.device)));
    if readings.is_empty() {
        return Ok(None);
    }
    let causal = subject.plain.recurrent().is_some();
    for (layer, reading) in readings {
        let dims = reading.dims();
        let [batch, _, to, from] = dims;
        let length = case.input.length;
        if subject.plain.any_length() && [batch, to, from] != [case.batch, length, length] {
            return Err(format!("`{layer}` reads {dims:?} for batch {} and {length} tokens", case.batch));
        }
        let values = host(reading)?;
        finite(&format!("influence of `{layer}`"), &values)?;
        let later = |index: usize| index % from > index / from % to;
        if let Some(place) = (0..values.len()).find(|&place| causal && later(place) && values[place] != 0.0) {
            let (to, from) = (place / from % to, place % from);
            return Err(format!(
                "`{layer}`: token {to} takes {:e} from the later token {from}",
                values[place]
            ));
        }
    }
    Ok(Some(0.0))
}
