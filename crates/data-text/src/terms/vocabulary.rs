//! The terms that are known, and what each weighs in a text.

use std::collections::HashMap;

use ansatz_core::{Error, Result};
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use super::{TERMS, TermsConfig, WEIGHTS};

/// A term of a text: its number, and its weight.
type Term = (u32, f32);

/// The terms that are known, learned from training texts.
///
/// A term that comes c times in a text, and in d of the n training texts, has there the weight (Salton and Buckley,
/// Term-weighting approaches in automatic text retrieval, 1988, doi:10.1016/0306-4573(88)90021-0, with counts
/// smoothed by one)
///
/// ```text
/// w = (1 + ln c) (1 + ln((1 + n) / (1 + d)))ᵖ
/// ```
///
/// with p = 1, or the power that a config asks for, and the weights of a text are divided by the root of the sum of their squares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terms {
    numbers: HashMap<Box<[u32]>, u32>,
    /// (1 + ln((1 + n) / (1 + d)))ᵖ of each.
    rarity: Vec<f64>,
    grams: usize,
    kept: Kept,
}

/// What a run keeps of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Training texts.
    texts: usize,
    /// The tokens of each term, and the training texts that hold it.
    terms: Vec<(Vec<u32>, usize)>,
    /// p, see [`Terms`]. Runs of before it could be chosen have none.
    #[serde(default = "published_power")]
    rarity_power: f64,
}

fn published_power() -> f64 {
    TermsConfig::default().rarity_power
}

impl Terms {
    /// Those of `texts`, most frequent first; of equally frequent ones the first in the order of their tokens.
    ///
    /// # Errors
    /// When no term comes in enough of them.
    pub(crate) fn learn(config: &TermsConfig, texts: impl Iterator<Item = Result<Vec<u32>>>) -> Result<Self> {
        let mut counts: HashMap<Box<[u32]>, usize> = HashMap::new();
        let mut read = 0;
        for text in texts {
            read += 1;
            for term in counted(&text?, config.grams).into_keys() {
                match counts.get_mut(term) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(term.into(), 1)),
                }
            }
        }
        let enough = counts.into_iter().filter(|(_, count)| *count >= config.least);
        let mut terms: Vec<(Vec<u32>, usize)> =
            enough.map(|(term, count)| (term.into_vec(), count)).collect();
        if terms.is_empty() {
            let problem = format!("none comes in {} of the {read} training texts", config.least);
            let remedy = "give more texts, or a smaller data.terms.least";
            return Err(Error::input("the terms of the texts", problem, "one term at least", remedy));
        }
        terms.sort_by(|(term, count), (other, others)| others.cmp(count).then_with(|| term.cmp(other)));
        terms.truncate(config.most);
        Ok(Self::new(Kept { texts: read, terms, rarity_power: config.rarity_power }))
    }

    /// From what [`Terms::kept`] gave.
    ///
    /// # Errors
    /// When it is nothing of the kind, in the words of the library that reads it.
    pub(crate) fn restore(kept: &serde_json::Value) -> Result<Self, String> {
        let kept: Kept = Kept::deserialize(kept).map_err(|error| error.to_string())?;
        if kept.terms.is_empty() || kept.terms.iter().any(|(tokens, _)| tokens.is_empty()) {
            return Err("terms without tokens".to_owned());
        }
        Ok(Self::new(kept))
    }

    fn new(kept: Kept) -> Self {
        let numbered = kept.terms.iter().zip(0..);
        let rarity = |texts: usize| {
            (1.0 + ((1.0 + kept.texts as f64) / (1.0 + texts as f64)).ln()).powf(kept.rarity_power)
        };
        Self {
            numbers: numbered.map(|((tokens, _), number)| (tokens.as_slice().into(), number)).collect(),
            rarity: kept.terms.iter().map(|(_, texts)| rarity(*texts)).collect(),
            grams: kept.terms.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(1),
            kept,
        }
    }

    /// What a run must keep to know them.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) fn kept(&self) -> Result<serde_json::Value> {
        serde_json::to_value(&self.kept).map_err(|error| Error::Failed(format!("terms of texts: {error}")))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.rarity.len()
    }

    /// Terms of a text of `length` tokens at the most.
    pub(crate) fn most(&self, length: usize) -> usize {
        (0..self.grams.min(length)).map(|gram| length - gram).sum::<usize>().min(self.count())
    }

    /// The known terms of a text with their weights, by number; none where none is known.
    pub(crate) fn weigh(&self, tokens: &[u32]) -> Vec<Term> {
        let known = counted(tokens, self.grams).into_iter().filter_map(|(term, count)| {
            let number = *self.numbers.get(term)?;
            Some((number, (1.0 + (count as f64).ln()) * self.rarity[number as usize]))
        });
        let mut weights: Vec<(u32, f64)> = known.collect();
        weights.sort_unstable_by_key(|(number, _)| *number);
        let norm = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        weights.into_iter().map(|(number, weight)| (number, (weight / norm) as f32)).collect()
    }
}

