//! The tokens of a text, in memory or read from its files when they are asked for.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use ansatz_core::{Error, Result};

/// The tokens of a text, one behind the other.
pub(crate) enum Tokens {
    /// All of them.
    Held(Vec<u32>),
    /// Bytes, which are read from files when they are asked for.
    Streamed(Vec<Piece>),
}

/// A file, and which tokens of the whole it holds.
pub(crate) struct Piece {
    path: PathBuf,
    tokens: Range<usize>,
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
            Self::Held(tokens) => tokens.len(),
            Self::Streamed(pieces) => pieces.last().map_or(0, |piece| piece.tokens.end),
        }
    }

    /// Those of `range`, which must lie within all.
    ///
    /// # Errors
    /// When a file is no longer there, or became shorter.
    pub(crate) fn read(&self, range: Range<usize>) -> Result<Cow<'_, [u32]>> {
        let pieces = match self {
            Self::Held(tokens) => return Ok(Cow::Borrowed(&tokens[range])),
            Self::Streamed(pieces) => pieces,
        };
        let mut bytes = vec![0; range.len()];
        let first = pieces.partition_point(|piece| piece.tokens.end <= range.start);
        for Piece { path, tokens } in
            pieces[first..].iter().take_while(|piece| piece.tokens.start < range.end)
        {
            let (from, to) = (tokens.start.max(range.start), tokens.end.min(range.end));
            let mut file = File::open(path).map_err(Error::file(path, "read"))?;
            file.seek(SeekFrom::Start((from - tokens.start) as u64)).map_err(Error::file(path, "read"))?;
            file.read_exact(&mut bytes[from - range.start..to - range.start])
                .map_err(Error::file(path, "read"))?;
        }
        Ok(Cow::Owned(bytes.into_iter().map(u32::from).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let held = Tokens::Held(b"abcdefghi".iter().copied().map(u32::from).collect());
        assert_eq!((tokens.len(), held.len()), (9, 9));
        for first in 0..9 {
            for last in first..=9 {
                assert_eq!(tokens.read(first..last).unwrap(), held.read(first..last).unwrap());
            }
        }
        std::fs::write(&files[2], "de").unwrap();
        assert!(tokens.read(2..7).is_err(), "the file became shorter");
        assert!(Tokens::of_files(vec![folder.path().join("absent")]).is_err());
    }
}
