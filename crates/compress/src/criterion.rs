//! By what it is decided which values are left out.

use std::collections::BTreeMap;

use ansatz_core::{ConfigError, Error, Result};
use ansatz_run::{Mask, Masks, Place, Scope};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibrate::{CalibrationConfig, Examples, Hessian, Norms, Unseen, one_by_one, refuse_unseen};
use crate::prune::{Pattern, PruneConfig};
use crate::sparse_gpt::sparse_gpt;
use crate::{Weight, weights};

/// By what it is decided which values are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Criterion {
    /// Those of least magnitude go. It needs no examples.
    #[default]
    Magnitude,
    /// Those go for which `|w| · ‖x‖₂` is least, x being all that the value is multiplied with: Sun et al., "A simple and
    /// effective pruning approach for large language models", 2023, arXiv:2306.11695, equation 1.
    Wanda,
    /// Those go that are least missed when the others make up for them, which they then do: Frantar and Alistarh,
    /// "SparseGPT: massive language models can be accurately pruned in one-shot", 2023, arXiv:2301.00774.
    SparseGpt,
}

/// What was made of a weight.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pruned {
    pub values: Vec<f32>,
    pub kept: Vec<bool>,
}

impl Pruned {
    /// The weight's own values, and zeros.
    fn of(weight: &Weight, kept: Vec<bool>) -> Self {
        let values = weight.values.iter().zip(&kept);
        Self { values: values.map(|(value, kept)| if *kept { *value } else { 0.0 }).collect(), kept }
    }
}

impl PruneConfig {
    /// Checks criterion, scope and calibration against each other.
    pub(crate) fn check_criterion(&self) -> Result<(), ConfigError> {
        let wrong_scope = |problem: &str, expected: &str| {
            Err(ConfigError::value("pattern.unstructured.scope", problem.to_owned(), expected.to_owned()))
        };
        match (self.criterion, &self.pattern) {
            (Criterion::Magnitude, _) if self.calibration.is_some() => Err(ConfigError::value(
                "calibration",
                "pruning by magnitude sees no examples",
                "criterion = \"wanda\" or criterion = \"sparse-gpt\" beside it, or no calibration",
            )),
            (Criterion::Wanda, Pattern::Unstructured { scope: Scope::Global, .. }) => wrong_scope(
                "wanda cannot compare values of weights that meet different inputs",
                "scope = \"output\", as published, or scope = \"layer\"",
            ),
            (Criterion::SparseGpt, Pattern::Unstructured { scope: Scope::Global | Scope::Output, .. }) => {
                wrong_scope("sparse-gpt chooses among all outputs of a weight", "scope = \"layer\"")
            }
            _ => Ok(()),
        }
    }

    /// Which examples the criterion is shown; `None`: it needs none.
    pub fn calibration(&self) -> Option<CalibrationConfig> {
        (self.criterion != Criterion::Magnitude).then(|| self.calibration.clone().unwrap_or_default())
    }

    /// The same with every value that will be used.
    #[must_use]
    pub fn complete(self) -> Self {
        Self { calibration: self.calibration(), ..self }
    }

    /// The pruned module, and which values of it stay. A criterion that needs examples is shown them weight by weight, in
    /// the order in which the module meets these, with all earlier weights pruned already.
    ///
    /// # Errors
    /// Like [`PruneConfig::masks`]; and when the module refuses an example, the inputs of a weight cannot be seen, or are
    /// not finite.
    pub fn prune_with<M: Module, B>(&self, module: M, examples: &Examples<'_, M, B>) -> Result<(M, Masks)> {
        let weights = self.select(weights(&module))?;
        let by_magnitude = |weights: &[Weight]| -> BTreeMap<String, Pruned> {
            let kept = weights.iter().zip(self.kept(weights));
            kept.map(|(weight, kept)| (weight.name.clone(), Pruned::of(weight, kept))).collect()
        };
        let (module, made) = match self.criterion {
            Criterion::Magnitude => {
                let made = by_magnitude(&weights);
                (replace(module, made.clone()), made)
            }
            Criterion::Wanda => {
                one_by_one(module, examples, &weights, |weight, norms| self.wanda(weight, norms), replace)?
            }
            Criterion::SparseGpt => {
                let treat = |weight: &Weight, hessian: &Hessian| sparse_gpt(weight, hessian, &self.pattern);
                one_by_one(module, examples, &weights, treat, replace)?
            }
        };
        let unseen: Vec<Weight> =
            weights.iter().filter(|weight| !made.contains_key(&weight.name)).cloned().collect();
        if self.calibration.as_ref().is_none_or(|calibration| calibration.unseen == Unseen::Refuse) {
            refuse_unseen(&unseen)?;
        }
        let rest = by_magnitude(&unseen);
        let module = if rest.is_empty() { module } else { replace(module, rest.clone()) };
        let mut masks = Masks::default();
        for weight in &weights {
            if let Some(Pruned { kept, .. }) = made.get(&weight.name).or_else(|| rest.get(&weight.name)) {
                masks.add(&weight.name, Mask { shape: weight.shape.clone(), kept: kept.clone() });
            }
        }
        Ok((module, masks))
    }

    /// `|w| · ‖x‖₂` takes the place of the magnitude: Sun et al. 2023, equation 1.
    fn wanda(&self, weight: &Weight, norms: &Norms) -> Result<Pruned> {
        let columns = weight.columns();
        let norms: Vec<f64> = norms.norms().collect();
        let outputs = weight.outputs() * columns / norms.len().max(1);
        let mut scores = weight.clone();
        for output in 0..weight.outputs() {
            for column in 0..columns {
                let index = weight.index(output, column);
                let norm = norms[output / outputs.max(1) * columns + column];
                scores.values[index] = (f64::from(weight.values[index].abs()) * norm) as f32;
            }
        }
        if let Some(score) = scores.values.iter().find(|score| !score.is_finite()) {
            return Err(Error::input(
                format!("`{}`", weight.name),
                format!("the examples make inputs of it that are not finite: |w| · ‖x‖ is {score}"),
                "a network that answers its training part with numbers",
                "train it anew, or name the weight in `except`",
            ));
        }
        let kept = self.kept(std::slice::from_ref(&scores)).into_iter().next().unwrap_or_default();
        Ok(Pruned::of(weight, kept))
    }
}

/// The same module with other values of these weights.
fn replace<M: Module>(module: M, made: BTreeMap<String, Pruned>) -> M {
    struct Replacing {
        place: Place,
        made: BTreeMap<String, Pruned>,
    }
    impl ModuleMapper for Replacing {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(Pruned { values, .. }) = self.made.remove(&self.place.name()) else { return param };
            param.map(|tensor| {
                let learns = tensor.is_require_grad();
                let data = TensorData::new(values, tensor.dims());
                let replaced = Tensor::from_data(data, (&tensor.device(), tensor.dtype()));
                if learns { replaced.require_grad() } else { replaced }
            })
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.place.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.place.exit();
        }
    }
    module.map(&mut Replacing { place: Place::default(), made })
}
