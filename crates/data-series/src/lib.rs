//! Time series as data models: tables of numbers, windows, parts by time; series with a class each; and the stems that
//! make tokens of them.
//!
//! A window of past steps is a row of tokens, one for each step, each patch of steps or each channel. What
//! reaches the backbone is vectors, and nothing there knows that they once were measurements.

mod calendar;
mod clock;
mod config;
mod drawing;
mod encoder;
mod instance;
mod labelled;
mod masking;
mod naive;
mod open;
mod parts;
mod recognise;
mod scaling;
mod series;
mod source;
mod stem;
mod table;

pub use calendar::Calendar;
pub use config::SeriesConfig;
pub use encoder::SeriesEncoder;
pub use instance::InstanceNorm;
pub use labelled::{
    HydraConfig, KernelsConfig, LabelledSeriesConfig, LabelledSeriesEncoder, LabelledSeriesFiles,
    LabelledSeriesSource, MiniRocketConfig, OpenLabelledSeries, Padding, SeriesAugment, SeriesScale,
};
pub use masking::Masking;
pub use open::OpenSeries;
pub use scaling::Scaling;
pub use source::{FileSource, Source};
pub use stem::{
    Channels, Layout, MARKS, MASK, Patches, PatchesConfig, SeriesShape, StemConfig, Steps, VALUES, VISIBLE,
};
