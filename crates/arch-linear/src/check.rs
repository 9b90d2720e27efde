//! Checks that the configs have in common.

use ansatz_core::ConfigError;

/// Refuses a count of 0.
pub(crate) fn counts(counts: &[(&str, Option<usize>)]) -> Result<(), ConfigError> {
    match counts.iter().find(|(_, count)| *count == Some(0)) {
        Some((key, _)) => Err(ConfigError::value(*key, "0", "at least 1")),
        None => Ok(()),
    }
}

/// Refuses what can not be added to a mean square.
pub(crate) fn epsilon(epsilon: f64) -> Result<(), ConfigError> {
    if epsilon > 0.0 && epsilon <= 1.0 {
        return Ok(());
    }
    Err(ConfigError::value("epsilon", epsilon.to_string(), "above 0 up to 1"))
}

/// The values of a head: given under `key`, or the width divided by `heads`.
pub(crate) fn head_width(
    key: &str,
    given: Option<usize>,
    width: usize,
    heads: usize,
) -> Result<usize, ConfigError> {
    match given {
        Some(given) => Ok(given),
        None if width > 0 && width.is_multiple_of(heads) => Ok(width / heads),
        None => Err(ConfigError::value(
            "heads",
            format!("{heads} heads do not divide a width of {width}"),
            format!("a divisor of {width}, or `{key}`"),
        )),
    }
}

/// The key and value heads: given, a divisor of `heads`, or as many.
pub(crate) fn key_value_heads(given: Option<usize>, heads: usize) -> Result<usize, ConfigError> {
    let shared = given.unwrap_or(heads);
    if shared > 0 && heads.is_multiple_of(shared) {
        return Ok(shared);
    }
    let problem = format!("{shared} key and value heads for {heads} query heads");
    Err(ConfigError::value("key_value_heads", problem, format!("a divisor of {heads}")))
}
