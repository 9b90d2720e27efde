//! Where text comes from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ansatz_core::{ConfigError, Error, Places, Result};
use ansatz_data::{Cache, Purpose, catalogue, stream};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes that are read at once.
const PIECE: usize = 1 << 22;

/// Where text comes from: `source = "shakespeare"`, or `source = { files = ["notes.txt", "letters"] }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The plays and poems of Shakespeare, 5,057,198 bytes: the files in byte order of their names, one behind the
    /// other.
    #[default]
    Shakespeare,
    /// Text files, and the `.txt` files of folders in byte order of their names, one behind the other.
    Files(Vec<PathBuf>),
    /// So many bytes drawn evenly and always the same, for measuring speed: nothing can be learned from them.
    Noise(usize),
}

impl Source {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Files(paths) if paths.is_empty() => {
                Err(ConfigError::value("source.files", "an empty list", "at least one file or folder"))
            }
            Self::Noise(0) => Err(ConfigError::value("source.noise", "0 bytes", "at least one byte")),
            _ => Ok(()),
        }
    }

    /// Gives `each` all bytes, one file behind the other: a few mebibytes at a time, cut behind the end of a line where
    /// there is one.
    ///
    /// # Errors
    /// When the set is not there yet, a file cannot be read, or what `each` says.
    pub(crate) fn read(&self, places: &Places, each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.read_by(PIECE, places, each)
    }

    /// The same by pieces of at least `size` bytes.
    fn read_by(&self, size: usize, places: &Places, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Self::Noise(bytes) = self {
            let random = stream(0, Purpose::Source, 0, 0);
            return each(&random.random_iter().take(*bytes).collect::<Vec<u8>>());
        }
        let mut held: Vec<u8> = Vec::new();
        for path in self.files(places)? {
            let mut file = File::open(&path).map_err(Error::file(&path, "read"))?;
            loop {
                let read = (&mut file).take(size as u64).read_to_end(&mut held);
                if read.map_err(Error::file(&path, "read"))? == 0 {
                    break;
                }
                let end = held.iter().rposition(|byte| *byte == b'\n');
                if let (Some(end), true) = (end, held.len() >= size) {
                    each(&held[..=end])?;
                    held.drain(..=end);
                }
            }
        }
        if held.is_empty() { Ok(()) } else { each(&held) }
    }

    /// The files, in the order in which they are read; none where the text is made up.
    ///
    /// # Errors
    /// When the set is not there yet, or a folder cannot be read.
    pub(crate) fn files(&self, places: &Places) -> Result<Vec<PathBuf>> {
        match self {
            Self::Noise(_) => Ok(Vec::new()),
            Self::Shakespeare => known("shakespeare", places),
            Self::Files(paths) => {
                let nested: Result<Vec<_>> = paths.iter().map(|path| text_files(path)).collect();
                Ok(nested?.into_iter().flatten().collect())
            }
        }
    }
}

/// The files of a set of the catalogue, in byte order of their names.
fn known(name: &str, places: &Places) -> Result<Vec<PathBuf>> {
    let set = catalogue::find(name)?;
    let folder = Cache::at(&places.data).locate(set)?;
    let mut names: Vec<&str> = set.files.iter().map(|file| file.name).collect();
    names.sort_unstable();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// `path` itself, or the `.txt` files inside it, sorted.
///
/// # Errors
/// When there is nothing.
pub(crate) fn text_files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let nothing = |problem: &str| {
        Error::input(path.display(), problem, "a text file, or a folder with .txt files", "check the path")
    };
    if !path.is_dir() {
        return Err(nothing("there is no such file or folder"));
    }
    let entries = std::fs::read_dir(path).map_err(Error::file(path, "read"))?;
    let mut files = entries
        .map(|entry| Ok(entry.map_err(Error::file(path, "read"))?.path()))
        .filter(|path: &Result<PathBuf>| {
            path.as_ref().map_or(true, |path| path.extension().is_some_and(|ending| ending == "txt"))
        })
        .collect::<Result<Vec<_>>>()?;
    if files.is_empty() {
        return Err(nothing("the folder holds no .txt files"));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(source: &Source, places: &Places) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        source.read(places, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    #[test]
    fn files_of_a_folder_come_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("b.txt", "second"), ("a.txt", "first "), ("c.md", "neither")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let places = Places { data: folder.path().to_owned() };
        let read = |path: &Path| whole(&Source::Files(vec![path.to_owned()]), &places);
        assert_eq!(read(folder.path()).unwrap(), b"first second");
        assert_eq!(read(&folder.path().join("c.md")).unwrap(), b"neither");
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("no such file"));
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path()).unwrap_err().to_string().contains("no .txt files"));
    }

    #[test]
    fn pieces_end_behind_lines_and_hold_everything() {
        let folder = tempfile::tempdir().unwrap();
        let text = ["a\n", "long line\n", "\n", "a line longer than two pieces\n", "the end"].concat();
        let (one, other) = text.split_at(9);
        for (name, text) in [("a.txt", one), ("b.txt", other)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let places = Places { data: folder.path().to_owned() };
        for size in [1, 4, 10, 1000] {
            let mut pieces: Vec<Vec<u8>> = Vec::new();
            let source = Source::Files(vec![folder.path().to_owned()]);
            source
                .read_by(size, &places, |piece| {
                    pieces.push(piece.to_vec());
                    Ok(())
                })
                .unwrap();
            assert_eq!(pieces.concat(), text.as_bytes());
            let (_, whole) = pieces.split_last().unwrap();
            assert!(whole.iter().all(|piece| piece.ends_with(b"\n")), "{size}: {pieces:?}");
            assert_eq!(whole.is_empty(), size == 1000);
        }
    }

    #[test]
    fn noise_is_always_the_same() {
        let places = Places { data: PathBuf::new() };
        let short = whole(&Source::Noise(100), &places).unwrap();
        let long = whole(&Source::Noise(1000), &places).unwrap();
        assert_eq!((short.len(), long.len()), (100, 1000));
        assert_eq!(short, long[..100]);
        let distinct: std::collections::HashSet<_> = long.iter().collect();
        assert!(distinct.len() > 200, "{} distinct bytes", distinct.len());
    }

    #[test]
    fn a_set_that_is_not_there_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { data: folder.path().to_owned() };
        let message = whole(&Source::Shakespeare, &places).unwrap_err().to_string();
        assert!(message.contains("ansatz data get shakespeare"), "{message}");
    }
}
