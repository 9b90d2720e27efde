//! `kind = "prune"`: which values of the weights are left out.

use ansatz_core::{ConfigError, Error, Result};
use ansatz_run::{Mask, Masks, Scope, largest};
use burn::module::Module;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibrate::CalibrationConfig;
use crate::criterion::Criterion;
use crate::{Layers, Weight, weights};

/// Leaves out the values that matter least: they become zero, and stay zero through later steps.
///
/// By magnitude: Han et al., "Learning both weights and connections for efficient neural networks", 2015, section 3.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PruneConfig {
    /// Which values may go together.
    pub pattern: Pattern,
    /// By what it is decided which go.
    pub criterion: Criterion,
    /// The examples that a criterion is shown which looks at inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationConfig>,
    /// Dotted names of the weights that are pruned, or of what they lie in; empty: all matrices of linear layers and
    /// kernels of convolutions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Dotted names of weights that are spared, or of what they lie in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// Which values may go together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(inline)]
pub enum Pattern {
    /// Any.
    Unstructured {
        /// The share that is left out, above 0 and below 1.
        ratio: f64,
        /// Among which values the least are sought.
        #[serde(default)]
        scope: Scope,
    },
    /// Of every `of` inputs of an output that follow each other, all but `keep`: 2 of 4 is what sparse units of GPUs
    /// compute with. Mishra et al., "Accelerating sparse deep neural networks", 2021, section 3.
    NOfM {
        /// How many stay, from 1.
        keep: usize,
        /// Of how many, above `keep`.
        of: usize,
        /// What is done with a weight whose inputs are no multiple of `of`.
        #[serde(default)]
        misfits: Misfits,
    },
}

impl Default for Pattern {
    fn default() -> Self {
        Self::Unstructured { ratio: 0.5, scope: Scope::Global }
    }
}

/// What is done with a weight that a pattern does not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Misfits {
    /// It is an error.
    #[default]
    Refuse,
    /// It is not pruned, unless `only` names it: then it is an error.
    Spare,
}

impl PruneConfig {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// With the path of the value at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_criterion()?;
        match self.pattern {
            Pattern::Unstructured { ratio, .. } if !(ratio > 0.0 && ratio < 1.0) => Err(ConfigError::value(
                "pattern.unstructured.ratio",
                format!("{ratio} is out of range"),
                "a share above 0 and below 1",
            )),
            Pattern::NOfM { keep, of, .. } if keep == 0 || keep >= of => Err(ConfigError::value(
                "pattern.n-of-m.keep",
                format!("{keep} of {of} leaves nothing, or leaves nothing out"),
                "a whole number from 1, below `of`",
            )),
            _ => Ok(()),
        }
    }

    /// Which values of `module` stay, by magnitude. What is zero already counts among the least.
    ///
    /// # Errors
    /// When a value is out of range, a name is unknown, or the pattern does not fit a weight; and when the criterion needs
    /// examples, which [`PruneConfig::prune_with`] takes.
    pub fn masks<M: Module>(&self, module: &M) -> Result<Masks> {
        let weights = self.select(weights(module))?;
        if self.calibration().is_some() {
            return Err(Error::input(
                "criterion",
                "it decides by what a network meets, and there are no examples",
                "criterion = \"magnitude\" where there are none",
                "call PruneConfig::prune_with",
            ));
        }
        let mut masks = Masks::default();
        for (weight, kept) in weights.iter().zip(self.kept(&weights)) {
            masks.add(&weight.name, Mask { shape: weight.shape.clone(), kept });
        }
        Ok(masks)
    }

    /// Which values of `weights` stay, those of least magnitude going first.
    pub(crate) fn kept(&self, weights: &[Weight]) -> Vec<Vec<bool>> {
        match self.pattern {
            Pattern::Unstructured { ratio, scope } => largest(weights, ratio, scope),
            Pattern::NOfM { keep, of, .. } => {
                weights.iter().map(|weight| largest_of_each(weight, keep, of)).collect()
            }
        }
    }

    /// The weights that are pruned.
    ///
    /// # Errors
    /// Like [`PruneConfig::masks`].
    pub fn select(&self, weights: Vec<Weight>) -> Result<Vec<Weight>> {
        self.check()?;
        let layers = Layers { only: self.only.clone(), except: self.except.clone() };
        let mut selected = layers.select(weights)?;
        let Pattern::NOfM { of, misfits, .. } = self.pattern else { return Ok(selected) };
        let fits = |weight: &Weight| weight.inputs().is_multiple_of(of);
        let spared = |weight: &Weight| misfits == Misfits::Spare && !layers.names(weight);
        if let Some(weight) = selected.iter().find(|weight| !fits(weight) && !spared(weight)) {
            return Err(Error::input(
                format!("pattern.n-of-m.of: {of}"),
                format!("`{}` has {} inputs, no multiple of {of}", weight.name, weight.inputs()),
                "a number that divides the inputs of every weight that is pruned",
                format!("name it in `except`, or put `misfits = \"spare\"` beside `of = {of}`"),
            ));
        }
        selected.retain(fits);
        if selected.is_empty() {
            return Err(Error::input(
                format!("pattern.n-of-m.of: {of}"),
                "it divides the inputs of no weight",
                "a number that divides the inputs of some weights",
                "choose another",
            ));
        }
        Ok(selected)
    }
}

