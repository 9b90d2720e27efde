//! Whole blocks that are left out.

use std::collections::BTreeMap;

use ansatz_core::Result;
use ansatz_run::Experiment;

use super::config::BlocksConfig;
use super::keys::{number_of, refused};
use super::site::{Site, Whole, same};
use super::tensors::Tensors;

/// A run of blocks: of the list at `list`, those from `first` on, `count` of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    list: String,
    first: usize,
    count: usize,
}

impl Run {
    /// Where `name` stands: the block's number and what follows it; `None` outside the list.
    fn place<'a>(&self, name: &'a str) -> Option<(usize, &'a str)> {
        let rest = name.strip_prefix(&self.list)?.strip_prefix('.')?;
        let (number, rest) = rest.split_once('.')?;
        Some((number.parse().ok()?, rest))
    }

    /// Whether `name` is of a block of the run.
    fn holds(&self, name: &str) -> bool {
        self.place(name).is_some_and(|(number, _)| (self.first..self.first + self.count).contains(&number))
    }

    /// Whether what follows the run has the shapes that it must have where the run is left out.
    fn fits(&self, tensors: &Tensors, shapes: &Tensors) -> bool {
        let of_the_list = tensors.iter().filter(|(name, _)| self.place(name).is_some());
        let mut left = of_the_list.filter_map(|(name, data)| Some((self.renamed(name)?, data)));
        left.all(|(name, data)| shapes.shape(&name) == Some(&data.shape()[..]))
    }

    /// What `name` is called where the run is left out; `None` for what is of it.
    fn renamed(&self, name: &str) -> Option<String> {
        match self.place(name) {
            Some(_) if self.holds(name) => None,
            Some((number, rest)) if number >= self.first => {
                Some(format!("{}.{}.{rest}", self.list, number - self.count))
            }
            _ => Some(name.to_owned()),
        }
    }
}

/// Leaves out blocks, one after the other or, where a pattern repeats, a run of as many as it needs to stay in step:
/// each time those without which the loss of the batch is least, among those that are nothing but added to what passes
/// them. Says which.
///
/// # Errors
/// When the key is no number of such blocks.
pub(super) fn leave_out(site: &Site<'_>, whole: &mut Whole, config: &BlocksConfig) -> Result<Vec<String>> {
    let blocks = number_of(site, whole, &config.key)?;
    if config.drop >= blocks {
        return Err(refused(&config.key, format!("of {blocks} blocks {} cannot be left out", config.drop)));
    }
    let mut told = Vec::new();
    let mut left = config.drop;
    while left > 0 {
        let runs = (1..=left).filter(|count| left.is_multiple_of(*count));
        let mut found = None;
        for count in runs {
            let now = blocks - config.drop + left;
            found = cheapest(site, whole, (&config.key, now), count, count == left)?;
            if found.is_some() {
                left -= count;
                break;
            }
        }
        let Some((smaller, runs)) = found else {
            return Err(refused(
                &config.key,
                format!(
                    "no {left} of its blocks can be left out: they are not alike, or more than added to what passes them"
                ),
            ));
        };
        *whole = smaller;
        told.extend(runs.iter().map(|run| {
            let last = run.first + run.count - 1;
            let range = if run.count > 1 { format!("{}–{last}", run.first) } else { last.to_string() };
            format!("{}: without block {range}", run.list)
        }));
    }
    Ok(told)
}

