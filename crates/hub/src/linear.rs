//! What the published layers of linear attention have in common.

use ansatz_core::Result;

use crate::{Folder, Names, refuse};

/// The values of a head's keys and of its values, where the options say that all heads together have `ratios` times the
/// width: `expand_k` and `expand_v`.
pub(crate) fn head_widths(
    folder: &Folder,
    [key, value]: [f64; 2],
    width: usize,
    heads: usize,
) -> Result<[Option<usize>; 2]> {
    let key = head_values(folder, "expand_k", key, width, heads)?;
    Ok([key, head_values(folder, "expand_v", value, width, heads)?])
}

/// Refuses norms without a scale.
pub(crate) fn scaled_norms(folder: &Folder, elementwise_affine: Option<bool>) -> Result<()> {
    match elementwise_affine {
        Some(false) => refuse(folder, "elementwise_affine", false, "true, norms with a scale"),
        _ => Ok(()),
    }
}

/// The values of a head, where the option `option` says that all heads together have `ratio` times the width.
fn head_values(
    folder: &Folder,
    option: &str,
    ratio: f64,
    width: usize,
    heads: usize,
) -> Result<Option<usize>> {
    let values = ratio * width as f64 / heads as f64;
    if values >= 1.0 && values.fract().abs() < 1e-9 {
        return Ok(Some(values as usize));
    }
    refuse(folder, option, ratio, "a whole number of values for each head")
}

/// The name of a layer's norm: with a gate, the fused kernel of norm and gate holds it, unless the checkpoint was made
/// without that kernel.
pub(crate) fn gated_norm(folder: &Folder, gate: bool) -> &'static str {
    let fused = folder.config.get("fuse_norm").and_then(serde_json::Value::as_bool).unwrap_or(true);
    if fused && gate { "g_norm_swish_gate" } else { "g_norm" }
}

impl Names {
    /// The projections `(published letter, our part)` with their convolutions, and the output, as the fla library
    /// names them: `published` is the layer `ours`.
    pub(crate) fn linear_attention(
        &mut self,
        published: &str,
        ours: &str,
        projections: &[(&str, &str)],
        convolved: bool,
    ) {
        for (letter, part) in projections {
            self.linear(&format!("{published}.{letter}_proj"), &format!("{ours}.{part}.linear"));
            if convolved {
                let convolution = format!("{published}.{letter}_conv1d.weight");
                self.unsqueezed(convolution, format!("{ours}.{part}.convolution.weight"), 1);
            }
        }
        self.linear(&format!("{published}.o_proj"), &format!("{ours}.output"));
    }
}
