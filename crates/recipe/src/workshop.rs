//! What surrounds a compression.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ansatz_core::{Places, Registry, Result};
use ansatz_run::Measurement;
use ansatz_train::Setting;
use ansatz_train::progress::Listener;
use burn::tensor::Device;

/// What surrounds a compression.
pub struct Workshop<'a> {
    /// The components that may be named in experiments.
    pub registry: &'a Registry,
    /// Folders that the data model may read.
    pub places: &'a Places,
    /// Where networks compute.
    pub device: &'a Device,
    /// Where weights are drawn.
    pub host: &'a Device,
    /// The name of `device`, for the figures.
    pub device_name: &'a str,
    /// Raised from outside: the step that goes on saves what it has, and the chain ends.
    pub stop: Arc<AtomicBool>,
    /// Makes those who hear a step that trains.
    pub listeners: &'a dyn Fn() -> Vec<Box<dyn Listener>>,
    /// Hears what is begun, in a sentence.
    pub tell: &'a dyn Fn(&str),
    /// Measures a run: [`crate::measure`], best in a process of its own, since memory and caches remember what was done
    /// before.
    pub measure: &'a dyn Fn(&Path) -> Result<Measurement>,
}

impl Workshop<'_> {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The same for training, heard by those of `listeners`.
    pub(crate) fn setting(&self, listeners: Vec<Box<dyn Listener>>) -> Setting<'_> {
        Setting {
            registry: self.registry,
            places: self.places,
            device: self.device,
            host: self.host,
            device_name: self.device_name,
            stop: Arc::clone(&self.stop),
            listeners,
        }
    }
}
