//! Structured pruning: a physically smaller network of the same kind.
//!
//! Nothing here knows an architecture. A network is a config with whole numbers in it, and building it with another
//! number shows which axes of which weights follow that number: those are the weights of its units. How the units lie
//! along an axis, and that a network without some of them is the one in which they are zero, is tried on a batch before
//! anything is cut.
//!
//! ```text
//! config, number 24 → 16: network, axes that follow it ─ order changed: same outputs? ─ units left out = units zero?
//!                                                                                        └ the least important are cut
//! ```

mod blocks;
mod choose;
mod config;
mod keys;
mod layout;
mod site;
mod tensors;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
mod width;

use std::collections::BTreeMap;

use ansatz_core::{ConfigError, Error, Model, Result};
use ansatz_run::{Experiment, Masks};

use self::choose::{Ranking, choose};
pub use self::config::{BlocksConfig, Importance, ShrinkConfig, WidthConfig};
use self::keys::{given, numbers};
pub use self::site::Original;
use self::site::{Site, Whole, flops, same};
use self::width::Width;
use crate::{is_any_quantized, weights};

/// A network that has become smaller.
pub struct Shrunk {
    /// Its config.
    pub experiment: Experiment,
    /// The network, without autodiff.
    pub model: Model,
    /// What of its weights had been pruned before.
    pub masks: Masks,
    /// What was cut, a sentence each.
    pub told: Vec<String>,
}

impl ShrinkConfig {
    /// The network of `original` without the units and blocks that matter least.
    ///
    /// What comes out says what the original says when the weights of these units and blocks are zero, biases and norms
    /// included, up to rounding: no output differs by more than 10⁻⁴ of the largest on the batch of `original`.
    ///
    /// # Errors
    /// When a value is out of range, a key is unknown or no width, the weights are quantized, or the widths cannot save
    /// as many operations as `flops` asks for.
    pub fn shrink(&self, original: Original<'_>) -> Result<Shrunk> {
        self.check()?;
        if is_any_quantized(original.model) {
            return Err(Error::input(
                "the order of the steps",
                "units are cut out of weights that are quantized already",
                "steps that quantize behind all that shrink",
                "move it in front of them, or begin with a run that is not quantized",
            ));
        }
        let site = Site::new(original);
        let mut whole = site.whole()?;
        for (key, value) in &self.given {
            whole.experiment = given(&site, &whole, key, *value)?;
        }
        let mut told = Vec::new();
        for blocks in &self.blocks {
            told.extend(blocks::leave_out(&site, &mut whole, blocks)?);
        }
        let widths = self.find(&site, &mut whole)?;
        let widths = self.ranked(&site, &whole, widths)?;
        let counts = match self.flops {
            Some(share) => {
                let target = share * flops(original.model) as f64;
                choose(&site, &whole, &widths, target, self.multiple())?
            }
            None => self.counts(&widths)?,
        };
        cut(&site, &mut whole, &widths, &counts)?;
        for ((width, _), count) in
            widths.iter().zip(&counts).filter(|((width, _), count)| width.units > **count)
        {
            let was = width.values(width.units).into_iter().zip(width.values(*count));
            told.extend(was.map(|((key, from), (_, to))| format!("{key}: {from} → {to}")));
        }
        let model = site.filled(&whole.experiment, &whole.tensors)?;
        Ok(Shrunk { experiment: whole.experiment, model, masks: whole.masks.masks(), told })
    }

    /// The widths that are cut.
    fn find(&self, site: &Site<'_>, whole: &mut Whole) -> Result<Vec<Width>> {
        let mut widths: Vec<Width> = Vec::new();
        if self.flops.is_some() && self.widths.is_empty() {
            for key in numbers(&whole.experiment, site.registry())? {
                // Most numbers of a config are no widths, and of two that share a weight the first is cut.
                let found = Width::find(site, whole, &[key]);
                widths.extend(found.ok().filter(|width| !widths.iter().any(|other| other.meets(width))));
            }
            return Ok(widths);
        }
        for config in &self.widths {
            let keys: Vec<String> = std::iter::once(&config.key).chain(&config.with).cloned().collect();
            let width = Width::find(site, whole, &keys)?;
            if let Some(other) = widths.iter().find(|other| other.meets(&width)) {
                return Err(keys::refused(
                    width.key(),
                    format!(
                        "its units and those of `{}` share a weight's axis: cut them in two steps",
                        other.key()
                    ),
                ));
            }
            widths.push(width);
        }
        Ok(widths)
    }

    /// The widths with their units by importance.
    fn ranked(&self, site: &Site<'_>, whole: &Whole, widths: Vec<Width>) -> Result<Vec<(Width, Ranking)>> {
        let model = site.filled(&whole.experiment, &whole.tensors)?;
        let kinds: BTreeMap<_, _> =
            weights(&model).into_iter().map(|weight| (weight.name, weight.kind)).collect();
        let rank = |width: Width| {
            let ranking = Ranking::new(&width.importance(&whole.tensors, &kinds, self.importance));
            (width, ranking)
        };
        Ok(widths.into_iter().map(rank).collect())
    }

    /// How many units stay of each width, as `keep` says.
    fn counts(&self, widths: &[(Width, Ranking)]) -> Result<Vec<usize>> {
        let multiple = self.multiple();
        let count = |(index, (config, (width, _))): (usize, (&WidthConfig, &(Width, Ranking)))| {
            let share = config.keep.unwrap_or(1.0) * width.units as f64 / multiple as f64;
            let count = (share.round() as usize).max(1) * multiple;
            if count < width.units {
                return Ok(count);
            }
            let problem = format!("all {} units of `{}` would stay", width.units, config.key);
            let expected = format!("a share that leaves out at least {multiple} of them");
            Err(ConfigError::value(format!("widths[{index}].keep"), problem, expected).into())
        };
        self.widths.iter().zip(widths).enumerate().map(count).collect()
    }
}

/// Cuts all but `counts` units out of the widths of `whole`, all at once.
fn cut(site: &Site<'_>, whole: &mut Whole, widths: &[(Width, Ranking)], counts: &[usize]) -> Result<()> {
    let values = widths.iter().zip(counts).flat_map(|((width, _), count)| width.values(*count));
    let experiment = site.changed(&whole.experiment, &values.collect::<Vec<_>>())?;
    let (mut tensors, mut masks) = (whole.tensors.clone(), whole.masks.clone());
    let mut silent = whole.tensors.clone();
    for ((width, ranking), count) in widths.iter().zip(counts) {
        let kept = ranking.first(*count);
        tensors = width.select(tensors, &kept);
        masks = width.select(masks, &kept);
        silent = width.silence(silent, &kept);
    }
    let outputs = site.said(&experiment, &tensors)?;
    if !same(&site.said(&whole.experiment, &silent)?, &outputs) {
        return Err(Error::input(
            "widths",
            "cut together, they leave another network than the one in which their units are zero",
            "widths that do not depend on each other",
            "cut some of them in a step of their own",
        ));
    }
    *whole = Whole { experiment, tensors, masks, outputs };
    Ok(())
}
