//! What a component may use while it is being built.

use burn::tensor::Device;

use crate::Registry;

/// What a component may use while it is being built.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The components that may be named inside this one.
    pub registry: &'a Registry,
    /// Where the parameters are put. Training needs an autodiff device.
    pub device: &'a Device,
}
