//! Heads and tasks: from features to outputs, their loss, and how good they are.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::component::AnyConfig;
use crate::erased::Boxed;
use crate::{FeatureSpec, Features, Layer, Result, Target, Targets};

/// The last layer of a network with its loss.
pub trait Head: std::fmt::Debug + Send + Sync {
    /// Features → outputs `[batch, positions, values]`: one position and the logits of the classes for
    /// classification.
    fn forward(&self, features: Features) -> Tensor<3>;

    /// The mean loss over the batch, `[1]`.
    ///
    /// # Errors
    /// When `targets` are of another kind than the head was built for.
    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>>;

    /// The same from the features: a head that is asked at few positions need not compute its outputs at all others.
    ///
    /// # Errors
    /// As [`Head::loss`].
    fn loss_of_features(&self, features: Features, targets: &Targets) -> Result<Tensor<1>> {
        self.loss(self.forward(features), targets)
    }

    /// The rows of the table of layers for one example of shape `input`.
    fn layers(&self, input: &FeatureSpec) -> Vec<Layer>;
}

/// A head of any kind, as a module.
pub type BoxedHead = Boxed<dyn Head>;

impl Boxed<dyn Head> {
    /// Boxes a head.
    pub fn new<M: Head + Module + Sync + 'static>(head: M) -> Self {
        Self::erase(head, |head| head)
    }
}

/// Outputs of a batch on the host: `[batch, positions, values]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct HostOutputs {
    /// Batch, positions, values.
    pub dims: [usize; 3],
    /// All values.
    pub values: Vec<f32>,
}

impl HostOutputs {
    /// Copies outputs to the host.
    ///
    /// # Errors
    /// When the device fails to hand them over.
    pub fn read(outputs: Tensor<3>) -> Result<Self> {
        let dims = outputs.dims();
        let values =
            outputs.into_data().convert::<f32>().try_to_vec().map_err(|error| {
                crate::Error::Failed(format!("reading the outputs of a batch: {error:?}"))
            })?;
        Ok(Self { dims, values })
    }

    /// The values of example `index`, over all positions.
    pub fn example(&self, index: usize) -> &[f32] {
        let size = self.dims[1] * self.dims[2];
        &self.values[index * size..(index + 1) * size]
    }
}

/// What a network is asked to do: its typed config.
pub trait TaskConfig: AnyConfig {
    /// Takes in what the examples of the training part are labelled with, `None` where only reading them tells, before a
    /// head is built that learns from them. A head that is built without it can be used and judged all the same.
    ///
    /// # Errors
    /// When a setting asks for labels of another kind.
    fn fit(&mut self, _labels: Option<&Targets>) -> Result<()> {
        Ok(())
    }

    /// Builds the head for features of shape `features` and labels `target`.
    ///
    /// # Errors
    /// When the labels are of a kind the task cannot learn from.
    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead>;

    /// The quantiles, in 0–1 and rising, that a forecast consists of: for each channel as many values stand
    /// side by side in an output. Empty where a forecast is one value.
    fn quantiles(&self) -> &[f64] {
        &[]
    }

    /// A fresh account of how good outputs are.
    ///
    /// # Errors
    /// When the labels are of a kind the task cannot judge.
    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>>;
}

/// Adds up how good outputs are, over a whole part of the data.
pub trait Scorer: Send {
    /// Takes in a batch; returns what became of each of its examples.
    ///
    /// # Errors
    /// When `targets` are of another kind, or do not match the outputs in number.
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>>;

    /// The scores of everything taken in so far.
    fn scores(&self) -> Scores;

    /// What each example taken in so far adds to the figure that decides, which is `Σ sum / Σ weight`. Empty where
    /// that figure is no such mean.
    fn contributions(&self) -> &[Contribution] {
        &[]
    }
}

/// The share of one example in a figure `Σ sum / Σ weight`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// What it adds, e.g. 1 if it was right, or the nats of its tokens.
    pub sum: f64,
    /// How much it counts, e.g. 1, or its tokens.
    pub weight: f64,
}

