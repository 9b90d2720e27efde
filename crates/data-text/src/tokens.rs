//! The tokens of a text, which need not fit into memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use ansatz_core::{Error, Result};

use crate::token_rows::{TokenRows, TokenRowsWriter};

/// The tokens of a text, one behind the other.
pub(crate) enum Tokens {
    /// Rows of [`ROW`] tokens, the last one shorter.
    Written { rows: TokenRows, total: usize },
    /// Bytes, which are read from files when they are asked for.
    Streamed(Vec<Piece>),
}

/// Tokens that are written and read at once.
const ROW: usize = 1024;

/// A file, and which tokens of the whole it holds.
pub(crate) struct Piece {
    path: PathBuf,
    tokens: Range<usize>,
}

/// Writes [`Tokens`], in memory or, where they are many, in a temporary file.
#[derive(Default)]
pub(crate) struct TokensWriter {
    rows: TokenRowsWriter,
    /// Behind the last whole row.
    rest: Vec<u32>,
    total: usize,
}

impl TokensWriter {
    /// Writes the next tokens.
    pub(crate) fn push(&mut self, tokens: &[u32]) -> Result<()> {
        self.total += tokens.len();
        self.rest.extend_from_slice(tokens);
        let whole = self.rest.len() / ROW * ROW;
        for row in self.rest[..whole].chunks(ROW) {
            self.rows.push(row)?;
        }
        self.rest.drain(..whole);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Tokens> {
        self.rows.push(&self.rest)?;
        Ok(Tokens::Written { rows: self.rows.finish()?, total: self.total })
    }
}

impl Tokens {
    /// The bytes of `files`, one behind the other, which stay where they are.
    ///
    /// # Errors
    /// When the length of one cannot be told.
    pub(crate) fn of_files(files: Vec<PathBuf>) -> Result<Self> {
        let mut end = 0;
        let piece = |path: PathBuf| {
            let length = std::fs::metadata(&path).map_err(Error::file(&path, "read"))?.len();
            let first = end;
            end += length as usize;
            Ok(Piece { path, tokens: first..end })
        };
        Ok(Self::Streamed(files.into_iter().map(piece).collect::<Result<_>>()?))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Written { total, .. } => *total,
            Self::Streamed(pieces) => pieces.last().map_or(0, |piece| piece.tokens.end),
        }
    }

    /// Those of `range`, which must lie within all.
    ///
    /// # Errors
    /// When a file is no longer there, or became shorter.
    pub(crate) fn read(&self, range: Range<usize>) -> Result<Vec<u32>> {
        match self {
            Self::Written { rows, .. } => written(rows, range),
            Self::Streamed(pieces) => streamed(pieces, range),
        }
    }
}

fn written(rows: &TokenRows, range: Range<usize>) -> Result<Vec<u32>> {
    let mut tokens = Vec::with_capacity(range.len());
    for index in range.start / ROW..range.end.div_ceil(ROW) {
        let first = index * ROW;
        let row = rows.get(index)?.unwrap_or_default();
        let (from, to) = (range.start.max(first), range.end.min(first + ROW));
        tokens.extend_from_slice(&row[from - first..to - first]);
    }
    Ok(tokens)
}

fn streamed(pieces: &[Piece], range: Range<usize>) -> Result<Vec<u32>> {
    let mut bytes = vec![0; range.len()];
    let first = pieces.partition_point(|piece| piece.tokens.end <= range.start);
    for Piece { path, tokens } in pieces[first..].iter().take_while(|piece| piece.tokens.start < range.end) {
        let (from, to) = (tokens.start.max(range.start), tokens.end.min(range.end));
        let mut file = File::open(path).map_err(Error::file(path, "read"))?;
        file.seek(SeekFrom::Start((from - tokens.start) as u64)).map_err(Error::file(path, "read"))?;
        file.read_exact(&mut bytes[from - range.start..to - range.start])
            .map_err(Error::file(path, "read"))?;
    }
    Ok(bytes.into_iter().map(u32::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_piece_by_piece_is_read_across_rows() {
        for count in [0, 1, ROW - 1, ROW, 3 * ROW + 7] {
            let all: Vec<u32> = (0..count as u32).collect();
            let mut writer = TokensWriter::default();
            for piece in all.chunks(700) {
                writer.push(piece).unwrap();
            }
            let tokens = writer.finish().unwrap();
            assert_eq!(tokens.len(), count);
            for first in (0..count).step_by(311) {
                for last in [first, first + 1, (first + 64).min(count), count] {
                    assert_eq!(tokens.read(first..last).unwrap(), all[first..last]);
                }
            }
        }
    }

    #[test]
    fn what_is_read_from_files_is_what_they_hold_together() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["abc", "", "defgh", "i"]
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let path = folder.path().join(index.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let tokens = Tokens::of_files(files.clone()).unwrap();
        let all: Vec<u32> = b"abcdefghi".iter().copied().map(u32::from).collect();
        assert_eq!(tokens.len(), 9);
        for first in 0..9 {
            for last in first..=9 {
                assert_eq!(tokens.read(first..last).unwrap(), all[first..last]);
            }
        }
        std::fs::write(&files[2], "de").unwrap();
        assert!(tokens.read(2..7).is_err(), "the file became shorter");
        assert!(Tokens::of_files(vec![folder.path().join("absent")]).is_err());
    }
}
