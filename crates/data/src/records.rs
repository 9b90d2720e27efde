//! Records from files: tables (CSV, TSV), JSON lines and Parquet; what they are labelled with, and how they are divided.

mod file;
mod label;
mod look;
#[cfg(feature = "parquet")]
mod parquet;
mod parts;
mod read;
mod several;

pub use file::FileOfRecords;
pub use label::{Labelled, Labels, TargetColumn};
pub use look::{Foretold, Look, Seen, foretold, look};
pub use parts::{Divided, SplitBy, SplitConfig};
pub use read::{is_record_file, read_records, read_records_behind, record_files, table_reader};
pub use several::{LabelSets, SeparatedLabels, check_separator, names_of, places_of, separated};
