//! Rows of the table of layers.

use ansatz_core::Layer;
use ansatz_ops::ConvNormConfig;

use crate::picture::spec;

/// The row of a convolution with its normalisation, over a picture of `size`.
pub(crate) fn row(name: String, config: &ConvNormConfig, size: [usize; 2]) -> Layer {
    let [inputs, outputs] = config.channels;
    let [height, width] = config.output(size);
    let weights = inputs * outputs * config.kernel[0] * config.kernel[1];
    Layer {
        name,
        output: spec([height, width], outputs).to_string(),
        parameters: weights + 2 * outputs,
        flops: 2 * (weights * height * width) as u64,
        activations: outputs * height * width,
    }
}
