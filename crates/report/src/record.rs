//! `metrics.jsonl`: what happened, line by line.
//!
//! The file grows while a run goes on and outlives the program that wrote it, so reading it is lenient:
//! unknown events and fields are passed over, figures that were not finite (JSON has no word for them) are
//! missing points, and a line that was cut off is counted and passed over.

use std::collections::BTreeMap;

use ansatz_core::{Confusion, ForecastErrors, LabelFigures, Part};
use serde::Deserialize;

/// Everything that `metrics.jsonl` tells.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// One entry per logged optimizer step.
    pub(crate) steps: Vec<Step>,
    /// One entry per part judged.
    pub(crate) judgements: Vec<Judgement>,
    /// Lines that could not be read.
    pub(crate) damaged: usize,
}

/// One optimizer step.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Step {
    pub(crate) epoch: f64,
    pub(crate) loss: Option<f64>,
    pub(crate) learning_rate: Option<f64>,
    pub(crate) gradient_norm: Option<f64>,
}

/// One part of the data, judged.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Judgement {
    pub(crate) part: Part,
    pub(crate) epoch: f64,
    #[serde(default)]
    pub(crate) best: bool,
    pub(crate) scores: Scores,
}

/// The scores of a part.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Scores {
    /// The figure that decides which weights are best.
    #[serde(default)]
    pub(crate) primary: String,
    pub(crate) values: BTreeMap<String, Option<f64>>,
    pub(crate) confusion: Option<Confusion>,
    #[serde(default)]
    pub(crate) errors: Option<ForecastErrors>,
    #[serde(default)]
    pub(crate) labels: Option<Vec<LabelFigures>>,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    Step(Step),
    Evaluated(Judgement),
    #[serde(other)]
    Other,
}

impl Record {
    /// Reads all lines.
    pub(crate) fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(Line::Step(step)) => record.steps.push(step),
                Ok(Line::Evaluated(judgement)) => record.judgements.push(judgement),
                Ok(Line::Other) => {}
                Err(_) => record.damaged += 1,
            }
        }
        record
    }

    /// The confusion matrix on the test part, or else the last one on the validation part.
    pub(crate) fn confusion(&self) -> Option<(Part, &Confusion)> {
        self.last(|scores| scores.confusion.as_ref()).filter(|(_, matrix)| is_square(matrix))
    }

    /// The errors of forecasts on the test part, or else the last ones on the validation part.
    pub(crate) fn errors(&self) -> Option<(Part, &ForecastErrors)> {
        self.last(|scores| scores.errors.as_ref()).filter(|(_, errors)| is_whole(errors))
    }

    /// The figures of each label on the test part, or else the last ones on the validation part.
    pub(crate) fn labels(&self) -> Option<(Part, &[LabelFigures])> {
        self.last(|scores| scores.labels.as_ref()).map(|(part, labels)| (part, &labels[..]))
    }

    /// What `find` finds among the scores of the test part, or else the last of the validation part.
    fn last<'a, T>(&'a self, find: impl Fn(&'a Scores) -> Option<&'a T>) -> Option<(Part, &'a T)> {
        let of_part = |part| {
            let judgements = self.judgements.iter().rev().filter(move |judgement| judgement.part == part);
            judgements.filter_map(|judgement| find(&judgement.scores)).next().map(|found| (part, found))
        };
        of_part(Part::Test).or_else(|| of_part(Part::Validation))
    }
}

fn is_whole(errors: &ForecastErrors) -> bool {
    let channels = errors.names.len();
    errors.squared.len() == channels && errors.absolute.len() == channels
}

fn is_square(confusion: &Confusion) -> bool {
    let classes = confusion.names.len();
    confusion.counts.len() == classes && confusion.counts.iter().all(|row| row.len() == classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_events_pass_and_damaged_lines_are_counted() {
        let text = concat!(
            r#"{"event":"step","step":1,"epoch":0.5,"loss":2.3,"learning_rate":0.1,"gradient_norm":null}"#,
            "\n\n",
            r#"{"event":"weather","sun":true}"#,
            "\n",
            r#"{"event":"step","step":2,"epo"#,
        );
        let record = Record::parse(text);
        assert_eq!((record.steps.len(), record.damaged), (1, 1));
        assert_eq!(record.steps[0].gradient_norm, None);
    }

    #[test]
    fn a_ragged_confusion_matrix_is_not_shown() {
        let text = r#"{"event":"evaluated","part":"test","step":1,"epoch":1,
            "scores":{"values":{},"confusion":{"names":["a","b"],"counts":[[1,2]]}}}"#
            .replace('\n', " ");
        let record = Record::parse(&text);
        assert_eq!(record.judgements.len(), 1);
        assert!(record.confusion().is_none());
    }
}
