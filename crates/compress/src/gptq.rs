//! Rounding that sees what the network meets.

use std::ops::Range;

use ansatz_core::Result;
use ansatz_ops::Granularity;

use crate::calibrate::Hessian;
use crate::compensate::{Choice, Rows, compensate, root, rows};
use crate::rounding::{Levels, Rounded, round, scale_index};
use crate::{Kind, Weight};

/// Rounds a weight column by column, so that the columns still to come make up for each error: GPTQ, Frantar et al.,
/// "GPTQ: accurate post-training quantization for generative pre-trained transformers", 2023, arXiv:2210.17323,
/// algorithm 1. Scales per tensor or output are those of [`round`]; those of groups come of what the values have become
/// when their turn is reached. What is zero stays zero, so that pruned weights stay pruned.
///
/// The order of columns is greedy and no optimum: an output for which [`round`] has the smaller ‖wX − ŵX‖ is rounded.
///
/// # Errors
/// When examples led to what is not finite.
pub(crate) fn gptq(weight: &Weight, hessian: &Hessian, levels: Levels, per: Granularity) -> Result<Rounded> {
    let mut found = compensated(weight, hessian, levels, per)?;
    let plain = round(weight, levels, per);
    let scale_of = scale_index(weight, per);
    let columns = weight.columns();
    let rows = weight.outputs() / hessian.groups().len().max(1);
    for (group, h) in hessian.groups().enumerate() {
        for output in group * rows..(group + 1) * rows {
            let error = |rounded: &Rounded| {
                let moved = |column| {
                    let index = weight.index(output, column);
                    let value = rounded.steps(scale_of(index)).value(rounded.codes[index]);
                    f64::from(weight.values[index] - value)
                };
                square(h, &(0..columns).map(moved).collect::<Vec<_>>())
            };
            if error(&plain) < error(&found) {
                for index in (0..columns).map(|column| weight.index(output, column)) {
                    found.codes[index] = plain.codes[index];
                    found.set_steps(scale_of(index), plain.steps(scale_of(index)));
                }
            }
        }
    }
    Ok(found)
}

/// Algorithm 1 for all outputs.
fn compensated(weight: &Weight, hessian: &Hessian, levels: Levels, per: Granularity) -> Result<Rounded> {
    let columns = weight.columns();
    let mut rounded = round(weight, levels, per);
    let count = hessian.groups().len().max(1);
    for (group, h) in hessian.groups().enumerate() {
        let upper = root(weight, hessian, h)?;
        let outputs = weight.outputs() / count * group..weight.outputs() / count * (group + 1);
        let mut rows = rows(weight, outputs.clone());
        let unit = match (per, weight.kind) {
            (Granularity::Group(size), Kind::Matrix) => size,
            (Granularity::Group(size), Kind::Kernel) => size * (columns / weight.inputs()),
            _ => 1,
        };
        let scale_of = scale_index(weight, per);
        compensate(
            &mut rows,
            &upper,
            &mut Rounding { weight, outputs, levels, per, unit, scale_of, rounded: &mut rounded },
        );
    }
    Ok(rounded)
}

struct Rounding<'a, S> {
    weight: &'a Weight,
    /// Those of the rows.
    outputs: Range<usize>,
    levels: Levels,
    per: Granularity,
    unit: usize,
    scale_of: S,
    rounded: &'a mut Rounded,
}

impl<S: Fn(usize) -> usize> Choice for Rounding<'_, S> {
    fn unit(&self) -> usize {
        self.unit
    }

    fn begin(&mut self, rows: &Rows, columns: Range<usize>) {
        if !matches!(self.per, Granularity::Group(_)) {
            return;
        }
        for (output, row) in self.outputs.clone().zip(rows.values.chunks_exact(rows.columns)) {
            let kept = columns
                .clone()
                .filter(|column| self.weight.values[self.weight.index(output, *column)] != 0.0);
            let ends = |[least, largest]: [f32; 2], value: f32| [least.min(value), largest.max(value)];
            let [least, largest] = kept.map(|column| row[column] as f32).fold([0.0; 2], ends);
            let place = (self.scale_of)(self.weight.index(output, columns.start));
            self.rounded.set_steps(place, self.levels.steps(least, largest, self.per));
        }
    }

    fn choose(&mut self, row: usize, column: usize, value: f64) -> f64 {
        let index = self.weight.index(self.outputs.start + row, column);
        let steps = self.rounded.steps((self.scale_of)(index));
        let code = match self.weight.values[index] {
            0.0 => steps.zero_point,
            _ => self.levels.code(value as f32, steps),
        };
        self.rounded.codes[index] = code;
        f64::from(steps.value(code))
    }
}

