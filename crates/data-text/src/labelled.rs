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
pub use source::{LabelledFolder, LabelledSource, LabelledTable, TextOfRecords};
pub(crate) use source::{classes_of, labels_of, text_of};
