//! Pruning whose rest makes up for what is left out.

use std::ops::Range;

use ansatz_core::Result;

use crate::Weight;
use crate::calibrate::Hessian;
use crate::compensate::{Choice, Rows, compensate, root, rows};
use crate::criterion::Pruned;
use crate::prune::Pattern;

/// Columns among which an unstructured mask is chosen at once, Bₛ in the paper.
const TOGETHER: usize = 128;

/// Prunes a weight column by column, so that the columns still to come make up for what goes: SparseGPT, Frantar and
/// Alistarh, "SparseGPT: massive language models can be accurately pruned in one-shot", 2023, arXiv:2301.00774,
/// algorithm 1. Of every 128 columns, or every group of M inputs, those values w go whose loss `w² / U_jj²` is least, as
/// they have become when their turn is reached. What is zero goes first, and stays zero.
///
/// # Errors
/// When examples led to what is not finite.
pub(crate) fn sparse_gpt(weight: &Weight, hessian: &Hessian, pattern: &Pattern) -> Result<Pruned> {
    let count = weight.values.len();
    let mut pruned = Pruned { values: weight.values.clone(), kept: vec![true; count] };
    let groups = hessian.groups().len().max(1);
    let each = weight.outputs() / groups;
    for (group, h) in hessian.groups().enumerate() {
        let upper = root(weight, hessian, h)?;
        let outputs = each * group..each * (group + 1);
        let mut rows = rows(weight, outputs.clone());
        let window = weight.columns() / weight.inputs().max(1);
        let mut choice = Sparing {
            weight,
            outputs: outputs.clone(),
            pattern,
            window,
            upper: &upper,
            kept: &mut pruned.kept,
        };
        compensate(&mut rows, &upper, &mut choice);
        for (output, row) in outputs.zip(rows.values.chunks_exact(rows.columns)) {
            for (column, value) in row.iter().enumerate() {
                pruned.values[weight.index(output, column)] = *value as f32;
            }
        }
    }
    Ok(pruned)
}

struct Sparing<'a> {
    weight: &'a Weight,
    /// Those of the rows.
    outputs: Range<usize>,
    pattern: &'a Pattern,
    /// Columns of an input.
    window: usize,
    upper: &'a [f64],
    kept: &'a mut [bool],
}

impl Sparing<'_> {
    fn index(&self, row: usize, column: usize) -> usize {
        self.weight.index(self.outputs.start + row, column)
    }

    /// What is lost where the value of a row and column goes: nothing, where there is none.
    fn loss(&self, rows: &Rows, row: usize, column: usize) -> f64 {
        if self.weight.values[self.index(row, column)] == 0.0 {
            return f64::NEG_INFINITY;
        }
        let n = rows.columns;
        (rows.values[row * n + column] / self.upper[column * n + column]).powi(2)
    }
}

