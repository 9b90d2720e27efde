//! The table of layers is honest.

use std::collections::BTreeSet;

use crate::case::Case;
use crate::network::Network;
use crate::parameters::trainable;
use crate::run::Subject;

pub(crate) fn check<N: Network>(subject: &Subject<'_, N>, case: &Case) -> Result<Option<f64>, String> {
    let Some(layers) = subject.training.layers(&case.input) else { return Ok(None) };
    let mut names = BTreeSet::new();
    if let Some(twice) = layers.iter().find(|layer| !names.insert(&layer.name)) {
        return Err(format!("the layer `{}` stands twice in the table", twice.name));
    }
    let counted: usize = layers.iter().map(|layer| layer.parameters).sum();
    let real: usize = trainable(&subject.training)?.iter().map(|(_, values)| values.len()).sum();
    if counted != real {
        return Err(format!("the table counts {counted} trainable values, the network has {real}"));
    }
    if real > 0 && layers.iter().all(|layer| layer.flops == 0) {
        return Err("no layer costs any operation".to_owned());
    }
    Ok(Some(0.0))
}
