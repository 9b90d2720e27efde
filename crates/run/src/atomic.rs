//! Files that are either old or new, never half written.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use ansatz_core::{Error, Result};

/// Replaces `path` by `bytes`: a temporary file beside it, synced, then renamed.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = parent(path);
    let mut file = readable(0o666).tempfile_in(folder).map_err(Error::file(path, "write"))?;
    file.write_all(bytes).map_err(Error::file(path, "write"))?;
    file.as_file().sync_all().map_err(Error::file(path, "write"))?;
    file.persist(path).map_err(|error| Error::file(path, "write")(error.error))?;
    sync_folder(folder)
}

/// Makes the folder `path` with what `fill` puts into it: a temporary folder beside it, every file synced,
/// then renamed. A folder already there is replaced.
///
/// # Errors
/// When the folder cannot be written, or `fill` fails.
pub fn write_folder_atomically(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = parent(path);
    fs::create_dir_all(folder).map_err(Error::file(folder, "create"))?;
    let temporary =
        readable(0o777).prefix(".partial-").tempdir_in(folder).map_err(Error::file(path, "create"))?;
    fill(temporary.path())?;
    for entry in fs::read_dir(temporary.path()).map_err(Error::file(path, "read"))? {
        let file = entry.map_err(Error::file(path, "read"))?.path();
        File::open(&file).and_then(|file| file.sync_all()).map_err(Error::file(file, "write"))?;
    }
    sync_folder(temporary.path())?;
    if path.exists() {
        fs::remove_dir_all(path).map_err(Error::file(path, "write"))?;
    }
    fs::rename(temporary.keep(), path).map_err(Error::file(path, "write"))?;
    sync_folder(folder)
}

/// Temporary files and folders are for their owner alone; these become lasting ones, with the permissions that
/// any other would have. The system takes away what the user's mask says.
#[cfg_attr(not(unix), allow(unused_variables))]
fn readable(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    builder
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename last through a power cut. Only Unix can sync a folder.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder, "write"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_any_file_lets_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        fs::write(folder.path().join("plain"), b"").unwrap();
        write_atomically(&folder.path().join("atomic"), b"").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }

    #[test]
    fn a_folder_that_fails_half_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let failed = write_folder_atomically(&path, |inside| {
            write_atomically(&inside.join("first"), b"1")?;
            Err(Error::Failed("half way".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write_folder_atomically(&path, |inside| write_atomically(&inside.join("old"), b"1")).unwrap();
        write_folder_atomically(&path, |inside| write_atomically(&inside.join("new"), b"2")).unwrap();
        assert!(path.join("new").exists() && !path.join("old").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
