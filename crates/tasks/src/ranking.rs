//! How well a classifier puts the examples of a class before all others.

/// What was said of each example, and what it was.
#[derive(Debug, Clone)]
pub(crate) struct Ranking {
    classes: usize,
    /// Log-probabilities, `[examples][classes]`; close to certainty they tell more apart than probabilities do.
    said: Vec<f32>,
    targets: Vec<usize>,
}

impl Ranking {
    pub(crate) fn new(classes: usize) -> Self {
        Self { classes, said: Vec::new(), targets: Vec::new() }
    }

    /// Takes in an example of the class `target`.
    pub(crate) fn add(&mut self, log_probabilities: &[f64], target: usize) {
        self.said.extend(log_probabilities.iter().map(|log| *log as f32));
        self.targets.push(target);
    }

    /// Area under the receiver operating characteristic, 0–1, each class against the rest, averaged over the
    /// classes that have examples and are not all examples (Hand and Till 2001, section 2). NaN where there is none.
    pub(crate) fn area(&self) -> f64 {
        let areas = (0..self.classes).filter_map(|class| self.area_of(class));
        let (sum, count) = areas.fold((0.0, 0), |(sum, count), area| (sum + area, count + 1));
        if count == 0 { f64::NAN } else { sum / f64::from(count) }
    }

    /// The share of the pairs of an example of `class` and another one in which the first is ranked higher; a draw
    /// counts half (Mann and Whitney 1947):
    ///
    /// ```text
    /// area = (Σ ranks of the class − n (n + 1) / 2) / (n · others)
    /// ```
    fn area_of(&self, class: usize) -> Option<f64> {
        let said = self.said.iter().skip(class).step_by(self.classes);
        area(said.zip(&self.targets).map(|(said, target)| (*said, *target == class)).collect())
    }
}

/// The area of what was said of each example and whether it was so; `None` where all or none were.
pub(crate) fn area(mut said: Vec<(f32, bool)>) -> Option<f64> {
    let own = said.iter().filter(|(_, own)| *own).count() as f64;
    let others = said.len() as f64 - own;
    if own == 0.0 || others == 0.0 {
        return None;
    }
    said.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut before) = (0.0, 0.0);
    for equals in said.chunk_by(|a, b| a.0 == b.0) {
        let middle = before + (equals.len() as f64 + 1.0) / 2.0;
        ranks += middle * equals.iter().filter(|(_, own)| *own).count() as f64;
        before += equals.len() as f64;
    }
    Some((ranks - own * (own + 1.0) / 2.0) / (own * others))
}

/// Average precision, 0–1: the precision at each value that was said, weighed by the recall that it adds,
///
/// ```text
/// Σ_n (R_n − R_{n−1}) P_n
/// ```
///
/// over falling values, equal ones together (Zhu 2004, "Recall, precision and average precision"). `None` where no example
/// was so.
pub(crate) fn average_precision(mut said: Vec<(f32, bool)>) -> Option<f64> {
    let all = said.iter().filter(|(_, own)| *own).count() as f64;
    if all == 0.0 {
        return None;
    }
    said.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut sum, mut taken, mut right) = (0.0, 0.0, 0.0);
    for equals in said.chunk_by(|a, b| a.0 == b.0) {
        let own = equals.iter().filter(|(_, own)| *own).count() as f64;
        taken += equals.len() as f64;
        right += own;
        sum += own / all * (right / taken);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_classes(examples: &[(f64, usize)]) -> Ranking {
        let mut ranking = Ranking::new(2);
        for (probability, target) in examples {
            ranking.add(&[(1.0 - probability).ln(), probability.ln()], *target);
        }
        ranking
    }

    #[test]
    fn the_area_is_the_share_of_pairs_in_order() {
        assert_eq!(two_classes(&[(0.1, 0), (0.2, 0), (0.8, 1)]).area(), 1.0);
        assert_eq!(two_classes(&[(0.9, 0), (0.1, 1)]).area(), 0.0);
        assert_eq!(two_classes(&[(0.5, 0), (0.5, 1)]).area(), 0.5);
        // Of the pairs (0.6, 0.3), (0.6, 0.7), (0.7, 0.3), (0.7, 0.7) two are in order and one is a draw.
        let area = two_classes(&[(0.3, 0), (0.7, 0), (0.6, 1), (0.7, 1)]).area();
        assert!((area - 2.5 / 4.0).abs() < 1e-12, "{area}");
    }

    #[test]
    fn average_precision_is_that_of_the_ranking() {
        let said = |values: &[(f32, bool)]| average_precision(values.to_vec());
        // In order: right, wrong, right: precisions 1 and 2/3, each of half the recall.
        assert_eq!(said(&[(0.1, true), (0.9, true), (0.5, false)]), Some((1.0 + 2.0 / 3.0) / 2.0));
        assert_eq!(said(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(said(&[(0.5, false)]), None);
    }

    #[test]
    fn a_class_without_examples_does_not_count() {
        let mut ranking = Ranking::new(3);
        ranking.add(&[-0.1, -3.0, -5.0], 0);
        ranking.add(&[-3.0, -0.1, -4.0], 1);
        assert_eq!(ranking.area(), 1.0);
        assert!(two_classes(&[(0.3, 0), (0.6, 0)]).area().is_nan());
        assert!(Ranking::new(2).area().is_nan());
    }
}
