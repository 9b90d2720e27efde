//! A width: units that come and go with a number of the config, and the proof of where their weights lie.

use std::collections::BTreeMap;

use ansatz_core::{Error, Result};

use super::config::Importance;
use super::keys::{first_line, number_of, refused};
use super::layout::{Tie, arrangements, orders};
use super::site::{Site, Whole, same};
use super::tensors::Tensors;
use crate::Kind;

/// Units that come and go with numbers of the config.
#[derive(Debug, Clone)]
pub(super) struct Width {
    /// The numbers' paths, with their values.
    pub numbers: Vec<(String, usize)>,
    /// How many units there are: what the values have in common.
    pub units: usize,
    /// Where their weights lie.
    pub ties: Vec<Tie>,
}

/// A network of the same config but for the number of units.
struct Probe {
    units: usize,
    tensors: Tensors,
}

impl Width {
    /// Finds the units that come and go with the numbers at `keys`, and proves where their weights lie.
    ///
    /// # Errors
    /// When a key is unknown or no width, or the proof fails.
    pub(super) fn find(site: &Site<'_>, whole: &mut Whole, keys: &[String]) -> Result<Self> {
        let mut numbers = Vec::new();
        for key in keys {
            numbers.push((key.clone(), number_of(site, whole, key)?));
        }
        let units = numbers.iter().fold(0, |common, (_, value)| divisor(common, *value));
        let mut width = Self { numbers, units, ties: Vec::new() };
        let probes = width.probe(site, whole)?;
        width.ties = width.tied(whole, &probes)?;
        width.arrange(site, whole)?;
        let fewest = probes.iter().map(|probe| probe.units).min().unwrap_or(units);
        width.prove(site, whole, fewest)?;
        Ok(width)
    }

    /// The values of the numbers for `units` units.
    pub(super) fn values(&self, units: usize) -> Vec<(String, usize)> {
        self.numbers.iter().map(|(key, value)| (key.clone(), value / self.units * units)).collect()
    }

    /// Its name in messages: the first key.
    pub(super) fn key(&self) -> &str {
        self.numbers.first().map_or("", |(key, _)| key.as_str())
    }

