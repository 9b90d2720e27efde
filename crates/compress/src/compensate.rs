//! Weights that are changed one by one, while those that are left make up for it.

use std::ops::Range;

use ansatz_core::{Error, Result};

use crate::Weight;
use crate::calibrate::Hessian;

/// Columns after which the changes are carried to all that follow, at once: "lazy batch-updates", Frantar et al. 2023,
/// arXiv:2210.17323, section 3.
const BLOCK: usize = 128;

/// Outputs × columns of a weight, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    pub values: Vec<f64>,
    pub columns: usize,
}

/// What becomes of each value.
pub(crate) trait Choice {
    /// How many columns are looked at together, from a multiple of it on.
    fn unit(&self) -> usize;

    /// These columns are next; all columns before have been made up for.
    fn begin(&mut self, rows: &Rows, columns: Range<usize>);

    /// What the value of a row and column becomes.
    fn choose(&mut self, row: usize, column: usize, value: f64) -> f64;
}

/// Changes the columns of W from left to right, each to what `choice` makes of it, and adds to those that are still to come
/// what keeps ‖WX − ŴX‖² least. With H⁻¹ = UᵀU, U upper triangular, row U_j is what elimination of the columns up to j
/// leaves of row j of the inverse, up to a factor (arXiv:2210.17323, algorithm 1):
///
/// `e = (w_j − ŵ_j) / U_jj`, `w_k ← w_k − e U_jk` for all k > j.
pub(crate) fn compensate(rows: &mut Rows, upper: &[f64], choice: &mut impl Choice) {
    let n = rows.columns;
    if n == 0 {
        return;
    }
    let unit = choice.unit().clamp(1, n);
    let block = unit * (BLOCK / unit).max(1);
    let mut errors = vec![0.0; rows.values.len() / n * block];
    for start in (0..n).step_by(block) {
        let end = (start + block).min(n);
        for first in (start..end).step_by(unit) {
            let columns = first..(first + unit).min(end);
            choice.begin(rows, columns.clone());
            for (row, values) in rows.values.chunks_exact_mut(n).enumerate() {
                for column in columns.clone() {
                    let factors = &upper[column * n..][..n];
                    let chosen = choice.choose(row, column, values[column]);
                    let error = (values[column] - chosen) / factors[column];
                    values[column] = chosen;
                    subtract(&mut values[column + 1..end], error, &factors[column + 1..end]);
                    errors[row * block + column - start] = error;
                }
            }
        }
        for (values, errors) in rows.values.chunks_exact_mut(n).zip(errors.chunks_exact(block)) {
            for (column, error) in (start..end).zip(errors) {
                subtract(&mut values[end..], *error, &upper[column * n + end..(column + 1) * n]);
            }
        }
    }
}

fn subtract(values: &mut [f64], factor: f64, from: &[f64]) {
    values.iter_mut().zip(from).for_each(|(value, from)| *value -= factor * from);
}

/// U `[n, n]`, upper triangular with `H⁻¹ = UᵀU`, of H with `damp` added to its diagonal; none where that has no such root.
///
/// The inverse is never made: `H = RRᵀ` with R upper triangular, decomposed from the last row on, and `U = R⁻¹`.
pub(crate) fn root_of_inverse(h: &[f64], n: usize, damp: f64) -> Option<Vec<f64>> {
    let mut r = h.to_vec();
    for j in (0..n).rev() {
        let (above, from) = r.split_at_mut(j * n);
        let row = &mut from[..n];
        let square = row[j] + damp - dot(&row[j + 1..], &row[j + 1..]);
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        row[j] = square.sqrt();
        for other in above.chunks_exact_mut(n) {
            other[j] = (other[j] - dot(&other[j + 1..], &row[j + 1..])) / row[j];
        }
    }
    let mut u = vec![0.0; n * n];
    for (i, solved) in u.chunks_exact_mut(n).enumerate() {
        solved[i] = 1.0;
        for k in i..n {
            let r = &r[k * n..][..n];
            solved[k] /= r[k];
            let value = solved[k];
            subtract(&mut solved[k + 1..], value, &r[k + 1..]);
        }
    }
    Some(u)
}

/// Σ a b, in eight sums side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f64>() + rest
}

/// U of [`root_of_inverse`] with 1 % of the mean of the diagonal added to it, as Frantar et al. 2023 (section 3) do; where
/// the inputs are so much alike that this has no root, ten times as much, or a hundred times. Inputs that are 0 in every
/// example are then like nothing else, and nothing makes up for them.
fn damped(h: &[f64], n: usize) -> Option<Vec<f64>> {
    let mean = h.iter().step_by(n + 1).sum::<f64>() / n as f64;
    let unit = if mean > 0.0 { mean } else { 1.0 };
    [0.01, 0.1, 1.0].iter().find_map(|share| root_of_inverse(h, n, share * unit))
}

