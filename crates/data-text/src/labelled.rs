//! Texts with a class each: topics, sentiments, spam or not.

mod config;
mod encoder;
mod open;
mod source;
mod words;

pub use config::{LabelledTextConfig, LabelledTokenizer};
pub use encoder::LabelledTextEncoder;
pub use open::OpenLabelledText;
pub use source::{LabelledFolder, LabelledSource, LabelledTable};
pub(crate) use source::{classes_of, reader};