/// Of each `of` inputs of an output the `keep` of largest magnitude; among equals the first. A kernel's windows are
/// looked at place by place.
fn largest_of_each(weight: &Weight, keep: usize, of: usize) -> Vec<bool> {
    let axis = weight.input_axis();
    let stride: usize = weight.shape[axis + 1..].iter().product();
    let inputs = weight.inputs();
    let mut kept = vec![false; weight.values.len()];
    for first in (0..weight.values.len()).filter(|index| (index / stride % inputs).is_multiple_of(of)) {
        let mut group: Vec<usize> = (0..of).map(|member| first + member * stride).collect();
        group.sort_by(|a, b| weight.values[*b].abs().total_cmp(&weight.values[*a].abs()));
        group.iter().take(keep).for_each(|index| kept[*index] = true);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::weights::tests::mixed;
    use proptest::prelude::*;

    fn config(text: &str) -> Result<PruneConfig, String> {
        let config: PruneConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    fn shares(masks: &Masks) -> Vec<f64> {
        let share =
            |mask: &Mask| mask.kept.iter().filter(|kept| **kept).count() as f64 / mask.kept.len() as f64;
        masks.iter().map(|(_, mask)| share(mask)).collect()
    }

    #[test]
    fn values_out_of_range_and_unknown_keys_are_refused() {
        for (text, problem) in [
            ("pattern = { unstructured = { ratio = 1.0 } }", "pattern.unstructured.ratio"),
            ("pattern = { unstructured = { ratio = 0.0 } }", "pattern.unstructured.ratio"),
            ("pattern = { unstructured = { ratio = nan } }", "pattern.unstructured.ratio"),
            ("pattern = { n-of-m = { keep = 4, of = 4 } }", "pattern.n-of-m.keep"),
            ("pattern = { n-of-m = { keep = 0, of = 4 } }", "pattern.n-of-m.keep"),
            ("pattern = { n-of-m = { keep = 2, of = 4, ratio = 0.5 } }", "unexpected keys"),
            ("ratio = 0.5", "unknown field"),
            ("criterion = \"wander\"", "unknown variant"),
            ("criterion = \"wanda\"", "scope = \"output\""),
            ("criterion = \"sparse-gpt\"", "scope = \"layer\""),
            ("calibration = { examples = 8 }", "sees no examples"),
            ("criterion = \"wanda\"\ncalibration = { examples = 0 }", "nonzero"),
        ] {
            let message = config(text).unwrap_err();
            assert!(message.contains(problem), "{text}: {message}");
        }
    }

    #[test]
    fn the_least_of_all_go_or_the_least_of_each_layer() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut module = mixed(&device);
        // One layer of which all values are larger than any other.
        module.layers[1].weight = module.layers[1].weight.clone().map(|weight| weight.ones_like() * 9.0);
        let global = config("pattern = { unstructured = { ratio = 0.75 } }").unwrap().masks(&module).unwrap();
        let [kernel, first, second] = shares(&global)[..] else { panic!("three weights") };
        let kept = kernel * 288.0 + first * 96.0 + second * 18.0;
        assert_eq!(kept.round() as usize, 402 - 302);
        assert_eq!(second, 1.0);
        let layer = "pattern = { unstructured = { ratio = 0.75, scope = \"layer\" } }";
        let masks = config(layer).unwrap().masks(&module).unwrap();
        assert_eq!(shares(&masks), [0.25, 0.25, 4.0 / 18.0]);
        // What stays is no smaller than what goes.
        let weights = weights(&module);
        let largest = |kept: bool| {
            let mask = masks.get("layers.0.weight").unwrap();
            let values = weights[1].values.iter().zip(&mask.kept).filter(move |(_, own)| **own == kept);
            values.map(|(value, _)| value.abs()).collect::<Vec<_>>()
        };
        let least = largest(true).into_iter().fold(f32::INFINITY, f32::min);
        assert!(largest(false).into_iter().all(|value| value <= least));
    }

    #[test]
    fn what_does_not_divide_is_refused_or_spared() {
        let device = ansatz_device::open("cpu").unwrap();
        let module = mixed(&device);
        let pattern = |more: &str| format!("pattern = {{ n-of-m = {{ keep = 2, of = 4{more} }} }}");
        let message = config(&pattern("")).unwrap().masks(&module).unwrap_err().to_string();
        assert!(
            message.contains("`layers.1.weight` has 6 inputs") && message.contains("except"),
            "{message}"
        );
        let spare = pattern(", misfits = \"spare\"");
        let masks = config(&spare).unwrap().masks(&module).unwrap();
        assert_eq!(shares(&masks), [0.5, 0.5]);
        let named = format!("{spare}\nonly = [\"layers.1\"]");
        assert!(config(&named).unwrap().masks(&module).is_err());
    }

    proptest! {
        #[test]
        fn of_m_inputs_n_stay_and_none_that_goes_is_larger(
            outputs in 1_usize..5,
            groups in 1_usize..4,
            window in 1_usize..4,
            of in 2_usize..5,
            matrix in any::<bool>(),
            values in prop::collection::vec(-1.0_f32..1.0, 4 * 3 * 3 * 4),
        ) {
            let inputs = groups * of;
            let (kind, shape) = match matrix {
                true => (Kind::Matrix, vec![inputs, outputs]),
                false => (Kind::Kernel, vec![outputs, inputs, window]),
            };
            let count: usize = shape.iter().product();
            let values = values[..count].to_vec();
            let weight = Weight { name: String::new(), kind, shape, values };
            let keep = of / 2;
            let kept = largest_of_each(&weight, keep, of);
            let window = if matrix { 1 } else { window };
            let at = |output: usize, input: usize, place: usize| match matrix {
                true => input * outputs + output,
                false => (output * inputs + input) * window + place,
            };
            for output in 0..outputs {
                for place in 0..window {
                    for group in 0..groups {
                        let members: Vec<usize> = (0..of).map(|one| at(output, group * of + one, place)).collect();
                        let (stay, go): (Vec<usize>, Vec<usize>) = members.iter().partition(|index| kept[**index]);
                        prop_assert_eq!(stay.len(), keep);
                        let least = stay.iter().map(|index| weight.values[*index].abs()).fold(f32::INFINITY, f32::min);
                        prop_assert!(go.iter().all(|index| weight.values[*index].abs() <= least));
                    }
                }
            }
        }
    }
}
