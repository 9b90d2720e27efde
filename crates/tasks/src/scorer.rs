//! How good the outputs of a classifier are.

use std::collections::BTreeMap;

use ansatz_core::{Confusion, Contribution, Error, HostOutputs, Outcome, Result, Scorer, Scores, Targets};

use crate::calibration::Calibration;
use crate::confusion::{empty, macro_f1};
use crate::cross_entropy::log_softmax;
use crate::ranking::Ranking;

/// How many predictions an outcome lists.
const LISTED: usize = 5;

/// Adds up accuracy (0–1), loss (nats, without label smoothing), confusions, macro-F1, the area under the receiver
/// operating characteristic and the calibration error, in float64 and example by example, so that the batch size
/// changes nothing.
///
/// Among equal logits the class of the lower index is predicted. Of a target that is a distribution the most
/// likely class is the right one, and the loss is the cross entropy with the whole.
#[derive(Debug, Clone)]
pub struct ClassifyScorer {
    names: Vec<String>,
    counts: Vec<Vec<u64>>,
    loss: f64,
    calibration: Calibration,
    ranking: Ranking,
    contributions: Vec<Contribution>,
}

impl ClassifyScorer {
    /// An empty account for these classes.
    pub fn new(names: Vec<String>) -> Self {
        let counts = empty(names.len());
        Self {
            ranking: Ranking::new(names.len()),
            names,
            counts,
            loss: 0.0,
            calibration: Calibration::default(),
            contributions: Vec::new(),
        }
    }

    /// The classes by falling probability, with it.
    fn ranked(&self, log_probabilities: &[f64]) -> Vec<(usize, f64)> {
        let mut ranked: Vec<_> = log_probabilities.iter().map(|log| log.exp()).enumerate().collect();
        // NaN counts as the least likely; the sort is stable, so the lower index comes first among equals.
        let order = |probability: f64| if probability.is_nan() { f64::NEG_INFINITY } else { probability };
        ranked.sort_by(|a, b| order(b.1).total_cmp(&order(a.1)));
        ranked
    }

    /// The right class of example `index` and its cross entropy in nats; `None` if it is unknown.
    fn judge(&self, log_probabilities: &[f64], targets: &Targets, index: usize) -> Option<(usize, f64)> {
        match targets {
            Targets::Classes(indices) => {
                let class = indices[index];
                Some((class, -log_probabilities[class]))
            }
            Targets::Distribution { classes, values } => {
                let wanted = &values[index * classes..(index + 1) * classes];
                let mut class = 0;
                let mut loss = 0.0;
                for (candidate, share) in wanted.iter().enumerate() {
                    if *share > wanted[class] {
                        class = candidate;
                    }
                    if *share > 0.0 {
                        loss -= f64::from(*share) * log_probabilities[candidate];
                    }
                }
                Some((class, loss))
            }
            Targets::Labels { .. }
            | Targets::Tokens(_)
            | Targets::HiddenValues { .. }
            | Targets::Series { .. }
            | Targets::Numbers(_)
            | Targets::Unknown => None,
        }
    }

    /// Refuses outputs and labels that do not belong together.
    fn check(&self, outputs: &HostOutputs, targets: &Targets) -> Result<()> {
        let classes = self.names.len();
        let [examples, positions, values] = outputs.dims;
        let problem = match targets {
            _ if positions != 1 || values != classes => {
                format!("{positions} positions of {values} logits, expected 1 of {classes}")
            }
            Targets::Labels { .. } => "labels of which any number may hold".to_owned(),
            Targets::Tokens(_) => "labels that are tokens".to_owned(),
            Targets::HiddenValues { .. } => "labels that are hidden values".to_owned(),
            Targets::Series { .. } => "labels that are steps of a series".to_owned(),
            Targets::Numbers(_) => "labels that are numbers".to_owned(),
            Targets::Classes(indices) if indices.len() != examples => {
                format!("{} labels for {examples} outputs", indices.len())
            }
            Targets::Classes(indices) if indices.iter().any(|class| *class >= classes) => {
                format!("a label that is not below {classes}")
            }
            Targets::Distribution { classes: given, values }
                if *given != classes || values.len() != examples * classes =>
            {
                format!("{} label values in rows of {given}, for {examples} of {classes}", values.len())
            }
            _ => return Ok(()),
        };
        Err(Error::Failed(format!("scoring a classifier: {problem}")))
    }
}

impl Scorer for ClassifyScorer {
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>> {
        self.check(outputs, targets)?;
        let [examples, _, _] = outputs.dims;
        let outcomes = (0..examples).map(|index| {
            let log_probabilities = log_softmax(outputs.example(index));
            let ranked = self.ranked(&log_probabilities);
            let (prediction, confidence) = ranked[0];
            let listed = ranked.iter().take(LISTED);
            let predictions =
                listed.map(|(class, probability)| (self.names[*class].clone(), *probability as f32));
            let predictions = predictions.collect();
            let Some((class, loss)) = self.judge(&log_probabilities, targets, index) else {
                return Outcome {
                    predictions,
                    target: String::new(),
                    loss: f32::NAN,
                    correct: false,
                    number: None,
                };
            };
            self.counts[class][prediction] += 1;
            self.loss += loss;
            let correct = class == prediction;
            self.calibration.add(confidence, correct);
            self.ranking.add(&log_probabilities, class);
            self.contributions.push(Contribution { sum: f64::from(u8::from(correct)), weight: 1.0 });
            let target = self.names[class].clone();
            Outcome { predictions, target, loss: loss as f32, correct, number: None }
        });
        Ok(outcomes.collect())
    }

    fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    fn scores(&self) -> Scores {
        let correct: u64 = (0..self.counts.len()).map(|class| self.counts[class][class]).sum();
        let examples = self.contributions.len() as f64;
        let values = [
            ("accuracy", correct as f64 / examples),
            ("loss", self.loss / examples),
            ("macro_f1", macro_f1(&self.counts)),
            ("auroc", self.ranking.area()),
            ("calibration_error", self.calibration.error()),
        ];
        let values = BTreeMap::from(values.map(|(name, value)| (name.to_owned(), value)));
        let confusion = Some(Confusion { names: self.names.clone(), counts: self.counts.clone() });
        Scores { confusion, ..Scores::rising(self.contributions.len(), "accuracy", values) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorer() -> ClassifyScorer {
        ClassifyScorer::new(["cat", "dog", "owl"].map(str::to_owned).to_vec())
    }

    /// Logits that follow no pattern, and labels.
    fn batch(examples: std::ops::Range<usize>) -> (HostOutputs, Targets) {
        let value = |index: usize| ((index * 7919 % 1013) as f32 / 100.0).sin() * 3.0;
        let values = (examples.start * 3..examples.end * 3).map(value).collect();
        let dims = [examples.len(), 1, 3];
        (HostOutputs { dims, values }, Targets::Classes(examples.map(|index| index * 5 % 3).collect()))
    }

    #[test]
    fn the_batch_size_changes_no_score() {
        let scores = |size: usize| {
            let mut scorer = scorer();
            for start in (0..103).step_by(size) {
                let (outputs, targets) = batch(start..(start + size).min(103));
                scorer.add(&outputs, &targets).unwrap();
            }
            scorer.scores()
        };
        let whole = scores(103);
        assert_eq!(whole.examples, 103);
        for size in [1, 2, 10, 64] {
            assert_eq!(scores(size), whole);
        }
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let mut scorer = scorer();
        let values = vec![2.0, 0.0, 0.0, 0.0, 1.0, 5.0, 1.0, 1.0, 0.0, 0.0, 0.0, 3.0];
        let outputs = HostOutputs { dims: [4, 1, 3], values };
        // Predicted: cat, owl, cat (a draw, the first), owl.
        let outcomes = scorer.add(&outputs, &Targets::Classes(vec![0, 1, 0, 2])).unwrap();
        assert_eq!(
            outcomes.iter().map(|outcome| outcome.correct).collect::<Vec<_>>(),
            [true, false, true, true]
        );
        let first = &outcomes[0];
        let certainty = 2f64.exp() / (2f64.exp() + 2.0);
        assert_eq!(first.target, "cat");
        assert!((f64::from(first.loss) + certainty.ln()).abs() < 1e-6);
        let names: Vec<_> = first.predictions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cat", "dog", "owl"]);
        assert!(
            (first.predictions.iter().map(|(_, probability)| probability).sum::<f32>() - 1.0).abs() < 1e-6
        );
        let scores = scorer.scores();
        assert_eq!(scores.primary_value(), 0.75);
        // F1: cat 1, dog 0, owl 2/3.
        assert!((scores.values["macro_f1"] - (1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-15);
        assert_eq!(scores.confusion.unwrap().counts, [[2, 0, 0], [0, 0, 1], [0, 0, 1]]);
    }

    #[test]
    fn mixed_targets_are_judged_by_their_largest_share() {
        let mut scorer = scorer();
        let outputs = HostOutputs { dims: [1, 1, 3], values: vec![0.0, 0.0, 0.0] };
        let targets = Targets::Distribution { classes: 3, values: vec![0.25, 0.75, 0.0] };
        let outcome = scorer.add(&outputs, &targets).unwrap().remove(0);
        assert_eq!((outcome.target.as_str(), outcome.correct), ("dog", false));
        assert!((f64::from(outcome.loss) - 3f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn unknown_targets_are_predicted_but_not_counted() {
        let mut scorer = scorer();
        let (outputs, _) = batch(0..4);
        let outcomes = scorer.add(&outputs, &Targets::Unknown).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.loss.is_nan() && outcome.target.is_empty()));
        let scores = scorer.scores();
        assert_eq!(scores.examples, 0);
        assert!(scores.primary_value().is_nan());
    }

    #[test]
    fn outputs_and_labels_that_do_not_match_are_refused() {
        let (outputs, _) = batch(0..4);
        for targets in [
            Targets::Classes(vec![0; 3]),
            Targets::Classes(vec![3; 4]),
            Targets::Distribution { classes: 2, values: vec![0.5; 8] },
        ] {
            assert!(scorer().add(&outputs, &targets).is_err());
        }
        let other = HostOutputs { dims: [4, 3, 1], values: outputs.values };
        assert!(scorer().add(&other, &Targets::Unknown).is_err());
    }
}
