//! What all data models share: the catalogue of known sets, fetching, records, splits and deterministic
//! loading.
//!
//! A result can be repeated only if its data can. Hence every known set is a pinned, checksummed
//! package of an ordinary registry ([`catalogue`], [`fetch`]), every split is a function of the data
//! and a seed ([`split`]), and every batch is a function of (seed, epoch, batch number) alone
//! ([`loader`]): not of the number of threads, nor of whether the run was interrupted before it.

mod balance;
mod batches;
pub mod cache;
pub mod calendar;
pub mod catalogue;
pub mod checksum;
mod examples;
pub mod fetch;
mod hiding;
mod length;
pub mod loader;
pub mod random;
pub mod records;
pub mod split;

pub use balance::Balance;
pub use batches::Batches;
pub use cache::Cache;
pub use catalogue::{CATALOGUE, KnownFile, KnownSet, Source};
pub use examples::Examples;
pub use fetch::{FetchOptions, Fetched, Progress, get};
pub use hiding::{check_hidden_share, hidden_patches, hiding};
pub use loader::{Loader, LoaderConfig, Order};
pub use random::{Purpose, stream};
pub use records::{
    Divided, FileOfRecords, LabelSets, Labelled, Labels, SeparatedLabels, SplitBy, SplitConfig, TargetColumn,
    is_record_file, read_records, read_records_behind, record_files,
};
pub use split::{Division, Share, bucket};
