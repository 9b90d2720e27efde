//! Smaller networks: weights that are left out, and weights in few bits.
//!
//! What is compressed are the matrices of linear layers and the kernels of convolutions of any burn module, ours or not,
//! by the dotted paths of its parameters; biases, norms and tables stay as they are. [`PruneConfig`] says which values
//! are left out and gives [`ansatz_run::Masks`]; [`QuantizeConfig`] turns values into whole numbers with scales;
//! [`ShrinkConfig`] cuts whole units out, which needs the config that the network was built from. All are steps of a
//! recipe, and can be called from Rust:
//!
//! ```
//! # use ansatz_compress::*;
//! # let device = ansatz_device::open("cpu").unwrap();
//! # let module = burn::nn::LinearConfig::new(32, 8).init(&device);
//! let half = PruneConfig { pattern: Pattern::Unstructured { ratio: 0.5, scope: Scope::Global }, ..PruneConfig::default() };
//! let module = half.masks(&module)?.on(&device).hold(module);
//! let eight_bits = QuantizeConfig::default();
//! let module = eight_bits.quantize(module)?;
//! # Ok::<(), ansatz_core::Error>(())
//! ```
//!
//! Methods that look at what the weights meet are shown [`Examples`]: [`QuantizeConfig::quantize_with`] and
//! [`PruneConfig::prune_with`]. The layers of the module must show it, as those of `ansatz_ops` do
//! ([`observing`](ansatz_ops::observing())); burn's own do not.
//!
//! ```
//! # use ansatz_compress::*;
//! # use burn::tensor::{Distribution, Tensor};
//! # let device = ansatz_device::open("cpu").unwrap();
//! # let module = ansatz_ops::LinearConfig::new(32, 8).init(&device);
//! # let batches = [Tensor::<2>::random([256, 32], Distribution::Default, &device)];
//! let forward = |module: &ansatz_ops::Linear, x: &Tensor<2>| Ok(drop(module.forward(x.clone())));
//! let examples = Examples { batches: &batches, forward: &forward };
//! let three_bits = QuantizeConfig { bits: 3, method: Method::Gptq, ..QuantizeConfig::default() };
//! let module = three_bits.quantize_with(module, &examples)?;
//! # Ok::<(), ansatz_core::Error>(())
//! ```

mod calibrate;
mod compensate;
mod criterion;
mod gptq;
mod histogram;
mod method;
mod prune;
mod quantize;
mod ranges;
mod rounding;
mod shrink;
mod sparse_gpt;
mod vectors;
mod weights;

pub use ansatz_ops::{Kind, Scales, Ungrouped};
pub use ansatz_run::{Layers, Scope, Weight, weights};
pub use calibrate::{
    CalibrationConfig, Examples, Hessian, Norms, Statistic, Unseen, check_seen, columns, gather,
};
pub use criterion::Criterion;
pub use method::Method;
pub use prune::{Misfits, Pattern, PruneConfig};
pub use quantize::QuantizeConfig;
pub use ranges::{Activations, RangeMethod, RangesConfig};
pub use shrink::{BlocksConfig, Importance, Original, ShrinkConfig, Shrunk, WidthConfig};
pub use vectors::Vectors;
pub use weights::{is_any_quantized, zeros};
