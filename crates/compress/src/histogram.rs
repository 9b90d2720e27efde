//! How often inputs of which size are met, and what of them is worth a byte.

use ansatz_ops::Observed;

use crate::calibrate::Statistic;
use crate::ranges::RangeMethod;

/// Bins on each side of 0.
const BINS: usize = 2048;

/// Levels of a byte.
const LEVELS: usize = 256;

/// How often inputs of which magnitude are met, apart for both signs, in bins as wide as a power of two: where a larger
/// one is met, each two bins become one, so that nothing depends on the order of the examples.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histogram {
    /// Below 0, by magnitude.
    below: Vec<u64>,
    /// From 0 on.
    above: Vec<u64>,
    width: f32,
    least: f32,
    largest: f32,
    are_finite: bool,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            below: vec![0; BINS],
            above: vec![0; BINS],
            width: f32::MIN_POSITIVE,
            least: 0.0,
            largest: 0.0,
            are_finite: true,
        }
    }
}

impl Statistic for Histogram {
    fn bytes(_groups: usize, _inputs: usize) -> usize {
        2 * BINS * size_of::<u64>()
    }

    fn see(&mut self, inputs: &Observed) {
        let data = match inputs {
            Observed::Rows(rows) => rows.to_data(),
            Observed::Picture { picture, .. } => picture.to_data(),
        };
        match data.convert::<f32>().try_into_vec::<f32>() {
            Ok(values) => self.count(&values),
            Err(_) => self.are_finite = false,
        }
    }
}

impl Histogram {
    fn count(&mut self, values: &[f32]) {
        self.are_finite &= values.iter().all(|value| value.is_finite());
        if !self.are_finite {
            return;
        }
        self.least = values.iter().copied().fold(self.least, f32::min);
        self.largest = values.iter().copied().fold(self.largest, f32::max);
        while self.magnitude() >= self.width * BINS as f32 && self.width < f32::MAX / (4 * BINS) as f32 {
            self.width *= 2.0;
            for side in [&mut self.below, &mut self.above] {
                for bin in 0..BINS / 2 {
                    side[bin] = side[2 * bin] + side[2 * bin + 1];
                }
                side[BINS / 2..].fill(0);
            }
        }
        for value in values {
            let bin = ((value.abs() / self.width) as usize).min(BINS - 1);
            let side = if *value < 0.0 { &mut self.below } else { &mut self.above };
            side[bin] += 1;
        }
    }

    fn magnitude(&self) -> f32 {
        self.largest.max(-self.least)
    }

    /// The range that `method` finds; none where an input was not finite.
    pub(crate) fn range(&self, method: RangeMethod) -> Option<[f32; 2]> {
        let limit = match method {
            RangeMethod::MinMax => self.magnitude(),
            RangeMethod::Percentile(percentile) => self.percentile(percentile),
            RangeMethod::Entropy => self.least_divergence(),
        };
        self.are_finite.then(|| [self.least.max(-limit), self.largest.min(limit)])
    }

    /// The magnitude that so many of a hundred do not exceed, to the width of a bin.
    fn percentile(&self, percentile: f64) -> f32 {
        let counts = self.below.iter().zip(&self.above).map(|(below, above)| below + above);
        let total: u64 = counts.clone().sum();
        let wanted = total as f64 * percentile / 100.0;
        let mut sum = 0;
        for (bin, count) in counts.enumerate() {
            sum += count;
            if sum as f64 >= wanted {
                return (bin + 1) as f32 * self.width;
            }
        }
        self.magnitude()
    }

    /// The magnitude at which cutting off changes the distribution P of the inputs least,
    ///
    /// ```text
    /// KL(P ‖ Q) = Σ P ln (P / Q)
    /// ```
    ///
    /// where P counts what is cut off in its outermost bins, and Q is P without it, every bin that is met as likely as the
    /// others of its level (Migacz 2017, "8-bit inference with TensorRT", the pseudocode of entropy calibration).
    fn least_divergence(&self) -> f32 {
        let bins = ((self.magnitude() / self.width) as usize + 1).min(BINS);
        let divergences = (1..=bins).filter_map(|kept| Some((kept, self.divergence(kept)?)));
        let best = divergences.min_by(|(_, one), (_, other)| one.total_cmp(other));
        best.map_or(self.magnitude(), |(kept, _)| kept as f32 * self.width)
    }

