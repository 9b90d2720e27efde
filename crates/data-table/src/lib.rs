//! Records as a data model: numbers and categories in named columns, a token for each column.
//!
//! A record has no order and no neighbourhood, so each column becomes a token that knows which column it is. What
//! reaches the backbone is a row of tokens like any other: whatever mixes words mixes columns.

mod columns;
mod config;
mod encoder;
mod modality;
mod open;
mod recognise;
mod source;
mod stem;

pub use columns::Column;
pub use config::TableConfig;
pub use encoder::TableEncoder;
pub use open::OpenTable;
pub use source::{RowsOfRecords, TableSource};
pub use stem::{CATEGORIES, ColumnTokens, MISSING, NUMBERS};