/// Between which values a figure lies in 95 of 100 test sets of the same size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The figure's name.
    pub figure: String,
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// What became of one example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What the network said, most likely first, with probabilities in 0–1.
    pub predictions: Vec<(String, f32)>,
    /// What would have been right; empty if unknown.
    pub target: String,
    /// The example's own loss in nats; NaN if the target is unknown.
    pub loss: f32,
    /// Whether the first prediction is right.
    pub correct: bool,
    /// The number that the network said, in its own unit, where it was asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
}

impl Outcome {
    /// Of an example that is never simply right or wrong, and so no mistake, with its loss.
    pub fn with_loss(loss: f64) -> Self {
        Self {
            predictions: Vec::new(),
            target: String::new(),
            loss: loss as f32,
            correct: true,
            number: None,
        }
    }
}

/// Named figures over a whole part of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Examples counted.
    pub examples: usize,
    /// The figure that decides which checkpoint is best.
    pub primary: String,
    /// Whether more of the primary figure is better.
    pub higher_is_better: bool,
    /// Every figure by name, e.g. `accuracy` in 0–1, `loss` in nats.
    pub values: BTreeMap<String, f64>,
    /// How far chance may have moved the figure that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Which classes were taken for which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// Where the errors of forecasts lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ForecastErrors>,
    /// How good each label was told, where an example may have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<LabelFigures>>,
}

impl Scores {
    /// The figures `values` over so many examples; less of the one that decides is better.
    pub fn falling(examples: usize, primary: &str, values: BTreeMap<String, f64>) -> Self {
        Self {
            examples,
            primary: primary.to_owned(),
            higher_is_better: false,
            values,
            interval: None,
            confusion: None,
            errors: None,
            labels: None,
        }
    }

    /// The same where more of the figure that decides is better.
    pub fn rising(examples: usize, primary: &str, values: BTreeMap<String, f64>) -> Self {
        Self { higher_is_better: true, ..Self::falling(examples, primary, values) }
    }

    /// The figure that decides.
    pub fn primary_value(&self) -> f64 {
        self.values.get(&self.primary).copied().unwrap_or(f64::NAN)
    }

    /// Whether these scores are better than `other`; NaN is never better.
    pub fn better_than(&self, other: f64) -> bool {
        let value = self.primary_value();
        if self.higher_is_better { value > other } else { value < other }
    }
}

/// Errors of forecasts by how far ahead they look and by channel. An entry that nothing was observed of is
/// absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastErrors {
    /// Mean squared error of each step ahead, over all channels.
    pub steps: Vec<Option<f64>>,
    /// Names of the channels.
    pub names: Vec<String>,
    /// Mean squared error of each channel, over all steps.
    pub squared: Vec<Option<f64>>,
    /// Mean absolute error of each channel, over all steps.
    pub absolute: Vec<Option<f64>>,
}

/// How good a label was told, of examples that may have several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelFigures {
    /// The label.
    pub name: String,
    /// Examples that have it.
    pub examples: u64,
    /// Examples of which it was said.
    pub said: u64,
    /// Of these, how many have it.
    pub right: u64,
    /// Average precision over the ranking of all examples, 0–1; absent where none has the label.
    pub precision: Option<f64>,
    /// Area under the receiver operating characteristic, 0–1; absent where none or all have the label.
    pub area: Option<f64>,
}

impl LabelFigures {
    /// 2 · right / (had + said), 0–1; `None` where it was neither had nor said.
    pub fn f1(&self) -> Option<f64> {
        let either = self.examples + self.said;
        (either > 0).then(|| 2.0 * self.right as f64 / either as f64)
    }
}

/// A confusion matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Class names, in the order of rows and columns.
    pub names: Vec<String>,
    /// `counts[target][prediction]`.
    pub counts: Vec<Vec<u64>>,
}
