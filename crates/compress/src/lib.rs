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

mod prune;
mod quantize;
mod rounding;
mod shrink;
mod weights;

pub use ansatz_run::{Kind, Layers, Scope, Weight, weights};
pub use prune::{Misfits, Pattern, PruneConfig};
pub use quantize::{QuantizeConfig, Scales, Ungrouped};
pub use shrink::{BlocksConfig, Importance, Original, ShrinkConfig, Shrunk, WidthConfig};
pub use weights::{is_any_quantized, zeros};
