//! Text as a data model: sources, tokenizers, windows of tokens, and the stem that embeds them.
//!
//! A sentence is a row of tokens. What reaches the backbone is a vector for each, and nothing there knows
//! that it once was text.

mod config;
mod encoder;
mod labelled;
mod masking;
mod open;
mod pairs;
mod recall;
mod recognise;
mod source;
mod stem;
mod terms;
mod token_rows;
mod tokenizer;
mod tokens;

pub use config::TextConfig;
pub use encoder::{Prepared, TextEncoder};
pub use labelled::{
    LabelledFolder, LabelledSource, LabelledTable, LabelledTextConfig, LabelledTextEncoder,
    LabelledTokenizer, OpenLabelledText, TextOfRecords,
};
pub use masking::Masking;
pub use open::OpenText;
pub use pairs::{Layout, OpenPairs, PairSource, PairsConfig, PairsEncoder};
pub use recall::RecallConfig;
pub use source::Source;
pub use stem::{Embedding, EmbeddingConfig, MASK, SOURCE, SOURCE_MASK, TOKENS, TYPES};
pub use terms::{TERMS, TermSum, TermsConfig, WEIGHTS};
pub use tokenizer::{Tokenizer, TokenizerConfig};
