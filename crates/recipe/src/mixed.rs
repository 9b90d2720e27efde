//! A recipe that asks of each layer what it can spare.

use std::path::Path;
use std::sync::Arc;

use ansatz_core::{Error, OpenData, Places, Registry, Result};
use ansatz_run::Trained;
use ansatz_run::written::is_share;
use burn::tensor::Device;
use serde::Serialize;

use crate::sensitivity::{METHODS, Method, judge};
use crate::{Loss, Recipe, Sensitivity};

/// A recipe with a method for each layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mixed {
    /// The steps, for one method each.
    pub recipe: Recipe,
    /// The most that a layer lost by itself: points of a share, else the unit of the figure.
    pub budget: f64,
    /// Layers that no method left within the budget.
    pub spared: Vec<String>,
    /// The task's deciding figure on the validation part, all layers compressed together.
    pub quality: f64,
}

/// Gives each layer the method of the fewest bits under which it alone loses no more than `budget` of the deciding figure
/// on the validation part, in points where that is a share and else in its own unit, and judges all of them together.
/// `found` is what [`crate::sensitivity`] found of the run at `path`.
///
/// # Errors
/// When no layer stays within the budget, or the run or its data cannot be read.
pub fn mixed(
    path: &Path,
    found: &Sensitivity,
    budget: f64,
    (registry, places): (&Registry, &Places),
    device: &Device,
) -> Result<Mixed> {
    let mut trained = Trained::load(path, registry, device)?;
    let names: Vec<String> = ansatz_compress::weights(&trained.model).into_iter().map(|it| it.name).collect();
    let chosen: Vec<(&String, Option<Method>)> =
        names.iter().map(|name| (name, cheapest(name, found, budget))).collect();
    let mut recipe = Recipe { step: Vec::new() };
    for method in METHODS {
        let of_method =
            |(name, found): &(&String, Option<Method>)| (*found == Some(method)).then(|| (*name).clone());
        let only: Vec<String> = chosen.iter().filter_map(of_method).collect();
        if only.is_empty() {
            continue;
        }
        trained.model = method.on(only.clone(), &trained.model, device)?;
        recipe.step.push(method.step(only));
    }
    if recipe.step.is_empty() {
        return Err(Error::input(
            path.display(),
            format!("every layer loses more than {budget} under every method"),
            "a budget that a layer stays within",
            "give a larger --budget",
        ));
    }
    let data: Arc<dyn OpenData> = trained.plan.data.open(places)?.into();
    let quality = judge(&trained, &data, device)?.primary_value();
    let spared = chosen.iter().filter(|(_, method)| method.is_none()).map(|(name, _)| (*name).clone());
    Ok(Mixed { recipe, budget, spared: spared.collect(), quality })
}

/// The method of the fewest bits among those under which the layer `name` stays within `budget`; of two alike that with
/// the lower loss.
fn cheapest(name: &str, found: &Sensitivity, budget: f64) -> Option<Method> {
    // What is lost is a difference of two figures, and so exact to some 15 digits only.
    let within = |loss: &&Loss| loss.layer == name && lost(found, loss) <= budget + 1e-9;
    let order = |a: &&Loss, b: &&Loss| a.how.bits().total_cmp(&b.how.bits()).then(a.lost.total_cmp(&b.lost));
    found.losses.iter().filter(within).min_by(order).map(|loss| loss.how)
}

/// What a layer loses of the deciding figure, in points or in its unit.
fn lost(found: &Sensitivity, loss: &Loss) -> f64 {
    let unit = if is_share(&found.figure) { 100.0 } else { 1.0 };
    let worse =
        if found.higher_is_better { found.quality - loss.quality } else { loss.quality - found.quality };
    // A figure that is not a number is beyond any budget.
    if worse.is_finite() { unit * worse } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        figure: &str,
        higher_is_better: bool,
        quality: f64,
        losses: &[(&str, Method, f64)],
    ) -> Sensitivity {
        let loss = |&(layer, how, quality): &(&str, Method, f64)| Loss {
            layer: layer.to_owned(),
            part: None,
            values: 8,
            method: how.name(),
            quality,
            lost: 0.0,
            how,
        };
        Sensitivity {
            figure: figure.to_owned(),
            higher_is_better,
            quality,
            loss: 1.0,
            losses: losses.iter().map(loss).collect(),
        }
    }

    #[test]
    fn each_layer_gets_the_fewest_bits_that_it_bears() {
        let losses = [
            ("a", Method::Quantize(8), 0.990),
            ("a", Method::Quantize(4), 0.985),
            ("a", Method::Prune(0.8), 0.9895),
            ("b", Method::Quantize(3), 0.991),
            ("c", Method::Quantize(8), f64::NAN),
        ];
        let found = found("accuracy", true, 0.99, &losses);
        let choices = |budget| ["a", "b", "c"].map(|name| cheapest(name, &found, budget));
        assert_eq!(choices(0.0), [Some(Method::Quantize(8)), Some(Method::Quantize(3)), None]);
        // Of five values four are left out: 7.4 bits are less than 8.
        assert_eq!(choices(0.1), [Some(Method::Prune(0.8)), Some(Method::Quantize(3)), None]);
        assert_eq!(choices(0.5), [Some(Method::Quantize(4)), Some(Method::Quantize(3)), None]);
    }

    #[test]
    fn a_figure_that_is_no_share_is_counted_in_its_unit() {
        let losses = [("a", Method::Quantize(8), 2.26), ("a", Method::Quantize(3), 2.4)];
        let found = found("bits_per_byte", false, 2.25, &losses);
        assert_eq!(cheapest("a", &found, 0.1), Some(Method::Quantize(8)));
        assert_eq!(cheapest("a", &found, 0.2), Some(Method::Quantize(3)));
        assert_eq!(cheapest("a", &found, 0.001), None);
    }
}
