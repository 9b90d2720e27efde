//! How good a language model is.

use std::collections::BTreeMap;

use ansatz_core::{Contribution, Error, HostOutputs, Outcome, Result, Scorer, Scores, Targets};

use crate::cross_entropy::log_softmax;

/// Adds up the surprise at every token: nats and bits per token, perplexity, and the share foretold.
#[derive(Debug, Clone)]
pub struct LanguageScorer {
    vocabulary: usize,
    examples: usize,
    tokens: usize,
    correct: usize,
    nats: f64,
    contributions: Vec<Contribution>,
}

impl LanguageScorer {
    /// For `vocabulary` tokens.
    pub fn new(vocabulary: usize) -> Self {
        Self { vocabulary, examples: 0, tokens: 0, correct: 0, nats: 0.0, contributions: Vec::new() }
    }
}

impl Scorer for LanguageScorer {
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>> {
        let [batch, length, vocabulary] = outputs.dims;
        let wanted = match targets {
            Targets::Tokens(wanted) if vocabulary == self.vocabulary && wanted.len() == batch * length => {
                wanted
            }
            _ => {
                let problem = format!("labels that do not match {batch} × {length} tokens of {vocabulary}");
                return Err(Error::Failed(problem));
            }
        };
        let mut outcomes = Vec::with_capacity(batch);
        for (example, wanted) in wanted.chunks(length.max(1)).enumerate() {
            let logits = outputs.example(example);
            let (mut nats, mut tokens, mut correct) = (0.0, 0, 0);
            for (row, target) in logits.chunks(vocabulary).zip(wanted) {
                let Some(target) = target.map(|target| target as usize) else { continue };
                let scores = log_softmax(row);
                let surprise = scores
                    .get(target)
                    .ok_or_else(|| Error::Failed(format!("token {target} is not below {vocabulary}")))?;
                nats -= surprise;
                tokens += 1;
                let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                correct += usize::from(*surprise >= best);
            }
            self.nats += nats;
            self.tokens += tokens;
            self.correct += correct;
            self.contributions.push(Contribution { sum: nats, weight: tokens as f64 });
            outcomes.push(Outcome {
                predictions: Vec::new(),
                target: String::new(),
                loss: (nats / tokens.max(1) as f64) as f32,
                correct: correct == tokens,
                number: None,
            });
        }
        self.examples += batch;
        Ok(outcomes)
    }

    fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    fn scores(&self) -> Scores {
        let loss = self.nats / self.tokens as f64;
        let values = BTreeMap::from([
            ("loss".to_owned(), loss),
            ("bits".to_owned(), loss / std::f64::consts::LN_2),
            ("perplexity".to_owned(), loss.exp()),
            ("accuracy".to_owned(), self.correct as f64 / self.tokens as f64),
            ("tokens".to_owned(), self.tokens as f64),
        ]);
        Scores::falling(self.examples, "loss", values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_logits_cost_the_logarithm_of_the_vocabulary() {
        let mut scorer = LanguageScorer::new(4);
        let outputs = HostOutputs { dims: [2, 2, 4], values: vec![0.0; 16] };
        let targets = Targets::Tokens(vec![Some(0), None, Some(3), Some(1)]);
        scorer.add(&outputs, &targets).unwrap();
        let scores = scorer.scores();
        assert_eq!(scores.examples, 2);
        assert_eq!(scores.values["tokens"], 3.0);
        assert!((scores.values["bits"] - 2.0).abs() < 1e-12);
        assert!((scores.values["perplexity"] - 4.0).abs() < 1e-12);
        assert!(scorer.add(&outputs, &Targets::Unknown).is_err());
        assert!(scorer.add(&outputs, &Targets::Tokens(vec![Some(4); 4])).is_err());
    }
}
