//! Figures as people write them.

pub(crate) use ansatz_run::written::{count, is_share, label};

/// A share in 0–1 as a percentage with `decimals` decimals: `97.22 %`.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}\u{202f}%", share * 100.0)
}

/// The share that `part` is of `whole`, with one decimal; a dash where there is nothing to be a share of.
pub(crate) fn share_of(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { percent(part as f64 / whole as f64, 1) }
}

/// A figure, or a dash where there is none.
pub(crate) fn known(value: Option<f64>) -> String {
    figure(value.unwrap_or(f64::NAN))
}

/// Bytes in binary units: `1.4 GiB`.
pub(crate) fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "KiB", "MiB"] {
        if scaled < 1024.0 {
            return format!("{scaled:.0} {unit}");
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} GiB")
}

/// Seconds as a duration: `3 min 12 s`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Three significant digits, without zeros that say nothing: `0.0125`, `1,234`, `3e-5`.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    if size >= 1000.0 {
        let sign = if value < 0.0 { "−" } else { "" };
        return if size < 1e15 {
            format!("{sign}{}", count(size.round() as u64))
        } else {
            format!("{value:.2e}")
        };
    }
    if size < 0.0005 {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_people_write_them() {
        assert_eq!(percent(0.97222, 2), "97.22\u{202f}%");
        assert_eq!(
            [bytes(12), bytes(2048), bytes(3 << 20), bytes(3 << 29)],
            ["12 B", "2 KiB", "3 MiB", "1.5 GiB"]
        );
        assert_eq!(
            [duration(4.26), duration(192.0), duration(7500.0)],
            ["4.3 s", "3 min 12 s", "2 h 05 min"]
        );
    }

    #[test]
    fn small_and_large_figures_stay_short() {
        let written =
            [0.0, 1.0, 0.5, 12.345, 123.4, 1234.5, 0.001, 0.00003, 0.000_123_4, -2.0, f64::NAN].map(figure);
        assert_eq!(written, ["0", "1", "0.5", "12.3", "123", "1,235", "0.001", "3e-5", "1.23e-4", "-2", "–"]);
    }
}
