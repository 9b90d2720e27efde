//! Figures as people write them, alike on lines and on pages.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn names_lose_what_joins_them() {
        assert_eq!(label("top_5-accuracy"), "top 5 accuracy");
        assert!(is_share("top_5_accuracy") && !is_share("loss"));
    }
}
