//! `[init.lora]`: matrices that stay, each with a small learned change beside it.

use ansatz_core::{ConfigError, Model};
use ansatz_run::{InitConfig, LoraConfig, Taken};
use burn::module::{Lora, Module, ParamGroup, ParamId};

use crate::start::Places;

/// The network whose matrices under `lora.layers` become
///
/// ```text
/// W + s A B,  A [inputs, rank] ~ N(0, 1 / rank),  B [rank, outputs] = 0
/// ```
///
/// (Hu et al., LoRA, 2021, arXiv:2106.09685, equation 3, s the scale that is α / r there). A and B learn, and what did
/// not come from the other run; all else stays.
///
/// # Errors
/// When a path leads to no matrix.
pub(crate) fn adapt(model: Model, init: &InitConfig, taken: &Taken) -> Result<Model, ConfigError> {
    let Some(LoraConfig { rank, scale, layers }) = &init.lora else { return Ok(model) };
    let mut places = Places::default();
    model.visit(&mut places);
    let mut matrices: Vec<ParamId> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let inside: Vec<ParamId> =
            places.inside(layer).filter(|place| place.rank == Some(2)).map(|place| place.id).collect();
        if inside.is_empty() {
            return Err(places.unknown(&format!("init.lora.layers[{index}]"), layer, "matrix"));
        }
        matrices.extend(inside);
    }
    let fresh = places.found.iter().filter(|place| taken.fresh.contains(&place.path));
    let fresh: Vec<ParamId> = fresh.map(|place| place.id).collect();
    let lora = Lora::new(*rank, scale * *rank as f64).set_param_group(ParamGroup::from_ids(matrices));
    Ok(model.apply_lora(lora).unfreeze_group(ParamGroup::from_ids(fresh)))
}
