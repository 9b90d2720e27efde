//! Guessing the class, by softmax.

use std::collections::BTreeMap;

use ansatz_core::{
    BoxedHead, Component, Confusion, Error, FeatureSpec, Features, Head, HostOutputs, Layer, Outcome, Result,
    Scorer, Scores, Target, Targets, TaskConfig,
};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Guessing the class, by softmax.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Guess {}

impl Component for Guess {
    const KIND: &'static str = "guess";
    const ABOUT: &'static str = "guessing the class";
    const CITATION: &'static str = "";
}

impl TaskConfig for Guess {
    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead> {
        let Target::Classes { names } = target else { unreachable!() };
        Ok(BoxedHead::new(GuessHead { linear: LinearConfig::new(features.width, names.len()).init(device) }))
    }

    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>> {
        let Target::Classes { names } = target else { unreachable!() };
        Ok(Box::new(GuessScorer { names: names.clone(), examples: 0, correct: 0, loss: 0.0 }))
    }
}

#[derive(Module, Debug)]
struct GuessHead {
    linear: Linear,
}

impl Head for GuessHead {
    fn forward(&self, features: Features) -> Tensor<3> {
        self.linear.forward(features.tokens.mean_dim(1))
    }

    fn loss(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        let labels: Vec<i32> = labels(targets)?.iter().map(|label| *label as i32).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &outputs.device());
        let logits = outputs.squeeze_dim::<2>(1);
        Ok(log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).mean().neg())
    }

    fn layers(&self, _input: &FeatureSpec) -> Vec<Layer> {
        Vec::new()
    }
}

fn labels(targets: &Targets) -> Result<&[usize]> {
    match targets {
        Targets::Classes(labels) => Ok(labels),
        other => Err(Error::Failed(format!("classes are wanted, not {other:?}"))),
    }
}

struct GuessScorer {
    names: Vec<String>,
    examples: usize,
    correct: usize,
    loss: f64,
}

impl Scorer for GuessScorer {
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for (index, &label) in labels(targets)?.iter().enumerate() {
            let logits = outputs.example(index);
            let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
            let mut ranked: Vec<usize> = (0..logits.len()).collect();
            ranked.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
            let loss = sum.ln() - logits[label];
            let correct = ranked[0] == label;
            self.examples += 1;
            self.correct += usize::from(correct);
            self.loss += f64::from(loss);
            outcomes.push(Outcome {
                predictions: ranked
                    .iter()
                    .map(|&at| (self.names[at].clone(), logits[at].exp() / sum))
                    .collect(),
                target: self.names[label].clone(),
                loss,
                correct,
                number: None,
            });
        }
        Ok(outcomes)
    }

    fn scores(&self) -> Scores {
        let examples = self.examples as f64;
        let values = BTreeMap::from([
            ("accuracy".to_owned(), self.correct as f64 / examples),
            ("loss".to_owned(), self.loss / examples),
        ]);
        let confusion = Some(Confusion { names: self.names.clone(), counts: Vec::new() });
        Scores { confusion, ..Scores::rising(self.examples, "accuracy", values) }
    }
}
