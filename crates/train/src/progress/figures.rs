//! Figures of a run as people read them, in lines and on the dashboard.

use ansatz_core::Scores;
use ansatz_run::written::{figure, label};

/// Seconds as `1:23` or `2:03:04`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A figure's name as a heading: `top_5_accuracy` → `Top 5 accuracy`.
pub(super) fn heading(name: &str) -> String {
    let label = label(name);
    let mut letters = label.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `accuracy 97.11 %, loss 0.1043`: the figure that decides and the loss.
pub(super) fn in_short(scores: &Scores) -> String {
    let mut names = vec![scores.primary.as_str(), "loss"];
    names.dedup();
    in_words(names.into_iter().filter_map(|name| scores.values.get_key_value(name)))
}

/// `accuracy 97.11 %, loss 0.1043, macro f1 0.9702`: all figures, the one that decides first.
pub(super) fn in_full(scores: &Scores) -> String {
    let mut values: Vec<_> = scores.values.iter().collect();
    values.sort_by_key(|(name, _)| **name != scores.primary);
    in_words(values)
}

fn in_words<'a>(values: impl IntoIterator<Item = (&'a String, &'a f64)>) -> String {
    let words = values.into_iter().map(|(name, value)| format!("{} {}", label(name), figure(name, *value)));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!([clock(0.4), clock(83.4), clock(7384.0)], ["0:00", "1:23", "2:03:04"]);
    }
}