    /// KL(P ‖ Q) where `kept` bins are left on each side that is met; none where they are fewer than the levels.
    fn divergence(&self, kept: usize) -> Option<f64> {
        // A side without a value takes no level.
        let sides = [(&self.below, self.least < 0.0), (&self.above, self.largest > 0.0)];
        let [below, above] = sides.map(|(side, is_met)| if is_met { &side[..kept] } else { &[] });
        let exact: Vec<u64> = below.iter().rev().chain(above).copied().collect();
        if exact.len() < LEVELS {
            return None;
        }
        let mut reference = exact.clone();
        let [cut_below, cut_above] = sides.map(|(side, _)| side[kept..].iter().sum::<u64>());
        *reference.first_mut()? += cut_below;
        *reference.last_mut()? += cut_above;
        let total: u64 = reference.iter().sum();
        let inside: u64 = exact.iter().sum();
        let mut divergence = 0.0;
        for level in 0..LEVELS {
            let bins = level * exact.len() / LEVELS..(level + 1) * exact.len() / LEVELS;
            let sum: u64 = exact[bins.clone()].iter().sum();
            let met = exact[bins.clone()].iter().filter(|count| **count > 0).count();
            for bin in bins.filter(|bin| reference[*bin] > 0) {
                let p = reference[bin] as f64 / total as f64;
                // An outermost bin that only holds what was cut off is in no level: as if it were met once.
                let q = if exact[bin] > 0 { sum as f64 / met as f64 } else { 1.0 };
                divergence += p * (p * inside.max(1) as f64 / q).ln();
            }
        }
        Some(divergence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.count(values);
        histogram
    }

    /// Values of a bell, by the sum of twelve even ones, and a few far out.
    fn bell(count: usize, far: f32) -> Vec<f32> {
        let mut state = 1_u64;
        let mut even = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let mut values: Vec<f32> = (0..count).map(|_| (0..12).map(|_| even()).sum::<f32>() - 6.0).collect();
        values.extend([far, -far]);
        values
    }

    #[test]
    fn the_order_of_examples_changes_nothing() {
        let values = bell(3000, 40.0);
        let whole = histogram(&values);
        let mut reversed = Histogram::default();
        values.chunks(700).rev().for_each(|values| reversed.count(values));
        assert_eq!(whole, reversed);
        assert_eq!(whole.above.iter().chain(&whole.below).sum::<u64>(), 3002);
        assert_eq!(whole.range(RangeMethod::MinMax), Some([-40.0, 40.0]));
    }

    #[test]
    fn a_percentile_leaves_out_as_many() {
        let values: Vec<f32> = (1..=1000).map(|value| value as f32).collect();
        let [least, largest] = histogram(&values).range(RangeMethod::Percentile(90.0)).unwrap();
        assert_eq!(least, 0.0);
        assert!((largest - 900.0).abs() <= 1.0, "{largest}");
        assert_eq!(histogram(&values).range(RangeMethod::Percentile(100.0)), Some([0.0, 1000.0]));
    }

    #[test]
    fn a_few_values_far_out_are_cut_off_by_their_entropy() {
        let [least, largest] = histogram(&bell(100_000, 60.0)).range(RangeMethod::Entropy).unwrap();
        // The bell itself ends before 6.
        assert!(largest < 15.0 && largest > 2.0 && least == -largest, "{least} {largest}");
        // Where nothing is far out, next to nothing is lost.
        let even: Vec<f32> = (0..100_000).map(|value| value as f32 / 100_000.0).collect();
        let [least, largest] = histogram(&even).range(RangeMethod::Entropy).unwrap();
        assert!(least == 0.0 && largest > 0.9, "{least} {largest}");
    }

    #[test]
    fn no_value_and_no_number_are_told_apart() {
        for method in [RangeMethod::MinMax, RangeMethod::Percentile(99.0), RangeMethod::Entropy] {
            assert_eq!(histogram(&[0.0; 4]).range(method), Some([0.0, 0.0]));
            assert_eq!(histogram(&[1.0, f32::NAN]).range(method), None);
            assert_eq!(histogram(&[f32::INFINITY]).range(method), None);
            let range = histogram(&[-3e38, 3e38]).range(method).unwrap();
            assert!(range.iter().all(|bound| bound.is_finite()), "{range:?}");
        }
    }
}