/// The values of some outputs.
pub(crate) fn rows(weight: &Weight, outputs: Range<usize>) -> Rows {
    let columns = weight.columns();
    let row = |output| (0..columns).map(move |column| f64::from(weight.values[weight.index(output, column)]));
    Rows { values: outputs.flat_map(row).collect(), columns }
}

/// U of a group's damped Hessian `h`, see [`damped`].
///
/// # Errors
/// When it is not finite.
pub(crate) fn root(weight: &Weight, hessian: &Hessian, h: &[f64]) -> Result<Vec<f64>> {
    let root = if hessian.is_finite() { damped(h, hessian.inputs()) } else { None };
    root.ok_or_else(|| {
        Error::input(
            format!("`{}`", weight.name),
            "the examples make inputs of it that are not finite",
            "a network that answers its training part with numbers",
            "train it anew, or name the weight in `except`",
        )
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Kind;
    use proptest::prelude::*;

    /// A weight of the first of `values`.
    pub(crate) fn weight(kind: Kind, shape: &[usize], values: &[f32]) -> Weight {
        let count = shape.iter().product();
        Weight { name: "w".to_owned(), kind, shape: shape.to_vec(), values: values[..count].to_vec() }
    }

    /// Numbers between −1 and 1 without a pattern.
    pub(crate) fn drawn(count: usize, step: u64) -> impl Iterator<Item = f64> {
        (0..count as u64)
            .map(move |i| ((i * step + 7919) * 2_654_435_761 % 1_000_003) as f64 / 500_001.5 - 1.0)
    }

    /// The inverse, by Gauss and Jordan.
    pub(crate) fn inverse(h: &[f64], n: usize) -> Vec<f64> {
        let mut a = h.to_vec();
        let mut inverse = vec![0.0; n * n];
        (0..n).for_each(|i| inverse[i * n + i] = 1.0);
        for i in 0..n {
            let pivot = a[i * n + i];
            for column in 0..n {
                a[i * n + column] /= pivot;
                inverse[i * n + column] /= pivot;
            }
            for row in (0..n).filter(|row| *row != i) {
                let factor = a[row * n + i];
                for column in 0..n {
                    a[row * n + column] -= factor * a[i * n + column];
                    inverse[row * n + column] -= factor * inverse[i * n + column];
                }
            }
        }
        inverse
    }

    /// 2XXᵀ of inputs that are alike: each has seven tenths of its neighbour in it.
    pub(crate) fn alike(noise: &[f64], n: usize) -> Vec<f64> {
        let x: Vec<Vec<f64>> = noise
            .chunks_exact(n)
            .map(|row| {
                let mut before = 0.0;
                row.iter()
                    .map(|value| {
                        before = value + 0.7 * before;
                        before
                    })
                    .collect()
            })
            .collect();
        let product = |i: usize, j: usize| 2.0 * x.iter().map(|row| row[i] * row[j]).sum::<f64>();
        (0..n * n).map(|index| product(index / n, index % n)).collect()
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_inverse(
            n in 1_usize..20,
            noise in prop::collection::vec(-1.0_f64..1.0, 20 * 40),
        ) {
            let mut h = alike(&noise, n);
            let u = root_of_inverse(&h, n, 0.5).unwrap();
            (0..n).for_each(|i| h[i * n + i] += 0.5);
            let inverse = inverse(&h, n);
            for i in 0..n {
                prop_assert!((0..i).all(|j| u[i * n + j] == 0.0));
                for j in 0..n {
                    let product: f64 = (0..n).map(|k| u[k * n + i] * u[k * n + j]).sum();
                    prop_assert!((product - inverse[i * n + j]).abs() < 1e-9, "{product} {}", inverse[i * n + j]);
                }
            }
        }
    }

    #[test]
    fn what_has_no_root_has_none_and_silent_inputs_are_damped() {
        assert_eq!(root_of_inverse(&[1.0, 2.0, 2.0, 1.0], 2, 0.0), None);
        assert_eq!(root_of_inverse(&[f64::NAN], 1, 0.0), None);
        assert_eq!(damped(&[0.0; 4], 2), root_of_inverse(&[0.0; 4], 2, 0.01));
        let one_is_silent = damped(&[2.0, 0.0, 0.0, 0.0], 2).unwrap();
        assert_eq!(one_is_silent[1], 0.0);
        // Twice the same input: more than 1 % is not needed.
        assert!(damped(&[1.0; 4], 2).is_some());
    }
}
