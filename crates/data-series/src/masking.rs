//! Hiding patches of series, for a network to tell them from those around them.

use ansatz_core::{ConfigError, Exhibit, Result, Target, Targets};
use ansatz_data::{check_hidden_share, hidden_patches};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drawing::restored;

/// Patches of steps that are hidden, for the network to tell from those around them (Nie et al., PatchTST, 2023,
/// arXiv:2211.14730, section 3.2): on the scale of the network they become 0, which is the mean of the training part, or of
/// the window where that is taken off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Masking {
    /// Steps of a hidden patch, at least 1 and fewer than are read. They need not be those of `stem.patches`: hidden steps
    /// are hidden, whatever token they are in.
    pub length: usize,
    /// The share of the patches that is hidden, above 0 and below 1.
    pub share: f64,
    /// Whether all channels are hidden at the same steps. Otherwise each is for itself, and a network that reads all of
    /// them together can tell one from the others.
    pub together: bool,
}

impl Default for Masking {
    fn default() -> Self {
        Self { length: 12, share: 0.4, together: false }
    }
}

impl Masking {
    /// Checks the ranges, for windows of so many steps where that is known.
    ///
    /// # Errors
    /// With the key, what it says and its range.
    pub(crate) fn check(&self, window: Option<usize>) -> Result<(), ConfigError> {
        let most = window.map_or(usize::MAX, |window| window.saturating_sub(1));
        if self.length == 0 || self.length > most {
            let problem = format!("{} steps", self.length);
            let expected = "at least 1, and fewer than a window has";
            return Err(ConfigError::value("length", problem, expected));
        }
        check_hidden_share(self.share)
    }

    /// Hides patches of `values` `[steps × channels]`, on the scale of the network; gives which of them are.
    pub(crate) fn apply(&self, values: &mut [f32], channels: usize, random: &mut impl Rng) -> Vec<bool> {
        let patches = (values.len() / channels).div_ceil(self.length);
        let draws = if self.together { 1 } else { channels };
        let drawn: Vec<Vec<bool>> = (0..draws).map(|_| hidden_patches(self.share, patches, random)).collect();
        let is_hidden = |at: usize| drawn[at % channels % draws][at / channels / self.length];
        let hidden: Vec<bool> = (0..values.len()).map(is_hidden).collect();
        values.iter_mut().zip(&hidden).filter(|(_, hidden)| **hidden).for_each(|(value, _)| *value = 0.0);
        hidden
    }
}

/// What is asked of examples of which some values are hidden.
#[derive(Debug)]
pub(crate) struct Asked {
    size: [usize; 3],
    values: Vec<f32>,
    hidden: Vec<bool>,
}

impl Asked {
    /// Nothing yet, of examples whose values stand as `[rows, columns, channels]` of [`ansatz_core::HiddenValues`].
    pub(crate) fn new(size: [usize; 3]) -> Self {
        Self { size, values: Vec::new(), hidden: Vec::new() }
    }

    /// Adds an example: its values `[steps × channels]`, which of them are hidden, and which were observed: what was not is
    /// not asked, and neither is what is missing behind a short series.
    pub(crate) fn push(&mut self, values: &[f32], hidden: &[bool], observed: &[bool]) {
        let [rows, columns, channels] = self.size;
        for row in 0..rows {
            for at in 0..columns * channels {
                // A row is a channel, or all channels are in one.
                let place = if channels == 1 { at * rows + row } else { at };
                self.values.push(values.get(place).copied().unwrap_or(0.0));
                self.hidden.push(hidden.get(place).zip(observed.get(place)) == Some((&true, &true)));
            }
        }
    }

    /// The whole as labels.
    pub(crate) fn targets(self) -> Targets {
        Targets::HiddenValues { values: self.values, hidden: self.hidden }
    }
}

/// A channel of an example, drawn beside what a network told of it: `target` says how its values stand, `asked` what they
/// are, and `told` are its outputs. Which channel, `index` decides. `None` where nothing is hidden.
///
/// # Errors
/// When the picture cannot be written.
pub(crate) fn draw_restored(
    target: &Target,
    asked: &Targets,
    index: usize,
    told: &[f32],
) -> Result<Option<Exhibit>> {
    let (Target::HiddenValues(target), Targets::HiddenValues { values, hidden }) = (target, asked) else {
        return Ok(None);
    };
    let [rows, columns, channels] = target.size;
    let (row, channel) = (index % rows, index % channels);
    let places = (0..columns).map(|column| (row * columns + column) * channels + channel);
    let values: Vec<f32> = places.clone().map(|place| values[place]).collect();
    let hidden: Vec<bool> = places.clone().map(|place| hidden[place]).collect();
    let told: Vec<f32> = places.map(|place| told[place]).collect();
    Ok(Some(Exhibit::Png(restored(&values, &hidden, &told)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_data::hiding;

    #[test]
    fn what_is_asked_stands_as_the_tokens_do() {
        let (values, observed) = ([1.0, 10.0, 2.0, 20.0], [true, true, false, true]);
        let hidden = [true, false, true, true];
        for (size, told, asked) in [
            ([1, 3, 2], [1.0, 10.0, 2.0, 20.0, 0.0, 0.0], [true, false, false, true, false, false]),
            ([2, 3, 1], [1.0, 2.0, 0.0, 10.0, 20.0, 0.0], [true, false, false, false, true, false]),
        ] {
            let mut all = Asked::new(size);
            all.push(&values, &hidden, &observed);
            let expected = Targets::HiddenValues { values: told.to_vec(), hidden: asked.to_vec() };
            assert_eq!(all.targets(), expected);
        }
    }

    #[test]
    fn whole_patches_are_hidden_in_each_channel_or_in_all() {
        let mut apart = false;
        for (together, index) in (0..20).flat_map(|index| [(true, index), (false, index)]) {
            let masking = Masking { length: 3, share: 0.5, together };
            let mut values = vec![1.0; 10 * 2];
            let hidden = masking.apply(&mut values, 2, &mut hiding(None, index));
            assert!(values.iter().zip(&hidden).all(|(value, hidden)| (*value == 0.0) == *hidden));
            for channel in 0..2 {
                let steps: Vec<bool> = (0..10).map(|step| hidden[step * 2 + channel]).collect();
                let patches: Vec<bool> = steps.chunks(3).map(|patch| patch[0]).collect();
                assert!(steps.chunks(3).all(|patch| patch.iter().all(|hidden| *hidden == patch[0])));
                assert_eq!(patches.iter().filter(|hidden| **hidden).count(), 2);
            }
            let differ = hidden.chunks(2).any(|step| step[0] != step[1]);
            assert!(!(together && differ));
            apart |= differ;
        }
        assert!(apart);
    }
}