impl Choice for Sparing<'_> {
    fn unit(&self) -> usize {
        match self.pattern {
            Pattern::Unstructured { .. } => TOGETHER,
            Pattern::NOfM { of, .. } => of * self.window,
        }
    }

    fn begin(&mut self, rows: &Rows, columns: Range<usize>) {
        match *self.pattern {
            Pattern::Unstructured { ratio, .. } => {
                let places = self.outputs.clone().enumerate();
                let places = places.flat_map(|(row, _)| columns.clone().map(move |column| (row, column)));
                let mut order: Vec<(f64, usize)> = places
                    .map(|(row, column)| (self.loss(rows, row, column), self.index(row, column)))
                    .collect();
                // So many that the share is met by all columns up to here.
                let until = |column: usize| (ratio * (self.outputs.len() * column) as f64).round() as usize;
                let go = (until(columns.end) - until(columns.start)).min(order.len());
                if go > 0 && go < order.len() {
                    order.select_nth_unstable_by(go - 1, |a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
                }
                order.iter().take(go).for_each(|(_, index)| self.kept[*index] = false);
            }
            Pattern::NOfM { keep, of, .. } => {
                for row in 0..self.outputs.len() {
                    for place in 0..self.window {
                        let mut group: Vec<usize> =
                            (0..of).map(|member| columns.start + member * self.window + place).collect();
                        let loss = |column: &usize| self.loss(rows, row, *column);
                        group.sort_by(|a, b| loss(b).total_cmp(&loss(a)));
                        for column in group.into_iter().skip(keep) {
                            let index = self.index(row, column);
                            self.kept[index] = false;
                        }
                    }
                }
            }
        }
    }

    fn choose(&mut self, row: usize, column: usize, value: f64) -> f64 {
        let index = self.index(row, column);
        self.kept[index] &= self.weight.values[index] != 0.0;
        if self.kept[index] { value } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::Scope;
    use crate::compensate::tests::{alike, drawn, inverse, weight};
    use crate::prune::Misfits;
    use proptest::prelude::*;

    fn unstructured(ratio: f64) -> Pattern {
        Pattern::Unstructured { ratio, scope: Scope::Layer }
    }

    fn n_of_m(keep: usize, of: usize) -> Pattern {
        Pattern::NOfM { keep, of, misfits: Misfits::Refuse }
    }

    /// ‖WX − ŴX‖² of all outputs.
    fn error(weight: &Weight, h: &[f64], values: &[f32]) -> f64 {
        let n = weight.columns();
        let moved = |output, column| {
            let index = weight.index(output, column);
            f64::from(weight.values[index] - values[index])
        };
        let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let of = |output| -> f64 {
            pairs.clone().map(|(i, j)| moved(output, i) * h[i * n + j] * moved(output, j)).sum()
        };
        (0..weight.outputs()).map(of).sum()
    }

    /// One output after the other, the mask of whole groups of inputs at a time: the inverse of all columns that are left
    /// is made anew for each column.
    fn naive(weight: &Weight, h: &[f64], [keep, of]: [usize; 2]) -> Pruned {
        let n = weight.columns();
        let window = n / weight.inputs();
        let mut damped = h.to_vec();
        let mean = (0..n).map(|i| h[i * n + i]).sum::<f64>() / n as f64;
        (0..n).for_each(|i| damped[i * n + i] += 0.01 * mean);
        // The first row of the inverse of the columns from j on.
        let first = |j: usize| {
            let m = n - j;
            let rest: Vec<f64> = (0..m * m).map(|at| damped[(j + at / m) * n + j + at % m]).collect();
            inverse(&rest, m)[..m].to_vec()
        };
        let mut pruned = Pruned { values: weight.values.clone(), kept: vec![true; weight.values.len()] };
        for output in 0..weight.outputs() {
            let mut row: Vec<f64> =
                (0..n).map(|column| f64::from(weight.values[weight.index(output, column)])).collect();
            for j in 0..n {
                if j % (of * window) == 0 {
                    for place in 0..window {
                        let loss = |column: &usize| row[*column].powi(2) / first(*column)[0];
                        let mut group: Vec<_> = (0..of).map(|member| j + member * window + place).collect();
                        group.sort_by(|a, b| loss(b).total_cmp(&loss(a)));
                        for column in &group[keep..] {
                            pruned.kept[weight.index(output, *column)] = false;
                        }
                    }
                }
                if !pruned.kept[weight.index(output, j)] {
                    let inverse = first(j);
                    let error = row[j] / inverse[0];
                    (j..n).for_each(|k| row[k] -= error * inverse[k - j]);
                    row[j] = 0.0;
                }
                pruned.values[weight.index(output, j)] = row[j] as f32;
            }
        }
        pruned
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn groups_of_inputs_are_pruned_as_one_by_one(
            kind in prop::sample::select(vec![Kind::Matrix, Kind::Kernel]),
            groups in 1_usize..4,
            of in 2_usize..5,
            outputs in 1_usize..4,
            values in prop::collection::vec(-2.0_f32..2.0, 12 * 2 * 3),
            noise in prop::collection::vec(-1.0_f64..1.0, 24 * 50),
        ) {
            let keep = of / 2;
            let shape = match kind {
                Kind::Matrix => vec![groups * of, outputs],
                Kind::Kernel => vec![outputs, groups * of, 2],
            };
            let weight = weight(kind, &shape, &values);
            let h = alike(&noise, weight.columns());
            let fast = sparse_gpt(&weight, &Hessian::of(h.clone(), weight.columns()), &n_of_m(keep, of)).unwrap();
            let slow = naive(&weight, &h, [keep, of]);
            prop_assert_eq!(&fast.kept, &slow.kept);
            for (fast, slow) in fast.values.iter().zip(&slow.values) {
                prop_assert!((fast - slow).abs() < 1e-4, "{fast} {slow}");
            }
            let share = fast.kept.iter().filter(|kept| **kept).count();
            prop_assert_eq!(share * of, weight.values.len() * keep);
        }

        #[test]
        fn the_share_is_met_to_one_value_and_what_is_zero_stays(
            ratio in 0.05_f64..0.95,
            inputs in 1_usize..24,
            outputs in 1_usize..4,
            values in prop::collection::vec(0.1_f32..2.0, 24 * 4),
            noise in prop::collection::vec(-1.0_f64..1.0, 24 * 50),
        ) {
            let mut weight = weight(Kind::Matrix, &[inputs, outputs], &values);
            weight.values[0] = 0.0;
            let hessian = Hessian::of(alike(&noise, inputs), inputs);
            let pruned = sparse_gpt(&weight, &hessian, &unstructured(ratio)).unwrap();
            let gone = pruned.kept.iter().filter(|kept| !**kept).count();
            let expected = (ratio * weight.values.len() as f64).round() as usize;
            prop_assert_eq!(gone, expected.max(1));
            prop_assert!(!pruned.kept[0]);
            for (value, kept) in pruned.values.iter().zip(&pruned.kept) {
                prop_assert_eq!(*value == 0.0, !kept);
            }
        }
    }

    #[test]
    fn the_rest_makes_up_for_what_goes() {
        // More columns than are looked at together.
        let (inputs, outputs) = (300, 8);
        let values: Vec<f32> = drawn(inputs * outputs, 31).map(|value| value as f32).collect();
        let weight = weight(Kind::Matrix, &[inputs, outputs], &values);
        let h = alike(&drawn(inputs * 400, 17).collect::<Vec<_>>(), inputs);
        let pruned = sparse_gpt(&weight, &Hessian::of(h.clone(), inputs), &unstructured(0.5)).unwrap();
        assert_eq!(pruned.kept.iter().filter(|kept| !**kept).count(), inputs * outputs / 2);
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs()));
        let mut least = values.clone();
        order[..values.len() / 2].iter().for_each(|index| least[*index] = 0.0);
        let (best, plain) = (error(&weight, &h, &pruned.values), error(&weight, &h, &least));
        assert!(best < 0.6 * plain, "{best} {plain}");
    }
}
