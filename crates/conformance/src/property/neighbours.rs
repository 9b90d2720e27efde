//! The other examples of a batch change nothing.

use crate::case::Case;
use crate::compare::{close, host, magnitude};
use crate::network::Network;
use crate::run::Subject;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let case = case.with_batch(3);
    let tokens = case.tokens(1, &subject.device);
    let together = subject.plain.forward(case.features(tokens.clone())).tokens;
    let mut worst = 0.0f64;
    for row in 0..case.batch {
        let alone = subject.plain.forward(case.features(tokens.clone().narrow(0, row, 1))).tokens;
        let alone = host(alone)?;
        let found = host(together.clone().narrow(0, row, 1))?;
        let what = format!("outputs of example {row} of {} against the same example alone", case.batch);
        worst = worst.max(close(&what, &found, &alone, magnitude(&alone))?);
    }
    Ok(Some(worst))
}
