//! The linear maps of the channel mixers.

use ansatz_core::ConfigError;
use ansatz_ops::Linear;
use burn::nn::Initializer;
use burn::tensor::Device;

/// A linear map `[input, output]` drawn by `initializer`, its bias zero.
pub(crate) fn linear(
    [input, output]: [usize; 2],
    initializer: Initializer,
    bias: bool,
    device: &Device,
) -> Linear {
    Linear {
        weight: initializer.init_with([input, output], Some(input), Some(output), device),
        bias: bias.then(|| Initializer::Zeros.init([output], device)),
    }
}

/// Checks a ratio of hidden width to width, or the hidden width itself.
pub(crate) fn check_hidden(expansion: f64, hidden: Option<usize>) -> Result<(), ConfigError> {
    const LARGEST: usize = 1 << 20;
    if let Some(hidden) = hidden
        && !(1..=LARGEST).contains(&hidden)
    {
        return Err(ConfigError::value("hidden", hidden.to_string(), format!("1 up to {LARGEST}")));
    }
    if expansion.is_finite() && expansion > 0.0 && expansion <= 64.0 {
        return Ok(());
    }
    Err(ConfigError::value("expansion", format!("a ratio of {expansion}"), "above 0 up to 64"))
}

/// The hidden width: `expansion × width`, rounded, at least 1.
pub(crate) fn hidden_width(expansion: f64, width: usize) -> usize {
    ((expansion * width as f64).round() as usize).max(1)
}
