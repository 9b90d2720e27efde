//! Figures as people write them, alike on lines and on pages.

use ansatz_core::Interval;

/// `12345` → `12,345`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure's name as a label: `top_5_accuracy` → `top 5 accuracy`.
pub fn label(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

/// Whether a figure of this name is a share in 0–1, best read as a percentage.
pub fn is_share(name: &str) -> bool {
    name.contains("accuracy")
}

/// A figure with its value: a share as `97.11 %`, any other as `0.1043`.
pub fn figure(name: &str, value: f64) -> String {
    if is_share(name) { format!("{:.2} %", value * 100.0) } else { format!("{value:.4}") }
}

/// `97.11 % (95.60 to 98.44)` where the interval is that of this figure, else the figure alone.
pub fn figure_within(name: &str, value: f64, interval: Option<&Interval>) -> String {
    let text = figure(name, value);
    match interval.filter(|interval| interval.figure == name) {
        Some(Interval { low, high, .. }) if is_share(name) => {
            format!("{text} ({:.2} to {:.2})", low * 100.0, high * 100.0)
        }
        Some(Interval { low, high, .. }) => format!("{text} ({low:.4} to {high:.4})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn an_interval_stands_behind_its_own_figure() {
        let interval = |figure: &str| Interval { figure: figure.to_owned(), low: 0.95604, high: 0.9844 };
        let accuracy = interval("accuracy");
        assert_eq!(figure_within("accuracy", 0.97111, Some(&accuracy)), "97.11 % (95.60 to 98.44)");
        assert_eq!(figure_within("loss", 0.1, Some(&accuracy)), "0.1000");
        assert_eq!(figure_within("loss", 0.97, Some(&interval("loss"))), "0.9700 (0.9560 to 0.9844)");
    }

    #[test]
    fn names_lose_what_joins_them() {
        assert_eq!(label("top_5-accuracy"), "top 5 accuracy");
        assert!(is_share("top_5_accuracy") && !is_share("loss"));
    }
}