/// d H dᵀ.
fn square(h: &[f64], d: &[f64]) -> f64 {
    let products = h.chunks_exact(d.len()).map(|row| row.iter().zip(d).map(|(h, d)| h * d).sum::<f64>());
    products.zip(d).map(|(product, d)| product * d).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compensate::tests::{alike, drawn, inverse, weight};
    use ansatz_ops::Mapping;
    use proptest::prelude::*;

    /// ‖WX − ŴX‖² of all outputs.
    fn error(weight: &Weight, h: &[f64], rounded: &Rounded, per: Granularity) -> f64 {
        let scale_of = scale_index(weight, per);
        let columns = weight.columns();
        let moved = |index: usize| {
            let value = rounded.steps(scale_of(index)).value(rounded.codes[index]);
            f64::from(weight.values[index]) - f64::from(value)
        };
        let row = |output| (0..columns).map(move |column| weight.index(output, column));
        (0..weight.outputs()).map(|output| square(h, &row(output).map(moved).collect::<Vec<_>>())).sum()
    }

    /// Optimal brain quantization in a fixed order, output by output: each step takes one column out of the whole inverse
    /// (Frantar and Alistarh 2022, arXiv:2208.11580, equations 2 and 4).
    fn naive(weight: &Weight, h: &[f64], levels: Levels, per: Granularity) -> Rounded {
        let n = weight.columns();
        let window = n / weight.inputs();
        let mut damped = h.to_vec();
        let mean = (0..n).map(|i| h[i * n + i]).sum::<f64>() / n as f64;
        (0..n).for_each(|i| damped[i * n + i] += 0.01 * mean);
        let scale_of = scale_index(weight, per);
        let mut rounded = round(weight, levels, per);
        for output in 0..weight.outputs() {
            let mut inverse = inverse(&damped, n);
            let mut row: Vec<f64> =
                (0..n).map(|column| f64::from(weight.values[weight.index(output, column)])).collect();
            for j in 0..n {
                let index = weight.index(output, j);
                if let Granularity::Group(size) = per
                    && j % (size * window) == 0
                {
                    let group = &row[j..j + size * window];
                    let largest = group.iter().fold(0.0, |largest: f32, value| largest.max(*value as f32));
                    let least = group.iter().fold(0.0, |least: f32, value| least.min(*value as f32));
                    rounded.set_steps(scale_of(index), levels.steps(least, largest, per));
                }
                let steps = rounded.steps(scale_of(index));
                rounded.codes[index] = levels.code(row[j] as f32, steps);
                let error = row[j] - f64::from(steps.value(rounded.codes[index]));
                let pivot = inverse[j * n + j];
                let taken: Vec<f64> = inverse[j * n..(j + 1) * n].to_vec();
                (0..n).for_each(|k| row[k] -= error / pivot * taken[k]);
                for i in 0..n {
                    let factor = inverse[i * n + j] / pivot;
                    (0..n).for_each(|k| inverse[i * n + k] -= factor * taken[k]);
                }
            }
        }
        rounded
    }

    #[test]
    fn with_inputs_that_are_not_alike_it_is_rounding() {
        let weight = weight(Kind::Matrix, &[3, 2], &[0.7, -0.2, 0.31, 0.9, -0.55, 0.1]);
        let hessian = Hessian::of(vec![4.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 9.0], 3);
        for per in [Granularity::Tensor, Granularity::Axis(1), Granularity::Group(1)] {
            let plain = round(&weight, Levels::symmetric(3), per);
            assert_eq!(compensated(&weight, &hessian, Levels::symmetric(3), per).unwrap(), plain);
            assert_eq!(gptq(&weight, &hessian, Levels::symmetric(3), per).unwrap(), plain);
        }
    }

    #[test]
    fn a_column_makes_up_for_the_one_before() {
        // Twice the same input: 0.4 becomes 0, and its neighbour the sum of both.
        let weight = weight(Kind::Matrix, &[3, 1], &[0.4, 0.4, 1.0]);
        let hessian = Hessian::of(vec![1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0], 3);
        assert_eq!(round(&weight, Levels::symmetric(2), Granularity::Axis(1)).codes, [0, 0, 1]);
        assert_eq!(
            gptq(&weight, &hessian, Levels::symmetric(2), Granularity::Axis(1)).unwrap().codes,
            [0, 1, 1]
        );
    }

    #[test]
    fn what_was_pruned_stays_zero_and_what_is_not_finite_is_refused() {
        let weight = weight(Kind::Matrix, &[3, 1], &[0.4, 0.0, 1.0]);
        let mut values = vec![1.0, 0.9, 0.5, 0.9, 1.0, 0.4, 0.5, 0.4, 1.0];
        for per in [Granularity::Tensor, Granularity::Group(3)] {
            for mapping in [Mapping::Symmetric, Mapping::Affine] {
                let levels = Levels { bits: 4, mapping };
                let rounded = gptq(&weight, &Hessian::of(values.clone(), 3), levels, per).unwrap();
                assert_eq!(rounded.values(&[3, 1], per)[1], 0.0);
            }
        }
        values[0] = f64::INFINITY;
        let message = gptq(&weight, &Hessian::of(values, 3), Levels::symmetric(4), Granularity::Tensor)
            .unwrap_err()
            .to_string();
        assert!(message.contains("`w`") && message.contains("not finite"), "{message}");
    }

    #[test]
    fn the_outputs_of_a_group_see_the_inputs_of_that_group() {
        // Two groups of one output and two taps; the second group's taps meet the same.
        let weight = weight(Kind::Kernel, &[2, 1, 3], &[0.4, 0.4, 1.0, 0.4, 0.4, 1.0]);
        let apart = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let alike = [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let hessian = Hessian::of([apart, alike].concat(), 3);
        assert_eq!(
            gptq(&weight, &hessian, Levels::symmetric(2), Granularity::Axis(0)).unwrap().codes,
            [0, 0, 1, 0, 1, 1]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn it_is_optimal_brain_quantization_in_order_and_no_worse_than_rounding(
            bits in 2_u32..=8,
            mapping in prop::sample::select(vec![Mapping::Symmetric, Mapping::Affine]),
            kind in prop::sample::select(vec![Kind::Matrix, Kind::Kernel]),
            groups in 1_usize..5,
            size in 1_usize..4,
            outputs in 1_usize..5,
            choice in 0_usize..3,
            values in prop::collection::vec(-2.0_f32..2.0, 12 * 2 * 4),
            noise in prop::collection::vec(-1.0_f64..1.0, 24 * 50),
        ) {
            let inputs = groups * size;
            let shape = match kind {
                Kind::Matrix => vec![inputs, outputs],
                Kind::Kernel => vec![outputs, inputs, 2],
            };
            let weight = weight(kind, &shape, &values);
            let per = [Granularity::Tensor, Granularity::output(shape.len()), Granularity::Group(size)][choice];
            let h = alike(&noise, weight.columns());
            let hessian = Hessian::of(h.clone(), weight.columns());
            let levels = Levels { bits, mapping };
            let fast = compensated(&weight, &hessian, levels, per).unwrap();
            prop_assert_eq!(fast, naive(&weight, &h, levels, per));
            let best = error(&weight, &h, &gptq(&weight, &hessian, levels, per).unwrap(), per);
            let plain = error(&weight, &h, &round(&weight, levels, per), per);
            prop_assert!(best <= plain * (1.0 + 1e-6) + 1e-9, "{best} {plain}");
        }
    }

    #[test]
    fn blocks_of_columns_change_nothing_and_the_error_falls_by_far() {
        // More columns than a block, and groups that do not divide one.
        let (inputs, outputs) = (300, 6);
        let values: Vec<f32> = drawn(inputs * outputs, 31).map(|value| value as f32).collect();
        let weight = weight(Kind::Matrix, &[inputs, outputs], &values);
        let h = alike(&drawn(inputs * 400, 17).collect::<Vec<_>>(), inputs);
        let hessian = Hessian::of(h.clone(), inputs);
        for per in [Granularity::Axis(1), Granularity::Group(50), Granularity::Group(150)] {
            let levels = Levels::symmetric(4);
            let fast = compensated(&weight, &hessian, levels, per).unwrap();
            assert_eq!(fast, naive(&weight, &h, levels, per), "{per:?}");
            let [best, plain] =
                [&fast, &round(&weight, levels, per)].map(|rounded| error(&weight, &h, rounded, per));
            assert!(best < 0.6 * plain, "{per:?}: {best} {plain}");
        }
    }
}