    /// Whether an axis of a weight belongs to both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.ties
            .iter()
            .any(|tie| other.ties.iter().any(|its| (&tie.name, tie.axis) == (&its.name, its.axis)))
    }

    /// The same tensors with the units `order` in this order.
    pub(super) fn select(&self, mut tensors: Tensors, order: &[usize]) -> Tensors {
        for tie in &self.ties {
            tensors.select(&tie.name, tie.axis, &tie.places(self.units, order));
        }
        tensors
    }

    /// The same tensors with zeros for all units but `kept`.
    pub(super) fn silence(&self, mut tensors: Tensors, kept: &[usize]) -> Tensors {
        let silent: Vec<usize> = (0..self.units).filter(|unit| !kept.contains(unit)).collect();
        for tie in &self.ties {
            tensors.silence(&tie.name, tie.axis, &tie.places(self.units, &silent));
        }
        tensors
    }

    /// How much each unit matters, from 0; `kinds` says what the matrices and kernels of linear layers and convolutions
    /// are.
    pub(super) fn importance(
        &self,
        tensors: &Tensors,
        kinds: &BTreeMap<String, Kind>,
        by: Importance,
    ) -> Vec<f64> {
        let matrices: Vec<&Tie> = self
            .ties
            .iter()
            .filter(|tie| tensors.shape(&tie.name).is_some_and(|shape| shape.len() > 1))
            .collect();
        let comes_in = |tie: &&&Tie| kinds.get(&tie.name).is_some_and(|kind| kind.output_axis() == tie.axis);
        let coming: Vec<&Tie> = matrices.iter().filter(comes_in).copied().collect();
        let meant = match by {
            Importance::L1 if !coming.is_empty() => coming,
            _ if !matrices.is_empty() => matrices,
            // A width of vectors alone.
            _ => self.ties.iter().collect(),
        };
        let measure = |value: f32| match by {
            Importance::L1 => f64::from(value.abs()),
            Importance::L2 => f64::from(value).powi(2),
        };
        let mut found = vec![0.0; self.units];
        for tie in meant {
            let sums = tensors.sums(&tie.name, tie.axis, measure);
            for (unit, found) in found.iter_mut().enumerate() {
                *found +=
                    tie.places(self.units, &[unit]).iter().filter_map(|place| sums.get(*place)).sum::<f64>();
            }
        }
        if by == Importance::L2 {
            found.iter_mut().for_each(|sum| *sum = sum.sqrt());
        }
        found
    }

    /// Networks with other numbers of units, at least one of them with fewer.
    fn probe(&self, site: &Site<'_>, whole: &Whole) -> Result<Vec<Probe>> {
        let units = self.units;
        let counts = [units.saturating_sub(1), units / 2, units.saturating_sub(2), units / 4, 1]
            .into_iter()
            .chain([units + 1, 2 * units, units + units / 2]);
        let mut probes: Vec<Probe> = Vec::new();
        let mut refusal = None;
        for count in counts {
            if count == 0 || count == units || probes.iter().any(|probe| probe.units == count) {
                continue;
            }
            let experiment = site.changed(&whole.experiment, &self.values(count));
            match experiment.and_then(|experiment| site.build(&experiment)) {
                Ok(model) => probes.push(Probe { units: count, tensors: Tensors::read(&model) }),
                Err(error) => refusal = refusal.or(Some(error)),
            }
            if probes.len() == 2 {
                break;
            }
        }
        if probes.iter().any(|probe| probe.units < units) {
            return Ok(probes);
        }
        let why = refusal.map_or_else(|| "there is one unit".to_owned(), |error| first_line(&error));
        Err(self.refused(format!("no network has fewer of its {units} units: {why}")))
    }

    /// The axes whose sizes follow the number of units; their layout is not known yet.
    fn tied(&self, whole: &Whole, probes: &[Probe]) -> Result<Vec<Tie>> {
        let mut ties = Vec::new();
        for probe in probes {
            if let Some(name) = whole.tensors.unshared(&probe.tensors) {
                return Err(self.refused(format!(
                    "with {} units the network has other weights, such as `{name}`: other numbers must fall with it, see \
                     `with`",
                    probe.units
                )));
            }
        }
        for (name, data) in whole.tensors.iter() {
            for (axis, &size) in data.shape().iter().enumerate() {
                let found = probes.iter().map(|probe| (probe.units, probe.tensors.shape(name)));
                let sizes: Vec<(usize, usize)> =
                    found.filter_map(|(units, shape)| Some((units, *shape?.get(axis)?))).collect();
                if sizes.iter().all(|(_, other)| *other == size) {
                    continue;
                }
                let each = size / self.units;
                if size % self.units != 0 || sizes.iter().any(|(units, other)| *other != each * units) {
                    return Err(self.refused(format!(
                        "`{name}` grows with it, but its {size} entries are no multiple of the {} units",
                        self.units
                    )));
                }
                ties.push(Tie { name: name.to_owned(), axis, each, inner: 1 });
            }
        }
        if ties.is_empty() {
            return Err(self.refused(
                "no weight is smaller with a smaller number there; where it divides a size, give that size first, see \
                 `given`"
                    .to_owned(),
            ));
        }
        Ok(ties)
    }

    /// Finds how the units lie along their axes: in another order they must give the same outputs.
    fn arrange(&mut self, site: &Site<'_>, whole: &Whole) -> Result<()> {
        let orders = orders(self.units);
        for arrangement in arrangements(&self.ties) {
            self.ties.iter_mut().zip(arrangement).for_each(|(tie, inner)| tie.inner = inner);
            let mut interchangeable = true;
            for order in &orders {
                let tensors = self.select(whole.tensors.clone(), order);
                interchangeable = same(&whole.outputs, &site.said(&whole.experiment, &tensors)?);
                if !interchangeable {
                    break;
                }
            }
            if interchangeable {
                return Ok(());
            }
        }
        Err(self.refused(format!(
            "its {} units are not interchangeable: in another order the network says something else, as with the size of \
             an input or output, or where each has a place of its own",
            self.units
        )))
    }

    /// Shows that a network of `fewer` units says what the whole one says when the others are zero.
    fn prove(&self, site: &Site<'_>, whole: &Whole, fewer: usize) -> Result<()> {
        let kept: Vec<usize> = (0..self.units)
            .filter(|unit| unit * fewer / self.units != (unit + 1) * fewer / self.units)
            .collect();
        let cut = self.select(whole.tensors.clone(), &kept);
        let cut = site.said(&site.changed(&whole.experiment, &self.values(fewer))?, &cut)?;
        let silent = site.said(&whole.experiment, &self.silence(whole.tensors.clone(), &kept))?;
        if same(&silent, &cut) {
            return Ok(());
        }
        Err(self.refused(
            "without some of its units the network is not the one in which they are zero: a norm spans them, or a factor \
             follows their number"
                .to_owned(),
        ))
    }

    fn refused(&self, problem: String) -> Error {
        refused(self.key(), problem)
    }
}

/// The greatest common divisor; `divisor(0, b)` is b. Euclid, "Elements", book 7, proposition 2.
fn divisor(a: usize, b: usize) -> usize {
    if a == 0 { b } else { divisor(b % a, a) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_together_by_what_they_have_in_common() {
        assert_eq!([(0, 6), (6, 4), (4, 6), (5, 7)].map(|(a, b)| divisor(a, b)), [6, 2, 2, 1]);
        let numbers = vec![("heads".to_owned(), 8), ("shared".to_owned(), 2)];
        let width = Width { numbers, units: 2, ties: Vec::new() };
        assert_eq!(width.values(1), [("heads".to_owned(), 4), ("shared".to_owned(), 1)]);
    }
}
