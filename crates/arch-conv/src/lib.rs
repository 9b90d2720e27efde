//! Convolutions: a plain pyramid and a residual network as backbones, and a short causal convolution as a mixer.
//!
//! A convolution sees neighbouring pixels with the same weights everywhere, so small networks of this kind
//! learn pictures from little data and in little time. At the seam a picture is a grid of tokens, read row
//! by row; inside, these backbones work on `[batch, channels, height, width]`, and convert at their border.

mod picture;
mod pyramid;
mod residual;
mod resnet;
mod short;
mod table;

pub use pyramid::{ConvPyramid, ConvPyramidConfig, PyramidStage};
pub use residual::ResidualBlock;
pub use resnet::{ResNet, ResNetConfig};
pub use short::{ShortConvolution, ShortConvolutionConfig};
