//! How much each class counts in the loss.

use ansatz_core::{ConfigError, Error, Result, Targets};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much each class counts in the loss that is learned from: `"none"`, `"balanced"` or `{ each = [1.0, 5.0] }`. Figures
/// and the loss that they hold always count all examples alike.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// All classes alike.
    #[default]
    None,
    /// The rarer a class of the training part, the more: n / (K n_k), with n examples in K classes, of which n_k are of
    /// class k. All classes then count alike, and an example 1 in the mean. Where an example may have several labels, to
    /// have one and to lack it are two classes. King and Zeng, Logistic Regression in Rare Events Data, 2001, section 4.1.
    Balanced,
    /// So much each, in the order of their names; at least 0, and not all 0.
    Each(Vec<f64>),
}

/// How many examples of the training part there are, and how many of each class or with each label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCounts {
    /// All of them.
    pub examples: u64,
    /// Those of each class, in the order of their indices. Classes behind the last one have none.
    pub of: Vec<u64>,
}

/// What a label weighs where it is not right, and where it is.
pub(crate) type Weight = [f32; 2];

impl LabelCounts {
    /// The counts of labels that are classes, or of which an example may have several.
    pub(crate) fn of(labels: &Targets) -> Option<Self> {
        let mut of = Vec::new();
        let mut count = |label: usize| {
            of.resize(of.len().max(label + 1), 0);
            of[label] += 1;
        };
        let examples = match labels {
            Targets::Classes(classes) => {
                classes.iter().copied().for_each(&mut count);
                classes.len()
            }
            Targets::Labels { labels, values } => {
                let held = values.iter().enumerate().filter(|(_, holds)| **holds);
                held.for_each(|(at, _)| count(at % labels));
                values.len() / (*labels).max(1)
            }
            _ => return None,
        };
        Some(Self { examples: examples as u64, of })
    }
}

impl ClassWeights {
    /// Checks that the weights are weights.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self::Each(each) = self else { return Ok(()) };
        let expected = "numbers of at least 0, not all of them 0";
        if let Some((at, weight)) =
            each.iter().enumerate().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0))
        {
            return Err(ConfigError::value(format!("each[{at}]"), format!("a weight of {weight}"), expected));
        }
        if each.iter().all(|weight| *weight == 0.0) {
            return Err(ConfigError::value("each", "no class counts", expected));
        }
        Ok(())
    }

    /// The weight of each of the labels `names`, of which an example has one or, if `several`, any number. Empty where all
    /// count alike, or the training part was not counted: then nothing is learned.
    ///
    /// # Errors
    /// When there are not as many as labels.
    pub(crate) fn resolve(
        &self,
        names: &[String],
        several: bool,
        counts: Option<&LabelCounts>,
    ) -> Result<Vec<Weight>> {
        match (self, counts) {
            (Self::None, _) | (Self::Balanced, None) => Ok(Vec::new()),
            (Self::Each(each), _) if each.len() == names.len() => Ok(each
                .iter()
                .map(|weight| [if several { *weight as f32 } else { 0.0 }, *weight as f32])
                .collect()),
            (Self::Each(each), _) => {
                let problem = format!("{} weights for {} classes", each.len(), names.len());
                let expected = format!("one for each of {}, in this order", names.join(", "));
                Err(ConfigError::value("class_weights.each", problem, expected).into())
            }
            (Self::Balanced, Some(LabelCounts { examples, of })) if of.len() <= names.len() => {
                let all = *examples as f64;
                // A class without examples is never learned from, whatever it weighs.
                let share = |classes: f64, count: f64| (all / (classes * count.max(1.0))) as f32;
                let weight = |label: usize| {
                    let own = of.get(label).copied().unwrap_or(0) as f64;
                    if several {
                        [share(2.0, all - own), share(2.0, own)]
                    } else {
                        [0.0, share(of.len() as f64, own)]
                    }
                };
                Ok((0..names.len()).map(weight).collect())
            }
            (Self::Balanced, Some(LabelCounts { of, .. })) => {
                let problem = format!("{} classes were counted, {} are known", of.len(), names.len());
                Err(Error::Failed(format!("weighing classes: {problem}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|name| name.to_string()).collect()
    }

    #[test]
    fn balanced_weights_make_all_classes_count_alike() {
        let counts = LabelCounts::of(&Targets::Classes(vec![0, 0, 0, 1])).unwrap();
        assert_eq!(counts, LabelCounts { examples: 4, of: vec![3, 1] });
        let weights = ClassWeights::Balanced.resolve(&names(2), false, Some(&counts)).unwrap();
        // 4 / (2 · 3) and 4 / (2 · 1).
        assert_eq!(weights, [[0.0, 4.0 / 6.0], [0.0, 2.0]]);
        let labels =
            Targets::Labels { labels: 2, values: vec![true, false, true, true, true, false, false, false] };
        let counts = LabelCounts::of(&labels).unwrap();
        assert_eq!(counts, LabelCounts { examples: 4, of: vec![3, 1] });
        let weights = ClassWeights::Balanced.resolve(&names(2), true, Some(&counts)).unwrap();
        assert_eq!(weights, [[2.0, 4.0 / 6.0], [4.0 / 6.0, 2.0]]);
        assert_eq!(LabelCounts::of(&Targets::Unknown), None);
    }

    #[test]
    fn weights_by_hand_are_as_many_as_classes() {
        let each = ClassWeights::Each(vec![1.0, 3.0]);
        assert_eq!(each.resolve(&names(2), false, None).unwrap(), [[0.0, 1.0], [0.0, 3.0]]);
        assert_eq!(each.resolve(&names(2), true, None).unwrap(), [[1.0, 1.0], [3.0, 3.0]]);
        let said = each.resolve(&names(3), false, None).unwrap_err().to_string();
        assert!(said.contains("2 weights for 3 classes") && said.contains("0, 1, 2"), "{said}");
        assert!(ClassWeights::Balanced.resolve(&names(2), false, None).unwrap().is_empty());
        for (each, path) in
            [(vec![1.0, -1.0], "`each[1]`"), (vec![f64::NAN], "`each[0]`"), (vec![0.0; 2], "`each`")]
        {
            let said = ClassWeights::Each(each).check().unwrap_err().to_string();
            assert!(said.contains(path), "{said}");
        }
    }
}
