//! Series with a class each: the motion of a hand, the outline of a leaf, the voice of a speaker.

mod augment;
mod config;
mod encoder;
mod kernels;
mod open;
mod recognise;
mod source;
mod ts;

pub use augment::SeriesAugment;
pub use config::{LabelledSeriesConfig, Padding, SeriesScale};
pub use encoder::LabelledSeriesEncoder;
pub use kernels::{HydraConfig, KernelsConfig, MiniRocketConfig};
pub use open::OpenLabelledSeries;
pub use source::{LabelledSeriesFiles, LabelledSeriesSource};
