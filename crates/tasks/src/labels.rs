//! How well it is told which of several labels an example has.

use std::collections::BTreeMap;

use ansatz_core::{Contribution, Error, HostOutputs, LabelFigures, Outcome, Result, Scorer, Scores, Targets};

use crate::binary_cross_entropy::{labels, log_sigmoid};
use crate::ranking::{area, average_precision};

/// Adds up, in float64 and example by example, so that the batch size changes nothing:
/// - `micro_f1` 0–1, which decides: 2 · right / (had + said) over all examples and labels together;
/// - `macro_f1` 0–1: the mean of the F1 of each label that was had or said;
/// - `mean_average_precision` 0–1 and `auroc` 0–1: the mean over labels, of those for which they are defined;
/// - `subset_accuracy` 0–1: the share of examples of which every label was told right;
/// - `loss`: binary cross entropy without smoothing or weights, nats per label.
///
/// A label is said where its probability is above one half. (Tsoumakas, Katakis, Vlahavas, "Mining multi-label data", 2010,
/// section 6.)
#[derive(Debug, Clone)]
pub struct LabelsScorer {
    names: Vec<String>,
    /// Logits, `[examples][labels]`, and whether each label was had.
    said: Vec<(f32, bool)>,
    loss: f64,
    subsets: u64,
    contributions: Vec<Contribution>,
}

impl LabelsScorer {
    /// An empty account for these labels.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, said: Vec::new(), loss: 0.0, subsets: 0, contributions: Vec::new() }
    }

    /// The labels by falling probability, with it.
    fn ranked(&self, logits: &[f32]) -> Vec<(String, f32)> {
        let mut ranked: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
        // NaN counts as the least likely; the sort is stable, so the lower index comes first among equals.
        let order = |logit: f32| if logit.is_nan() { f32::NEG_INFINITY } else { logit };
        ranked.sort_by(|a, b| order(b.1).total_cmp(&order(a.1)));
        let named = |(label, logit): (usize, f32)| {
            (self.names[label].clone(), log_sigmoid(f64::from(logit)).exp() as f32)
        };
        ranked.into_iter().map(named).collect()
    }

    /// Takes in an example whose labels are known: its loss, and whether all were told right.
    fn take_in(&mut self, logits: &[f32], had: &[bool]) -> (f64, bool) {
        let (mut loss, mut right, mut either) = (0.0, 0u64, 0u64);
        let mut all = true;
        for (logit, had) in logits.iter().zip(had) {
            let said = *logit > 0.0;
            loss -= log_sigmoid(f64::from(if *had { *logit } else { -*logit }));
            right += u64::from(said && *had);
            either += u64::from(said) + u64::from(*had);
            all &= said == *had;
            self.said.push((*logit, *had));
        }
        loss /= logits.len() as f64;
        self.loss += loss;
        self.subsets += u64::from(all);
        self.contributions.push(Contribution { sum: 2.0 * right as f64, weight: either as f64 });
        (loss, all)
    }

    /// The figures of one label.
    fn figures(&self, label: usize) -> LabelFigures {
        let said: Vec<(f32, bool)> =
            self.said.iter().copied().skip(label).step_by(self.names.len()).collect();
        let count = |is: &dyn Fn(&(f32, bool)) -> bool| said.iter().filter(|one| is(one)).count() as u64;
        LabelFigures {
            name: self.names[label].clone(),
            examples: count(&|(_, had)| *had),
            said: count(&|(logit, _)| *logit > 0.0),
            right: count(&|(logit, had)| *logit > 0.0 && *had),
            precision: average_precision(said.clone()),
            area: area(said),
        }
    }
}

/// The mean of what there is; NaN of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

impl Scorer for LabelsScorer {
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>> {
        let [examples, positions, values] = outputs.dims;
        let count = self.names.len();
        if [positions, values] != [1, count] {
            let problem = format!("{positions} positions of {values} logits, expected 1 of {count}");
            return Err(Error::Failed(format!("scoring labels: {problem}")));
        }
        let known = match targets {
            Targets::Unknown => None,
            known => Some(labels(known, [examples, count])?),
        };
        let outcome = |index: usize| {
            let logits = outputs.example(index);
            let predictions = self.ranked(logits);
            let Some(had) = known.map(|known| &known[index * count..(index + 1) * count]) else {
                let (target, loss) = (String::new(), f32::NAN);
                return Outcome { predictions, target, loss, correct: false, number: None };
            };
            let (loss, correct) = self.take_in(logits, had);
            let names: Vec<&str> =
                self.names.iter().zip(had).filter(|(_, had)| **had).map(|(name, _)| name.as_str()).collect();
            let target = if names.is_empty() { "no label".to_owned() } else { names.join(", ") };
            Outcome { predictions, target, loss: loss as f32, correct, number: None }
        };
        Ok((0..examples).map(outcome).collect())
    }

    fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    fn scores(&self) -> Scores {
        let examples = self.contributions.len() as f64;
        let figures: Vec<LabelFigures> = (0..self.names.len()).map(|label| self.figures(label)).collect();
        let total = |of: fn(&LabelFigures) -> u64| figures.iter().map(of).sum::<u64>() as f64;
        let micro = 2.0 * total(|label| label.right) / total(|label| label.examples + label.said);
        let values = [
            ("micro_f1", micro),
            ("macro_f1", mean(figures.iter().filter_map(LabelFigures::f1))),
            ("mean_average_precision", mean(figures.iter().filter_map(|figures| figures.precision))),
            ("auroc", mean(figures.iter().filter_map(|figures| figures.area))),
            ("subset_accuracy", self.subsets as f64 / examples),
            ("loss", self.loss / examples),
        ];
        let values = BTreeMap::from(values.map(|(name, value)| (name.to_owned(), value)));
        Scores { labels: Some(figures), ..Scores::rising(self.contributions.len(), "micro_f1", values) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorer() -> LabelsScorer {
        LabelsScorer::new(["cat", "dog", "owl"].map(str::to_owned).to_vec())
    }

    fn had(values: &[bool]) -> Targets {
        Targets::Labels { labels: 3, values: values.to_vec() }
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let mut scorer = scorer();
        let values = vec![2.0, -1.0, 0.5, 1.0, -2.0, -1.0, -1.0, 3.0, -3.0];
        let outputs = HostOutputs { dims: [3, 1, 3], values };
        // Said: cat, owl; cat; dog. Had: cat, owl; cat, dog; nothing.
        let had = had(&[true, false, true, true, true, false, false, false, false]);
        let outcomes = scorer.add(&outputs, &had).unwrap();
        assert_eq!(outcomes.iter().map(|outcome| outcome.correct).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(
            outcomes.iter().map(|outcome| &*outcome.target).collect::<Vec<_>>(),
            ["cat, owl", "cat, dog", "no label"]
        );
        let names: Vec<&str> = outcomes[0].predictions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cat", "owl", "dog"]);
        let certainty = 1.0 / (1.0 + (-2f64).exp());
        assert!((f64::from(outcomes[0].predictions[0].1) - certainty).abs() < 1e-6);
        let scores = scorer.scores();
        // Right 3, had 4, said 4; F1 of cat 1, of dog 0, of owl 1.
        assert_eq!(scores.primary_value(), 6.0 / 8.0);
        assert!((scores.values["macro_f1"] - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(scores.values["subset_accuracy"], 1.0 / 3.0);
        // Cat and owl rank perfectly; dog's only one is last of three.
        assert!((scores.values["mean_average_precision"] - (1.0 + 1.0 / 3.0 + 1.0) / 3.0).abs() < 1e-15);
        assert!((scores.values["auroc"] - 2.0 / 3.0).abs() < 1e-15);
        let labels = scores.labels.expect("figures of each label");
        assert_eq!((labels[1].examples, labels[1].said, labels[1].right), (1, 1, 0));
        let sums: f64 = scorer.contributions().iter().map(|one| one.sum).sum();
        let weights: f64 = scorer.contributions().iter().map(|one| one.weight).sum();
        assert_eq!(sums / weights, 6.0 / 8.0);
        let loss: f64 = outcomes.iter().map(|outcome| f64::from(outcome.loss)).sum::<f64>() / 3.0;
        assert!((scores.values["loss"] - loss).abs() < 1e-6);
    }

    #[test]
    fn unknown_labels_are_said_but_not_counted_and_others_are_refused() {
        let mut scorer = scorer();
        let outputs = HostOutputs { dims: [1, 1, 3], values: vec![0.5, -0.5, f32::NAN] };
        let outcome = scorer.add(&outputs, &Targets::Unknown).unwrap().remove(0);
        assert!(outcome.loss.is_nan() && outcome.predictions.len() == 3 && outcome.target.is_empty());
        assert!(scorer.scores().primary_value().is_nan());
        assert!(scorer.add(&outputs, &Targets::Classes(vec![0])).is_err());
        assert!(scorer.add(&outputs, &had(&[true; 6])).is_err());
        let wide = HostOutputs { dims: [1, 3, 1], values: vec![0.0; 3] };
        assert!(scorer.add(&wide, &Targets::Unknown).is_err());
    }
}
