//! Texts with a class each: topics, sentiments, spam or not.

mod config;
mod encoder;
mod known;
mod modality;
mod open;
mod source;
mod words;

pub use config::{LabelledTextConfig, LabelledTokenizer};
pub use encoder::LabelledTextEncoder;
pub use open::OpenLabelledText;
pub(crate) use source::classes_of;
pub use source::{LabelledFolder, LabelledSource, LabelledTable, TextOfRecords};
