//! Rows of bytes, more of them than memory may hold.

use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use tempfile::{SpooledTempFile, spooled_tempfile};

use crate::{Error, Result};

/// Bytes that stay in memory; with more, all of them go to a file.
const HELD: usize = 256 << 20;

/// Bytes that are read at once where rows are read one behind the other.
const AHEAD: u64 = 1 << 20;

/// Rows of bytes: in memory up to 256 MiB, beyond that in a temporary file that nobody else sees and that vanishes with
/// the program (in the folder that `TMPDIR` names). In memory stay 8 bytes for each row.
pub struct Spool {
    bytes: Mutex<SpooledTempFile>,
    /// Behind the last byte of each row.
    ends: Vec<u64>,
}

/// Writes a [`Spool`], row by row.
pub struct SpoolWriter {
    bytes: std::io::BufWriter<SpooledTempFile>,
    ends: Vec<u64>,
}

impl Default for SpoolWriter {
    fn default() -> Self {
        Self::holding(HELD)
    }
}

/// An error of the file behind a spool.
fn failed(action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    Error::file(std::env::temp_dir(), action)
}

impl SpoolWriter {
    /// A spool that keeps at most `held` bytes in memory.
    pub(crate) fn holding(held: usize) -> Self {
        Self { bytes: std::io::BufWriter::with_capacity(1 << 16, spooled_tempfile(held)), ends: Vec::new() }
    }

    /// How many rows were written.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Writes the next row.
    ///
    /// # Errors
    /// When the file cannot be written, for want of room perhaps.
    pub fn push(&mut self, row: &[u8]) -> Result<()> {
        self.bytes.write_all(row).map_err(failed("write"))?;
        let start = self.ends.last().copied().unwrap_or(0);
        self.ends.push(start + row.len() as u64);
        Ok(())
    }

    /// What was written, to read.
    ///
    /// # Errors
    /// As [`SpoolWriter::push`].
    pub fn finish(self) -> Result<Spool> {
        let bytes = self.bytes.into_inner().map_err(|error| failed("write")(error.into_error()))?;
        Ok(Spool { bytes: Mutex::new(bytes), ends: self.ends })
    }
}

/// Bytes that were read in one go, of which rows are taken.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    start: u64,
    bytes: Vec<u8>,
}

impl Ahead {
    fn get(&self, range: &Range<u64>) -> Option<&[u8]> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end - self.start).ok()?;
        self.bytes.get(from..to)
    }
}

impl Spool {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes row `index` has.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn length(&self, index: usize) -> u64 {
        let range = self.range(index);
        range.end - range.start
    }

    /// The bytes of row `index`.
    ///
    /// # Errors
    /// When the file cannot be read.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, index: usize) -> Result<Vec<u8>> {
        self.read(self.range(index))
    }

    /// The same for rows that are read one behind the other, most of them: `ahead` is what was read for the last one.
    pub(crate) fn next<'a>(&self, index: usize, ahead: &'a mut Ahead) -> Result<&'a [u8]> {
        let range = self.range(index);
        if ahead.get(&range).is_none() {
            let last = self.ends.last().copied().unwrap_or(0);
            let end = last.min(range.start + AHEAD).max(range.end);
            *ahead = Ahead { start: range.start, bytes: self.read(range.start..end)? };
        }
        Ok(ahead.get(&range).unwrap_or_default())
    }

    fn range(&self, index: usize) -> Range<u64> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let length = usize::try_from(range.end - range.start)
            .map_err(|_| Error::Failed("a row is larger than memory".to_owned()))?;
        let mut bytes = vec![0; length];
        let mut file = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(range.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(failed("read"))?;
        Ok(bytes)
    }
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spool of {} rows", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<u8>> {
        (0..2000usize).map(|index| vec![index as u8; index * index % 3001]).collect()
    }

    #[test]
    fn rows_come_back_from_memory_and_from_a_file_alike() {
        for held in [usize::MAX, 10_000, 0] {
            let mut writer = SpoolWriter::holding(held);
            assert!(writer.is_empty());
            rows().iter().for_each(|row| writer.push(row).unwrap());
            let spool = writer.finish().unwrap();
            assert_eq!(spool.bytes.lock().unwrap().is_rolled(), held < usize::MAX);
            assert_eq!(spool.len(), 2000);
            let mut ahead = Ahead::default();
            for (index, row) in rows().iter().enumerate() {
                assert_eq!((&spool.row(index).unwrap(), spool.length(index)), (row, row.len() as u64));
                assert_eq!(spool.next(index, &mut ahead).unwrap(), row);
            }
            for index in (0..2000).rev().step_by(7) {
                assert_eq!(spool.next(index, &mut ahead).unwrap(), rows()[index]);
            }
        }
    }

    #[test]
    fn several_threads_read_at_once() {
        let mut writer = SpoolWriter::holding(0);
        rows().iter().for_each(|row| writer.push(row).unwrap());
        let spool = writer.finish().unwrap();
        std::thread::scope(|scope| {
            for first in 0..4 {
                let spool = &spool;
                scope.spawn(move || {
                    let rows = rows();
                    for index in (first..2000).step_by(4) {
                        assert_eq!(spool.row(index).unwrap(), rows[index]);
                    }
                });
            }
        });
    }

    #[test]
    fn nothing_is_no_row() {
        assert!(SpoolWriter::default().finish().unwrap().is_empty());
    }
}
