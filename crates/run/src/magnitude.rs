//! Which values are the least.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Weight;

/// Among which values the least are sought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Scope {
    /// Those of all weights together.
    #[default]
    Global,
    /// Those of each weight.
    Layer,
    /// Those of each output of each weight.
    Output,
}

/// Which values of `weights` stay where the share `ratio` of least magnitude is left out, in 0–1; among equals the first
/// stay.
pub fn largest(weights: &[Weight], ratio: f64, scope: Scope) -> Vec<Vec<bool>> {
    match scope {
        Scope::Global => largest_of_all(weights, ratio),
        Scope::Layer => {
            weights.iter().flat_map(|weight| largest_of_all(std::slice::from_ref(weight), ratio)).collect()
        }
        Scope::Output => weights.iter().map(|weight| largest_of_outputs(weight, ratio)).collect(),
    }
}

/// The share `1 − ratio` of all values of `weights` together whose magnitudes are largest; among equals the first.
fn largest_of_all(weights: &[Weight], ratio: f64) -> Vec<Vec<bool>> {
    let mut order: Vec<(f32, usize)> = weights
        .iter()
        .flat_map(|weight| &weight.values)
        .enumerate()
        .map(|(index, value)| (value.abs(), index))
        .collect();
    let pruned = (ratio * order.len() as f64).round() as usize;
    let mut kept = vec![true; order.len()];
    if pruned > 0 && pruned < order.len() {
        order.select_nth_unstable_by(pruned - 1, |a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    }
    order.iter().take(pruned).for_each(|(_, index)| kept[*index] = false);
    let mut kept = kept.into_iter();
    weights.iter().map(|weight| kept.by_ref().take(weight.values.len()).collect()).collect()
}

/// The share `1 − ratio` of the values of each output whose magnitudes are largest; among equals the first.
fn largest_of_outputs(weight: &Weight, ratio: f64) -> Vec<bool> {
    let columns = weight.columns();
    let pruned = (ratio * columns as f64).round() as usize;
    let mut kept = vec![true; weight.values.len()];
    for output in 0..weight.outputs() {
        let mut order: Vec<usize> = (0..columns).map(|column| weight.index(output, column)).collect();
        order.sort_by(|a, b| weight.values[*b].abs().total_cmp(&weight.values[*a].abs()));
        order.iter().rev().take(pruned).for_each(|index| kept[*index] = false);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_ops::Kind;
    use proptest::prelude::*;

    fn weight(values: &[f32]) -> Weight {
        Weight {
            name: String::new(),
            kind: Kind::Matrix,
            shape: vec![values.len(), 1],
            values: values.to_vec(),
        }
    }

    #[test]
    fn the_least_of_all_go_or_the_least_of_each_weight() {
        let weights = [weight(&[0.1, -0.2, 0.3, 0.4]), weight(&[-5.0, 6.0])];
        let kept = |scope| largest(&weights, 0.5, scope);
        assert_eq!(kept(Scope::Global), [vec![false, false, false, true], vec![true, true]]);
        assert_eq!(kept(Scope::Layer), [vec![false, false, true, true], vec![false, true]]);
    }

    proptest! {
        #[test]
        fn the_least_of_each_output_go(
            ratio in 0.01_f64..0.99,
            inputs in 1_usize..6,
            outputs in 1_usize..5,
            matrix in any::<bool>(),
            values in prop::collection::vec(-1.0_f32..1.0, 5 * 5 * 2),
        ) {
            let (kind, shape) = match matrix {
                true => (Kind::Matrix, vec![inputs, outputs]),
                false => (Kind::Kernel, vec![outputs, inputs, 2]),
            };
            let values = values[..shape.iter().product()].to_vec();
            let weight = Weight { name: String::new(), kind, shape, values };
            let kept = largest_of_outputs(&weight, ratio);
            for output in 0..outputs {
                let row: Vec<usize> = match matrix {
                    true => (0..inputs).map(|input| input * outputs + output).collect(),
                    false => (0..2 * inputs).map(|place| output * 2 * inputs + place).collect(),
                };
                let (stay, go): (Vec<usize>, Vec<usize>) = row.iter().partition(|index| kept[**index]);
                prop_assert_eq!(go.len(), (ratio * row.len() as f64).round() as usize);
                let least = stay.iter().map(|index| weight.values[*index].abs()).fold(f32::INFINITY, f32::min);
                prop_assert!(go.iter().all(|index| weight.values[*index].abs() <= least));
            }
        }

        #[test]
        fn the_share_is_met_to_one_value(
            ratio in 0.01_f64..0.99,
            values in prop::collection::vec(-1.0_f32..1.0, 1..60),
        ) {
            let kept = largest(&[weight(&values)], ratio, Scope::Global).remove(0);
            let pruned = kept.iter().filter(|kept| !**kept).count();
            prop_assert_eq!(pruned, (ratio * values.len() as f64).round() as usize);
        }
    }
}
