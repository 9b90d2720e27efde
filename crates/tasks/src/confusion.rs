//! Figures that follow from a confusion matrix.

/// `counts[target][prediction]` for `classes` classes, all zero.
pub(crate) fn empty(classes: usize) -> Vec<Vec<u64>> {
    vec![vec![0; classes]; classes]
}

/// Macro-F1, 0–1: the mean of each class's F1 over the classes found among the targets or the predictions;
/// an undefined F1 is 0. NaN where nothing was counted.
///
/// ```text
/// F1 = 2 true positives / (targets + predictions) of the class
/// ```
pub(crate) fn macro_f1(counts: &[Vec<u64>]) -> f64 {
    let mut sum = 0.0;
    let mut found = 0;
    for class in 0..counts.len() {
        let targets: u64 = counts[class].iter().sum();
        let predictions: u64 = counts.iter().map(|row| row[class]).sum();
        if targets + predictions > 0 {
            found += 1;
            sum += 2.0 * counts[class][class] as f64 / (targets + predictions) as f64;
        }
    }
    if found == 0 { f64::NAN } else { sum / f64::from(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_do_not_occur_do_not_count() {
        // Class 0: 2 of 3 found, 2 of 2 predictions right: F1 = 4/5. Class 1: 1 of 1, 1 of 2: 2/3.
        // Class 2 is found nowhere.
        let counts = [vec![2, 1, 0], vec![0, 1, 0], vec![0, 0, 0]];
        assert!((macro_f1(&counts) - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-15);
    }

    #[test]
    fn a_class_that_is_only_predicted_counts_as_zero() {
        assert!((macro_f1(&[vec![1, 1], vec![0, 0]]) - (2.0 / 3.0) / 2.0).abs() < 1e-15);
        assert!(macro_f1(&empty(3)).is_nan());
    }
}
