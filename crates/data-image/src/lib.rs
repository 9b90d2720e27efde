//! Pictures as a data model: sources, splits, augmentation, preprocessing and stems.
//!
//! Pictures stay bytes until a batch needs them, are varied on the loading threads, and reach
//! the network channels-last, `[batch, height, width, channels]`: read row by row that is already a grid
//! of tokens, so a picture needs no convolution to become [`ansatz_core::Features`].

pub mod augment;
pub mod config;
pub mod contact_sheet;
pub mod decode;
pub mod idx;
pub mod pictures;
pub mod preparation;
pub mod source;
pub mod stem;

mod encoder;
mod masking;
mod modality;
mod open;
mod recognise;
mod text;

pub use config::ImageConfig;
pub use contact_sheet::{Card, contact_sheet, sample_sheet};
pub use encoder::ImageEncoder;
pub use masking::Masking;
pub use open::OpenPictures;
pub use pictures::{PictureSize, Pictures, Pixels};
pub use preparation::{Normalisation, Preparation};