/// The network without a run of `count` of its blocks, whose number stands at a key, and which they were. Unless `any`
/// will do, half of all runs must fit: where a pattern repeats, a shorter run than the pattern fits at the end alone.
fn cheapest(
    site: &Site<'_>,
    whole: &Whole,
    (key, blocks): (&str, usize),
    count: usize,
    any: bool,
) -> Result<Option<(Whole, Vec<Run>)>> {
    let experiment = site.changed(&whole.experiment, &[(key.to_owned(), blocks - count)])?;
    let Ok(model) = site.build(&experiment) else { return Ok(None) };
    let shapes = Tensors::read(&model);
    let mut ranked = Vec::new();
    for (list, before) in lists(&whole.tensors, &shapes, count) {
        let mut runs = Vec::new();
        for first in 0..=before - count {
            let run = Run { list: list.clone(), first, count };
            if run.fits(&whole.tensors, &shapes) {
                let silent = silenced(&whole.tensors, std::slice::from_ref(&run));
                runs.push((site.loss(&whole.experiment, &silent)?, run));
            }
        }
        if !any && 2 * runs.len() <= before - count {
            return Ok(None);
        }
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.push(runs.into_iter().map(|(_, run)| run).collect::<Vec<_>>());
    }
    // Where several lists follow the number, as the stages of a residual network do, each loses its cheapest.
    let choices: Vec<Vec<Run>> = match &mut ranked[..] {
        [] => Vec::new(),
        [only] => std::mem::take(only).into_iter().map(|run| vec![run]).collect(),
        several => several
            .iter()
            .map(|runs| runs.first().cloned())
            .collect::<Option<Vec<Run>>>()
            .into_iter()
            .collect(),
    };
    for runs in choices {
        if let Some(smaller) = without(site, whole, &experiment, &shapes, &runs)? {
            return Ok(Some((smaller, runs)));
        }
    }
    Ok(None)
}

/// The network of `experiment`, whose tensors have these `shapes`: `whole` without `runs`. None where it is not what
/// `whole` is with zeros in their place.
fn without(
    site: &Site<'_>,
    whole: &Whole,
    experiment: &Experiment,
    shapes: &Tensors,
    runs: &[Run],
) -> Result<Option<Whole>> {
    let rename = |tensors: &Tensors| {
        runs.iter().fold(tensors.clone(), |tensors, run| tensors.rename(|name| run.renamed(name)))
    };
    let tensors = rename(&whole.tensors);
    if !tensors.alike(shapes) {
        return Ok(None);
    }
    let outputs = site.said(experiment, &tensors)?;
    if !same(&site.said(&whole.experiment, &silenced(&whole.tensors, runs))?, &outputs) {
        return Ok(None);
    }
    Ok(Some(Whole { experiment: experiment.clone(), tensors, masks: rename(&whole.masks), outputs }))
}

/// The same tensors with zeros for all of `runs`.
fn silenced(tensors: &Tensors, runs: &[Run]) -> Tensors {
    let mut tensors = tensors.clone();
    tensors.silence_all(|name| runs.iter().any(|run| run.holds(name)));
    tensors
}

/// The lists that have `count` entries fewer in `after`, with their entries before.
fn lists(before: &Tensors, after: &Tensors, count: usize) -> Vec<(String, usize)> {
    let (before, after) = (lengths(before), lengths(after));
    let shorter = |(list, length): (String, usize)| {
        let left = *after.get(&list)?;
        (left + count == length).then_some((list, length))
    };
    before.into_iter().filter_map(shorter).collect()
}

/// The lists inside a network and their entries: whatever a number follows in a name.
fn lengths(tensors: &Tensors) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (name, _) in tensors.iter() {
        for (end, _) in name.match_indices('.') {
            let number = name[end + 1..].split('.').next().and_then(|part| part.parse::<usize>().ok());
            if let Some(number) = number {
                let length = found.entry(name[..end].to_owned()).or_default();
                *length = (*length).max(number + 1);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_a_run_move_up() {
        let run = Run { list: "backbone.blocks".to_owned(), first: 1, count: 2 };
        assert_eq!(
            run.renamed("backbone.blocks.0.norm.gamma").as_deref(),
            Some("backbone.blocks.0.norm.gamma")
        );
        assert_eq!(run.renamed("backbone.blocks.2.norm.gamma"), None);
        assert_eq!(
            run.renamed("backbone.blocks.13.norm.gamma").as_deref(),
            Some("backbone.blocks.11.norm.gamma")
        );
        assert_eq!(run.renamed("backbone.blocks_of.3.gamma").as_deref(), Some("backbone.blocks_of.3.gamma"));
        assert!(run.holds("backbone.blocks.1.x") && !run.holds("backbone.blocks.3.x"));
    }
}