/// How often each row of at most `grams` tokens comes in `tokens`.
fn counted(tokens: &[u32], grams: usize) -> HashMap<&[u32], usize> {
    let mut counts = HashMap::new();
    for gram in (1..=grams).flat_map(|length| tokens.windows(length)) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// Texts as inputs of a [`TermSum`](super::TermSum): shorter ones are filled with term 0, which weighs nothing there.
pub(crate) fn term_inputs(texts: &[Vec<Term>]) -> Vec<(String, TensorData)> {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let (mut numbers, mut weights) = (Vec::new(), Vec::new());
    for text in texts {
        let filled = text.iter().copied().chain(std::iter::repeat((0, 0.0))).take(longest);
        for (number, weight) in filled {
            numbers.push(i64::from(number));
            weights.push(weight);
        }
    }
    let shape = [texts.len(), longest];
    vec![
        (TERMS.to_owned(), TensorData::new(numbers, shape)),
        (WEIGHTS.to_owned(), TensorData::new(weights, shape)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(grams: usize, least: usize, most: usize, texts: &[&[u32]]) -> Terms {
        let config = TermsConfig { grams, least, most, ..TermsConfig::default() };
        Terms::learn(&config, given(texts)).unwrap()
    }

    fn given(texts: &[&[u32]]) -> impl Iterator<Item = Result<Vec<u32>>> {
        texts.iter().map(|text| Ok(text.to_vec()))
    }

    #[test]
    fn terms_of_enough_texts_are_known_most_frequent_first() {
        let texts: [&[u32]; 3] = [&[5, 5, 6], &[5, 6], &[7, 5]];
        let terms = learn(2, 2, 9, &texts).kept.terms;
        assert_eq!(terms, [(vec![5], 3), (vec![5, 6], 2), (vec![6], 2)]);
        assert_eq!(learn(2, 1, 2, &texts).kept.terms, [(vec![5], 3), (vec![5, 6], 2)]);
        let said =
            Terms::learn(&TermsConfig { least: 4, ..TermsConfig::default() }, given(&texts)).unwrap_err();
        assert!(said.to_string().contains("none comes in 4 of the 3 training texts"), "{said}");
    }

    #[test]
    fn weights_are_the_equation() {
        let texts: [&[u32]; 3] = [&[5, 5, 6], &[5, 6], &[7, 5]];
        let terms = learn(1, 1, 9, &texts);
        // 5 comes twice, and in all three texts; 6 once, and in two of three; 9 is unknown.
        let five = (1.0 + 2f64.ln()) * (1.0 + (4f64 / 4.0).ln());
        let six = 1.0 + (4f64 / 3.0).ln();
        let norm = five.hypot(six);
        let expected = vec![(0, (five / norm) as f32), (1, (six / norm) as f32)];
        assert_eq!(terms.weigh(&[5, 6, 9, 5]), expected);
        assert!(terms.weigh(&[9]).is_empty() && terms.weigh(&[]).is_empty());
        assert_eq!([terms.count(), terms.most(2), terms.most(50)], [3, 2, 3]);
    }

    #[test]
    fn rarity_weighs_in_its_power() {
        let texts: [&[u32]; 3] = [&[5, 6], &[5, 6], &[7, 5]];
        let config = TermsConfig { grams: 1, least: 1, rarity_power: 2.0, ..TermsConfig::default() };
        let terms = Terms::learn(&config, given(&texts)).unwrap();
        let six = (1.0 + (4f64 / 3.0).ln()).powi(2);
        let norm = six.hypot(1.0);
        assert_eq!(terms.weigh(&[5, 6]), [(0, (1.0 / norm) as f32), (1, (six / norm) as f32)]);
        let common = TermsConfig { rarity_power: 0.0, ..config };
        let [one, other] = Terms::learn(&common, given(&texts)).unwrap().weigh(&[5, 6])[..] else { panic!() };
        assert_eq!(one.1, other.1);
    }

    #[test]
    fn kept_terms_are_those_that_were_learned() {
        let terms = learn(2, 1, 9, &[&[1, 2], &[2, 3]]);
        assert_eq!(Terms::restore(&terms.kept().unwrap()).unwrap(), terms);
        let before = serde_json::json!({ "texts": 2, "terms": [[[2], 2]] });
        assert_eq!(Terms::restore(&before).unwrap().kept.rarity_power, 1.0);
        assert!(Terms::restore(&serde_json::json!({ "texts": 1, "terms": [[[], 1]] })).is_err());
        assert!(Terms::restore(&serde_json::json!([1])).is_err());
    }

    #[test]
    fn shorter_texts_are_filled_with_what_weighs_nothing() {
        let inputs = term_inputs(&[vec![(3, 0.5), (4, 0.25)], vec![]]);
        inputs[0].1.assert_eq(&TensorData::from([[3i64, 4], [0, 0]]), true);
        inputs[1].1.assert_eq(&TensorData::from([[0.5f32, 0.25], [0.0, 0.0]]), true);
        assert_eq!(term_inputs(&[vec![]])[0].1.shape().as_slice(), [1, 1]);
    }
}
