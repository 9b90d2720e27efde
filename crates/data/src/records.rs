//! Records from files: tables (CSV, TSV) and JSON lines; what they are labelled with, and how they are divided.

mod file;
mod label;
mod parts;
mod read;

pub use file::FileOfRecords;
pub use label::{Labelled, Labels, TargetColumn};
pub use parts::{Divided, SplitBy, SplitConfig};
pub use read::{is_record_file, read_records, read_records_behind, record_files, table_reader};
