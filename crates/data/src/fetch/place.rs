//! Files are written, checked and flushed in a temporary folder, then put in place by one rename.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use ansatz_core::{Error, Result};

use crate::catalogue::KnownFile;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Xz,
}

impl Packing {
    /// How `path` is packed where it is to become `name`.
    pub(super) fn of(path: &str, name: &str) -> Self {
        [(".gz", Self::Gzip), (".xz", Self::Xz)]
            .into_iter()
            .find(|(ending, _)| path.ends_with(ending) && !name.ends_with(ending))
            .map_or(Self::None, |(_, packing)| packing)
    }
}

/// A temporary folder inside the cache, hence on the same filesystem; removed when dropped.
pub(super) struct Staging {
    folder: TempDir,
}

impl Staging {
    pub(super) fn new(cache: &Path) -> Result<Self> {
        std::fs::create_dir_all(cache).map_err(Error::file(cache, "create"))?;
        let folder = tempfile::Builder::new()
            .prefix(".partial-")
            .tempdir_in(cache)
            .map_err(Error::file(cache, "create a folder in"))?;
        std::fs::create_dir(folder.path().join("set")).map_err(Error::file(folder.path(), "create"))?;
        Ok(Self { folder })
    }

    /// A folder for what a client downloads.
    pub(super) fn download_folder(&self) -> Result<PathBuf> {
        let folder = self.folder.path().join("download");
        std::fs::create_dir(&folder).map_err(Error::file(&folder, "create"))?;
        Ok(folder)
    }

    /// Writes one file from a reader, decompressing it if it is packed, and checks it. `origin` names it in
    /// errors.
    pub(super) fn add(
        &mut self,
        file: &KnownFile,
        reader: impl Read,
        packing: Packing,
        origin: &str,
    ) -> Result<()> {
        let path = self.folder.path().join("set").join(file.name);
        let mut target = File::create(&path).map_err(Error::file(&path, "create"))?;
        // One byte more than expected is enough to tell that it is too large: a file that unpacks to
        // terabytes must not fill the disk.
        let limit = file.bytes + 1;
        let reader = io::BufReader::new(reader);
        let copied = match packing {
            Packing::None => io::copy(&mut reader.take(limit), &mut target),
            Packing::Gzip => {
                io::copy(&mut flate2::read::MultiGzDecoder::new(reader).take(limit), &mut target)
            }
            Packing::Xz => io::copy(&mut lzma_rust2::XzReader::new(reader, true).take(limit), &mut target),
        };
        copied.map_err(Error::file(origin, "unpack"))?;
        target.sync_all().map_err(Error::file(&path, "write"))?;
        check(file, &path, origin)
    }

    /// Puts the files in place. What is there already is kept if it `is_right` (another process was
    /// faster) and replaced otherwise.
    pub(super) fn place(self, target: &Path, is_right: impl FnOnce(&Path) -> bool) -> Result<()> {
        let set = self.folder.path().join("set");
        sync_folder(&set)?;
        if target.exists() {
            if is_right(target) {
                return Ok(());
            }
            let old = self.folder.path().join("old");
            std::fs::rename(target, old).map_err(Error::file(target, "replace"))?;
        }
        std::fs::rename(&set, target).map_err(Error::file(target, "create"))?;
        target.parent().map_or(Ok(()), sync_folder)
    }
}

/// Compares size and checksum with the pinned ones; `origin` names the file in errors.
pub(super) fn check(file: &KnownFile, path: &Path, origin: &str) -> Result<()> {
    let reader = File::open(path).map_err(Error::file(path, "read"))?;
    let bytes = reader.metadata().map_err(Error::file(path, "read"))?.len();
    if bytes != file.bytes {
        let given = if bytes > file.bytes { "a larger file".to_owned() } else { format!("{bytes} bytes") };
        return Err(another(origin, &given, &format!("{} bytes", file.bytes)));
    }
    let digits = file.checksum.of(reader).map_err(Error::file(path, "read"))?;
    if digits == file.checksum.digits() {
        Ok(())
    } else {
        Err(another(origin, &digits, &file.checksum.to_string()))
    }
}

/// A file that is not the pinned one.
pub(super) fn another(origin: &str, given: &str, expected: &str) -> Error {
    Error::input(
        origin,
        format!("damaged, or another version: {given}"),
        expected,
        "fetch it again; if that does not help, the package has changed: report it",
    )
}

/// A rename survives a power cut only once the folder itself is flushed; Windows has no such call.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder).and_then(|handle| handle.sync_all()).map_err(Error::file(folder, "write"))
}
