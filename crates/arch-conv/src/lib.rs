//! Convolutions: a plain pyramid and a residual network as backbones; over the tokens of a picture, over a row, and
//! the average of neighbours, as mixers.
//!
//! A convolution sees neighbouring pixels with the same weights everywhere, so small networks of this kind
//! learn pictures from little data and in little time. At the seam a picture is a grid of tokens, read row
//! by row; inside, these backbones work on `[batch, channels, height, width]`, and convert at their border.

mod depthwise;
mod picture;
mod pool;
mod pyramid;
mod residual;
mod resnet;
mod short;
mod table;

pub use depthwise::{DepthwiseConvolution, DepthwiseConvolutionConfig};
pub use pool::{AveragePool, AveragePoolConfig};
pub use pyramid::{ConvPyramid, ConvPyramidConfig, PyramidStage};
pub use residual::{ResidualBlock, ResidualKind};
pub use resnet::{ResNet, ResNetConfig};
pub use short::{ShortConvolution, ShortConvolutionConfig};
