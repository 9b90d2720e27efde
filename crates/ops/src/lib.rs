//! Layers fused into single operations, each in a form that runs on every device and a fast form, with its
//! own gradient, for the processor.
//!
//! A convolutional network built from a tensor library's separate operations spends most of a training step
//! on the processor not in arithmetic but in moving activations: im2col copies each of them k² times, and
//! normalisation, rectifier and their gradients each read and write them all again. The functions here do
//! the same in fewer passes. Each picks its fast form by itself where the tensors allow it (float32 on
//! burn's `flex` backend) and is otherwise the plain composition of burn's operations, which is also what
//! the tests compare it with, outputs and gradients.
//!
//! Weights may be whole numbers, see [`quantized`](quantized()): [`linear`](linear()) and [`convolution`](convolution())
//! then multiply these.
//!
//! What the weights of a network meet can be looked at from outside, see [`observing`].
//!
//! Results have the same bits from run to run and for every number of threads.

mod activation;
mod adam;
mod attention;
mod byte_rounding;
mod causal_convolution;
mod conv_norm;
mod conv_stages;
mod convolution;
mod delta;
mod descent;
mod diagonal_scan;
mod dropout;
mod fake_quantization;
#[cfg(feature = "flex")]
mod flex;
mod input_range;
mod linear;
mod linear_attention;
mod logistic;
mod mlstm;
mod norm;
mod normalization;
mod observe;
mod padding;
mod pooling;
mod quantized;
mod rectifier;
mod recurrence;
mod rotary;
mod rounding;
mod rows;
mod selective_scan;
mod slstm;
mod split_mix;
#[cfg(all(test, feature = "flex"))]
mod testing;
mod token_shift;
mod unit_values;
mod visible;
mod wkv;
mod zero_points;

pub use activation::Activation;
pub use adam::AdamStep;
pub use attention::{attention, masked_softmax};
pub use causal_convolution::{CausalConvolution, causal_convolution};
pub use conv_norm::{ConvNorm, ConvNormConfig};
pub use conv_stages::{ConvStage, conv_stages};
pub use convolution::{convolution, convolve};
pub use delta::{Decay, delta_rule, diagonal_plus_low_rank};
pub use descent::DescentStep;
pub use diagonal_scan::diagonal_scan;
pub use dropout::dropout;
pub use fake_quantization::FakeQuantization;
pub use input_range::InputRange;
pub use linear::{Linear, LinearConfig, linear};
pub use linear_attention::{LinearAttention, LogDecay};
pub use logistic::{log_sigmoid, sigmoid, softplus};
pub use mlstm::{MatrixMemory, MatrixMemoryInputs, matrix_memory};
pub use norm::{Norm, NormConfig, NormKind, Running, root_mean_square};
pub use normalization::{Normalized, batch_norm};
pub use observe::{Observed, Observer, observe, observing};
pub use padding::without_padding;
pub use pooling::max_pool;
pub use quantized::{Granularity, Kind, Quantized, dense, is_quantized, quantized};
pub use rectifier::{gelu, gelu_tanh, silu};
pub use recurrence::{Cell, recurrence};
pub use rotary::{Rotary, RotaryConfig, RotaryPairing, RotaryScaling};
pub use rounding::{Levels, Mapping, Rounded, Scales, Steps, Ungrouped, round, scale_index};
pub use rows::{rows, weighted_rows};
pub use selective_scan::SelectiveScan;
pub use slstm::{ScalarMemory, scalar_memory};
pub use split_mix::{GOLDEN_GAMMA, split_mix};
pub use token_shift::token_shift;
pub use unit_values::unit_values;
pub use visible::Visible;
pub use wkv::{wkv, wkv_state};
pub use zero_points::ZeroPoints;
