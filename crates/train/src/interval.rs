//! How far chance may have moved a figure.

use ansatz_core::{Contribution, Interval};
use ansatz_data::{Purpose, stream};
use rand::RngExt;

/// Test sets that are drawn anew from the one there is.
const DRAWS: u64 = 1000;

/// The percentile interval of the bootstrap (Efron 1979, "Bootstrap methods: another look at the jackknife"): as many
/// examples as there are, drawn with replacement, give the figure anew; of 1,000 such figures the middle 95 % count.
/// The same contributions give the same interval. `None` for fewer than two contributions, or a figure that is not
/// finite.
pub(crate) fn interval(figure: &str, contributions: &[Contribution]) -> Option<Interval> {
    let count = contributions.len();
    if count < 2 {
        return None;
    }
    let mut figures: Vec<f64> = (0..DRAWS)
        .map(|draw| {
            let mut random = stream(0, Purpose::Sample, 0, draw);
            let (mut sum, mut weight) = (0.0, 0.0);
            for _ in 0..count {
                let drawn = &contributions[random.random_range(0..count)];
                sum += drawn.sum;
                weight += drawn.weight;
            }
            sum / weight
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    let at = |share: f64| figures[(share * (DRAWS - 1) as f64).round() as usize];
    let (low, high) = (at(0.025), at(0.975));
    (low.is_finite() && high.is_finite()).then(|| Interval { figure: figure.to_owned(), low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(right: usize, of: usize) -> Option<Interval> {
        let each = |index| Contribution { sum: f64::from(u8::from(index < right)), weight: 1.0 };
        interval("accuracy", &(0..of).map(each).collect::<Vec<_>>())
    }

    #[test]
    fn the_interval_is_two_standard_errors_to_both_sides() {
        // √(0.9 · 0.1 / 1000) = 0.0095.
        let found = share(900, 1000).expect("enough examples");
        assert!((found.low - (0.9 - 1.96 * 0.0095)).abs() < 0.003, "{found:?}");
        assert!((found.high - (0.9 + 1.96 * 0.0095)).abs() < 0.003, "{found:?}");
        assert_eq!(share(900, 1000), Some(found));
    }

    #[test]
    fn weights_count() {
        let heavy = Contribution { sum: 2.0, weight: 4.0 };
        let found = interval("loss", &[heavy; 5]).expect("enough examples");
        assert_eq!((found.low, found.high), (0.5, 0.5));
    }

    #[test]
    fn too_little_gives_none() {
        assert_eq!(share(1, 1), None);
        assert_eq!(interval("loss", &[Contribution { sum: f64::NAN, weight: 1.0 }; 3]), None);
        assert_eq!(interval("loss", &[Contribution { sum: 0.0, weight: 0.0 }; 3]), None);
    }
}
