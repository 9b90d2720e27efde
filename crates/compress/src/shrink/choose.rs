//! How many units of each width stay, for a share of the floating-point operations.

use ansatz_core::{Error, Result};

use super::site::{Site, Whole, flops};
use super::width::Width;

/// A width is cut in about as many steps as this.
const STEPS: usize = 16;

/// Units in the order in which they stay, with what all up to each of them hold of the whole importance.
pub(super) struct Ranking {
    /// The most important first.
    order: Vec<usize>,
    /// `held[n]`: the share that the first n units hold, in 0–1.
    held: Vec<f64>,
}

impl Ranking {
    /// Ranks units by their importance; among equals the first come first.
    pub(super) fn new(importance: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..importance.len()).collect();
        order.sort_by(|a, b| importance[*b].total_cmp(&importance[*a]));
        let whole: f64 = importance.iter().sum();
        let mut held = vec![0.0];
        for unit in &order {
            held.push(held[held.len() - 1] + importance[*unit] / whole.max(f64::MIN_POSITIVE));
        }
        Self { order, held }
    }

    /// The first `count`, in the order of the network.
    pub(super) fn first(&self, count: usize) -> Vec<usize> {
        let mut kept = self.order[..count].to_vec();
        kept.sort_unstable();
        kept
    }

    /// What is lost where `to` units stay of `from`: `ln(held[from] / held[to])`.
    fn lost(&self, from: usize, to: usize) -> f64 {
        (self.held[from] / self.held[to]).ln()
    }
}

/// The units that stay of each width so that at most `target` operations are left.
///
/// What is to be kept large is the product over the widths of the importance that they still hold; step by step some
/// units go of the width that loses the least of its logarithm for the operations that it saves.
///
/// # Errors
/// When all widths together cannot save so many.
pub(super) fn choose(
    site: &Site<'_>,
    whole: &Whole,
    widths: &[(Width, Ranking)],
    target: f64,
    multiple: usize,
) -> Result<Vec<usize>> {
    let mut counts: Vec<usize> = widths.iter().map(|(width, _)| width.units).collect();
    let operations = |counts: &[usize]| -> Result<f64> {
        let values = widths.iter().zip(counts).flat_map(|((width, _), count)| width.values(*count));
        let experiment = site.changed(&whole.experiment, &values.collect::<Vec<_>>())?;
        Ok(flops(&site.build(&experiment)?) as f64)
    };
    let original = operations(&counts)?;
    let mut now = original;
    while now > target {
        let mut best: Option<(f64, f64, Vec<usize>)> = None;
        for (index, (width, ranking)) in widths.iter().enumerate() {
            let Some(count) = fewer(counts[index], width.units, multiple) else { continue };
            let mut next = counts.clone();
            next[index] = count;
            // Some numbers of units no network can have.
            let Ok(left) = operations(&next) else { continue };
            let price = ranking.lost(counts[index], count) / (now - left);
            if left < now && best.as_ref().is_none_or(|(least, ..)| price < *least) {
                best = Some((price, left, next));
            }
        }
        let Some((_, left, next)) = best else {
            return Err(Error::input(
                format!("flops: {target:.0} operations"),
                format!("with every width at its least, {now:.0} of {original:.0} are left"),
                format!("a share above {:.2}", now / original),
                "leave more, let more widths be cut, or leave blocks out",
            ));
        };
        (now, counts) = (left, next);
    }
    Ok(counts)
}

/// The next smaller number of units, if there is one.
fn fewer(count: usize, units: usize, multiple: usize) -> Option<usize> {
    let step = (units / STEPS).max(1);
    let next = count.saturating_sub(step) / multiple * multiple;
    (next > 0).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_important_stay_in_their_order() {
        let ranking = Ranking::new(&[1.0, 4.0, 2.0, 1.0]);
        assert_eq!(ranking.order, [1, 2, 0, 3]);
        assert_eq!(ranking.first(3), [0, 1, 2]);
        assert!((ranking.lost(4, 1) - 2.0_f64.ln()).abs() < 1e-12);
        assert_eq!(Ranking::new(&[0.0, 1.0]).lost(2, 1), 0.0);
    }

    #[test]
    fn units_go_in_steps_to_a_multiple() {
        assert_eq!(fewer(24, 24, 8), Some(16));
        assert_eq!(fewer(20, 20, 8), Some(16));
        assert_eq!(fewer(8, 24, 8), None);
        assert_eq!(fewer(64, 64, 1), Some(60));
        assert_eq!(fewer(1, 8, 1), None);
    }
}
