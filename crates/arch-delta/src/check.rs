//! Ranges that the configs have in common.

use ansatz_core::ConfigError;

/// Checks that a number is at least `least` and at most `most`.
pub(crate) fn size(key: &str, value: usize, least: usize, most: usize) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::value(key, value.to_string(), format!("{least} up to {most}")))
}

/// Checks what a norm adds to a mean square.
pub(crate) fn epsilon(value: f64) -> Result<(), ConfigError> {
    if value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    Err(ConfigError::value("epsilon", value.to_string(), "above 0 up to 1"))
}

/// Checks that every value head has a key head, and returns how many there are.
pub(crate) fn value_heads(heads: usize, value_heads: Option<usize>) -> Result<usize, ConfigError> {
    let value_heads = value_heads.unwrap_or(heads);
    size("heads", heads, 1, MOST)?;
    size("value_heads", value_heads, 1, MOST)?;
    if value_heads.is_multiple_of(heads) {
        return Ok(value_heads);
    }
    let problem = format!("{value_heads} value heads for {heads} key heads");
    Err(ConfigError::value("value_heads", problem, format!("a multiple of {heads}")))
}

/// The width of a head that is not given: the width of the tokens, divided among the heads.
pub(crate) fn head_width(given: Option<usize>, width: usize, heads: usize) -> Result<usize, ConfigError> {
    match given {
        Some(given) => size("head_width", given, 1, MOST).map(|()| given),
        None if width > 0 && width.is_multiple_of(heads) => Ok(width / heads),
        None => Err(ConfigError::value(
            "heads",
            format!("{heads} heads do not divide a width of {width}"),
            format!("a divisor of {width}, or `head_width`"),
        )),
    }
}

/// The most of anything that a config may ask for.
pub(crate) const MOST: usize = 65536;
