//! What leaves has the announced shape.

use crate::case::{Case, mask};
use crate::network::Network;
use crate::run::Subject;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let expected = subject.plain.output(&case.input);
    let mut features = case.features(case.tokens(1, &subject.device));
    if case.input.grid.is_none() {
        features.mask = Some(mask(&vec![vec![true; case.input.length]; case.batch], &subject.device));
    }
    let masked = features.mask.is_some();
    let found = subject.plain.forward(features);
    let (dims, announced) = (found.tokens.dims(), [case.batch, expected.length, expected.width]);
    if dims != announced {
        return Err(format!("the shape is {dims:?}, announced is {announced:?}"));
    }
    if found.grid != expected.grid {
        return Err(format!("the grid is {:?}, announced is {:?}", found.grid, expected.grid));
    }
    if masked && expected.length == case.input.length && found.mask.is_none() {
        return Err("the mask is lost".to_owned());
    }
    Ok(Some(0.0))
}
