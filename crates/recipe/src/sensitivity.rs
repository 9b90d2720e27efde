//! What a network loses by each of its layers.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use ansatz_compress::{Misfits, Pattern, PruneConfig, QuantizeConfig, Scope, weights};
use ansatz_core::{Error, Model, OpenData, Part, Places, Registry, Result, Scores};
use ansatz_run::Trained;
use ansatz_train::evaluate;
use burn::tensor::Device;
use serde::Serialize;

use crate::Step;
use crate::part::part;

/// What is lost where one method is used on one layer alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loss {
    /// The dotted name of the weight.
    pub layer: String,
    /// What it is of, as far as its name tells: in a mixer its decay, a gate, a convolution, queries, keys or values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<&'static str>,
    /// Its values.
    pub values: usize,
    /// The method, in words.
    pub method: String,
    /// The task's deciding figure on the validation part.
    pub quality: f64,
    /// By how much the mean loss on the validation part rose.
    pub lost: f64,
    #[serde(skip)]
    pub(crate) how: Method,
}

/// What every layer loses under each method, the most sensitive first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The name of the task's deciding figure.
    pub figure: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// Its value with all weights as they are.
    pub quality: f64,
    /// The mean loss with all weights as they are.
    pub loss: f64,
    /// Every layer under every method.
    pub losses: Vec<Loss>,
}

/// A method that is tried on one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Method {
    Prune(f64),
    KeepTwoOfFour,
    Quantize(u32),
}

pub(crate) const METHODS: [Method; 6] = [
    Method::Prune(0.5),
    Method::Prune(0.8),
    Method::KeepTwoOfFour,
    Method::Quantize(8),
    Method::Quantize(4),
    Method::Quantize(3),
];

impl Method {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Prune(ratio) => format!("{:.0} % pruned", 100.0 * ratio),
            Self::KeepTwoOfFour => "2 of 4 kept".to_owned(),
            Self::Quantize(bits) => format!("{bits} bits"),
        }
    }

    /// Bits that a value takes on disk, on average: pruned ones one each, those that are kept 32 besides.
    pub(crate) fn bits(self) -> f64 {
        match self {
            Self::Prune(ratio) => 1.0 + 32.0 * (1.0 - ratio),
            Self::KeepTwoOfFour => 1.0 + 32.0 * 0.5,
            Self::Quantize(bits) => f64::from(bits),
        }
    }

    /// The step of a recipe that does this to the weights of these names alone.
    pub(crate) fn step(self, only: Vec<String>) -> Step {
        let prune = |pattern, only| Step::Prune(PruneConfig { pattern, only, ..PruneConfig::default() });
        match self {
            Self::Prune(ratio) => prune(Pattern::Unstructured { ratio, scope: Scope::Layer }, only),
            Self::KeepTwoOfFour => prune(Pattern::NOfM { keep: 2, of: 4, misfits: Misfits::Refuse }, only),
            Self::Quantize(bits) => {
                Step::Quantize(QuantizeConfig { bits, only, ..QuantizeConfig::default() })
            }
        }
    }

    /// The network with the weights of these names compressed.
    ///
    /// # Errors
    /// When the method does not fit one of them.
    pub(crate) fn on(self, only: Vec<String>, model: &Model, device: &Device) -> Result<Model> {
        match self.step(only) {
            Step::Prune(config) => Ok(config.masks(model)?.on(device).hold(model.clone())),
            Step::Quantize(config) => config.quantize(model.clone()),
            other => unreachable!("no method is a step `{}`", other.kind()),
        }
    }
}

/// Uses every method on every layer of the run at `path` by itself, and judges on the validation part, never on the test
/// part: layers are chosen by what comes of it. `tell` hears the name of each layer.
///
/// # Errors
/// When there is no finished run, its data cannot be read, or they have no validation part.
pub fn sensitivity(
    path: &Path,
    registry: &Registry,
    places: &Places,
    device: &Device,
    tell: &dyn Fn(&str),
) -> Result<Sensitivity> {
    let mut trained = Trained::load(path, registry, device)?;
    let data: Arc<dyn OpenData> = trained.plan.data.open(places)?.into();
    if data.examples(Part::Validation) == 0 {
        return Err(Error::input(
            path.display(),
            "its data have no validation part, and nothing is chosen by the test part",
            "data with a validation part",
            "let the data model split one off",
        ));
    }
    let model = trained.model.clone();
    let whole = judge(&trained, &data, device)?;
    let loss = mean_loss(&whole);
    let mut losses = Vec::new();
    for weight in weights(&model) {
        tell(&weight.name);
        for method in METHODS {
            // A method that does not fit a layer is not tried on it.
            let Ok(changed) = method.on(vec![weight.name.clone()], &model, device) else { continue };
            trained.model = changed;
            let scores = judge(&trained, &data, device)?;
            losses.push(Loss {
                layer: weight.name.clone(),
                part: part(&weight.name),
                values: weight.values.len(),
                method: method.name(),
                quality: scores.primary_value(),
                lost: mean_loss(&scores) - loss,
                how: method,
            });
        }
    }
    losses.sort_by(|a, b| b.lost.total_cmp(&a.lost));
    Ok(Sensitivity {
        figure: whole.primary.clone(),
        higher_is_better: whole.higher_is_better,
        quality: whole.primary_value(),
        loss,
        losses,
    })
}

/// The scores of a network on its validation part.
pub(crate) fn judge(trained: &Trained, data: &Arc<dyn OpenData>, device: &Device) -> Result<Scores> {
    const TOGETHER: NonZeroUsize = NonZeroUsize::new(256).expect("more than 0");
    Ok(evaluate(trained, Arc::clone(data), Part::Validation, TOGETHER, device)?.scores)
}

/// The mean loss, or what stands for it: the deciding figure, turned so that less is better.
fn mean_loss(scores: &Scores) -> f64 {
    let sign = if scores.higher_is_better { -1.0 } else { 1.0 };
    scores.values.get("loss").copied().unwrap_or_else(|| sign * scores.primary_value())
}
