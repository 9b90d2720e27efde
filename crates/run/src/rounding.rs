//! What can be said against rounding weights to whole numbers, before it is done.

use ansatz_core::{ConfigError, Error, Result};
use ansatz_ops::{Scales, Ungrouped};

/// Refuses `bits` and groups out of range.
///
/// # Errors
/// With the path of the value at fault, `bits` or `scales.…`.
pub fn check_rounding(bits: u32, scales: Scales) -> Result<(), ConfigError> {
    if !(2..=8).contains(&bits) {
        return Err(ConfigError::value("bits", format!("{bits} bits"), "a whole number from 2 to 8"));
    }
    match scales {
        Scales::Group { size, .. } if !(1..=255).contains(&size) => Err(ConfigError::value(
            "scales.group.size",
            format!("a group of {size}"),
            "a whole number from 1 to 255",
        )),
        _ => Ok(()),
    }
}

/// Refuses a weight of this name and shape that groups do not fit, unless such weights may have a scale per output and it
/// was not named itself.
///
/// # Errors
/// When it is refused.
pub fn check_groups(scales: Scales, name: &str, shape: &[usize], is_named: bool) -> Result<()> {
    let Scales::Group { size, misfits } = scales else { return Ok(()) };
    if scales.fits(shape) || (misfits == Ungrouped::Output && !is_named) {
        return Ok(());
    }
    let inputs = if let [inputs, _] = shape { inputs } else { &shape[1] };
    Err(Error::input(
        format!("scales.group.size: {size}"),
        format!("`{name}` has {inputs} inputs, no multiple of {size}"),
        "a number that divides the inputs of every weight that is quantized",
        format!("name it in `except`, or put `misfits = \"output\"` beside `size = {size}`"),
    ))
}
