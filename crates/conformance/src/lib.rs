//! Checks that any mixer, channel mixer or backbone does what the seam promises, for the tests of any crate.
//!
//! An architecture can be combined with every data model, task and compression method because all of them
//! rely on a few promises: the recurrent form agrees with the parallel one, padding and neighbours change
//! nothing, gradients are right. A promise that nobody checks is broken by the third implementation, so
//! each is a property here that a crate's tests call in one line:
//!
//! ```no_run
//! # use ansatz_core::{Build, MixerConfig, Registry};
//! # fn example<MyConfig: MixerConfig + Default>(device: &burn::tensor::Device) -> Result<(), ansatz_conformance::Failure> {
//! ansatz_conformance::mixer(|width, device| {
//!     MyConfig::default().init(width, &Build::new(&Registry::default(), device))
//! })
//! .widths([8, 12])
//! .check(device)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`registry()`] does it for every component that a program knows. The kit names no backend: the caller
//! brings the device. See [`Property`] for what is checked.

mod backbone;
mod case;
mod channel;
mod check;
mod compare;
mod float64;
mod mixer;
mod network;
mod parameters;
mod property;
mod registry;
mod report;
mod run;

pub use backbone::{BackboneCheck, backbone};
pub use channel::channel;
pub use check::Check;
pub use mixer::{MixerCheck, MixerOverCheck, Rows, Shapes, grids, mixer, mixer_over};
pub use property::Property;
pub use registry::registry;
pub use report::{Failure, Passed, Report};
