//! Weight by weight, in the order in which a network meets them.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

use ansatz_core::{Error, Result};
use ansatz_ops::{Observed, Observer, observing};
use burn::module::{Module, ParamId};

use super::{Examples, Statistic, gather, identities};
use crate::Weight;

/// Bytes of statistics that are held at once: 1 GiB. A weight whose statistic alone is larger is refused: the Hessian of
/// more than 11,585 inputs.
const LIMIT: usize = 1 << 30;

/// Changes a module weight by weight, in the order in which the first batch meets them: `treat` makes of a weight and the
/// statistic of its inputs what `apply` puts into the module, by the weights' names. Gives what was made of each weight,
/// and the changed module.
///
/// A weight's inputs are those that the module makes with all earlier weights changed already, as Frantar et al. 2023,
/// section 4, quantize block by block. Weights with the same inputs, such as those of queries, keys and values, are
/// treated in one pass over the examples; every other weight has one of its own. Those that no example reaches are left
/// as they are.
///
/// # Errors
/// When the module refuses an example, a statistic is too large, or `treat` fails.
pub(crate) fn one_by_one<S: Statistic, M: Module, B, T: Clone>(
    mut module: M,
    examples: &Examples<'_, M, B>,
    weights: &[Weight],
    mut treat: impl FnMut(&Weight, &S) -> Result<T>,
    apply: impl Fn(M, BTreeMap<String, T>) -> M,
) -> Result<(M, BTreeMap<String, T>)> {
    let mut made = BTreeMap::new();
    for pass in passes::<S, _, _>(&module, examples, weights)? {
        let names: Vec<String> = pass.iter().map(|weight| weight.name.clone()).collect();
        let statistics = gather::<S, _, _>(&module, examples, &names)?;
        let mut changed = BTreeMap::new();
        for (weight, name) in pass.into_iter().zip(names) {
            if let Some(statistic) = statistics.get(&name) {
                changed.insert(name, treat(weight, statistic)?);
            }
        }
        made.extend(changed.clone());
        module = apply(module, changed);
    }
    Ok((module, made))
}

/// The error of a module that is to be shown nothing.
pub(crate) fn no_examples() -> Error {
    Error::input(
        "the examples to calibrate with",
        "there are none",
        "at least one",
        "give examples like those that the network was trained with",
    )
}

/// The weights that are treated pass by pass.
fn passes<'a, S: Statistic, M: Module, B>(
    module: &M,
    examples: &Examples<'_, M, B>,
    weights: &'a [Weight],
) -> Result<Vec<Vec<&'a Weight>>> {
    let first = examples.batches.first().ok_or_else(no_examples)?;
    let names: Vec<String> = weights.iter().map(|weight| weight.name.clone()).collect();
    let observer = Rc::new(RefCell::new(Order { known: identities(module, &names)?, met: Vec::new() }));
    observing(&observer, || (examples.forward)(module, first))?;
    let met = std::mem::take(&mut observer.borrow_mut().met);
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut passes: Vec<(usize, Vec<&Weight>)> = Vec::new();
    for Sight { name, inputs, groups } in met {
        let Some(weight) = weights.iter().find(|weight| weight.name == name) else { continue };
        let columns = weight.columns();
        let bytes = S::bytes(groups, columns);
        if bytes > LIMIT {
            return Err(Error::input(
                format!("`{name}`"),
                format!("it has {columns} inputs, too many to be told by examples"),
                format!("a weight whose statistic takes at most {} MiB of memory", LIMIT >> 20),
                "name it in `except`, or choose a method that needs no examples",
            ));
        }
        match places.get(&inputs) {
            Some(&place) if passes[place].0 + bytes <= LIMIT => {
                passes[place].0 += bytes;
                passes[place].1.push(weight);
            }
            _ => {
                places.insert(inputs, passes.len());
                passes.push((bytes, vec![weight]));
            }
        }
    }
    Ok(passes.into_iter().map(|(_, weights)| weights).collect())
}

/// The first time that a weight is met.
struct Sight {
    name: String,
    /// A checksum of its inputs.
    inputs: u64,
    groups: usize,
}

/// Notes in which order weights are met.
struct Order {
    known: BTreeMap<ParamId, String>,
    met: Vec<Sight>,
}

impl Observer for Order {
    fn see(&mut self, weight: ParamId, inputs: Observed) {
        let Some(name) = self.known.remove(&weight) else { return };
        let (data, groups) = match inputs {
            Observed::Rows(rows) => (rows.into_data(), 1),
            Observed::Picture { picture, options, .. } => (picture.into_data(), options.groups),
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(&data.bytes()[..]);
        self.met.push(Sight { name, inputs: hasher.finish(), groups });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Norms;
    use crate::calibrate::tests::{forward, network, pictures};
    use crate::weights;

    #[test]
    fn earlier_weights_are_changed_already_and_twins_are_treated_together() {
        let device = ansatz_device::open("cpu").unwrap();
        let module = network(&device);
        let batches = pictures(&device, 2);
        let examples = Examples { batches: &batches, forward: &forward };
        let all = weights(&module);
        let order: Vec<Vec<_>> = passes::<Norms, _, _>(&module, &examples, &all)
            .unwrap()
            .into_iter()
            .map(|pass| pass.into_iter().map(|weight| weight.name.as_str()).collect())
            .collect();
        let twins = vec!["twins.0.weight", "twins.1.weight"];
        assert_eq!(order, [vec!["convolution.conv.weight"], twins, vec!["last.weight"]]);
        // The convolution becomes zeros, so that what its readers meet is the same for all examples.
        let mut seen = Vec::new();
        let silenced = |module: crate::calibrate::tests::Network, changed: BTreeMap<String, ()>| {
            let mut module = module;
            if changed.contains_key("convolution.conv.weight") {
                let weight = &mut module.convolution.conv.weight;
                *weight = weight.clone().map(|weight| weight.zeros_like());
            }
            module
        };
        let (_, made) = one_by_one::<Norms, _, _, _>(
            module,
            &examples,
            &all,
            |weight, norms| {
                seen.push((weight.name.clone(), norms.norms().sum::<f64>()));
                Ok(())
            },
            silenced,
        )
        .unwrap();
        assert_eq!(made.len(), 4);
        assert!(seen[0].1 > 1.0, "{seen:?}");
        assert_eq!(seen[1].1, 0.0, "{seen:?}");
    }

    #[test]
    fn no_examples_and_too_many_inputs_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let module = network(&device);
        let all = weights(&module);
        let none = Examples { batches: &[], forward: &forward };
        let message = passes::<Norms, _, _>(&module, &none, &all).unwrap_err().to_string();
        assert!(message.contains("there are none"), "{message}");
        #[derive(Default)]
        struct Huge;
        impl Statistic for Huge {
            fn bytes(_groups: usize, inputs: usize) -> usize {
                if inputs == 16 { LIMIT + 1 } else { LIMIT / 2 }
            }
            fn see(&mut self, _inputs: &Observed) {}
        }
        let batches = pictures(&device, 1);
        let examples = Examples { batches: &batches, forward: &forward };
        let message = passes::<Huge, _, _>(&module, &examples, &all).unwrap_err().to_string();
        assert!(message.contains("`last.weight`") && message.contains("16 inputs"), "{message}");
    }
}
