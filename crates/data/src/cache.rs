//! The folder that fetched sets are kept in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};

use crate::catalogue::{KnownSet, Source};

/// The folder that holds one folder per fetched set.
///
/// Nothing in it is precious: each set can be fetched again, and its checksums say whether it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// A cache at a folder of the caller's choice; the folder is created when the first set is fetched.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The user's cache: `$ANSATZ_DATA`, else `$XDG_CACHE_HOME/ansatz`, else `~/.cache/ansatz`.
    ///
    /// # Errors
    ///
    /// When none of these variables (and not `HOME` either) is set.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name)).ok_or_else(|| {
            Error::input(
                "the folder for data",
                "none of ANSATZ_DATA, XDG_CACHE_HOME and HOME is set",
                "one of them, naming a folder",
                "set ANSATZ_DATA to a folder for fetched sets",
            )
        })
    }

    /// An empty variable counts as unset, as the XDG base directory specification wants it.
    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("ANSATZ_DATA")
            .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("ansatz")))
            .or_else(|| set("HOME").map(|folder| folder.join(".cache").join("ansatz")))
            .map(Self::at)
    }

    /// The folder of the cache itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one set, whether it is there or not.
    pub fn folder(&self, set: &KnownSet) -> PathBuf {
        self.root.join(set.name)
    }

    /// Whether every file of the set is there at its full size. Contents are checked by
    /// [`crate::get`], not at every start of a run.
    pub fn holds(&self, set: &KnownSet) -> bool {
        let folder = self.folder(set);
        set.files.iter().all(|file| {
            std::fs::metadata(folder.join(file.name))
                .is_ok_and(|found| found.is_file() && found.len() == file.bytes)
        })
    }

    /// The folder of a set that is there.
    ///
    /// # Errors
    ///
    /// When it is not there, naming the command that fetches it.
    pub fn locate(&self, set: &KnownSet) -> Result<PathBuf> {
        let folder = self.folder(set);
        if matches!(set.source, Source::Embedded) || self.holds(set) {
            Ok(folder)
        } else {
            Err(Error::input(
                format!("set `{}`", set.name),
                format!("not there, or not whole, in {}", folder.display()),
                format!("{} files of {} bytes in all", set.files.len(), set.bytes()),
                format!("run `ansatz data get {}`", set.name),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let found = Cache::from_variables(|name| {
            variables.iter().find(|(given, _)| *given == name).map(|(_, value)| OsString::from(value))
        });
        found.map(|cache| cache.root().to_path_buf())
    }

    #[test]
    fn the_most_specific_variable_wins() {
        let all = [("ANSATZ_DATA", "/a"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(with(&all), Some("/a".into()));
        assert_eq!(with(&all[1..]), Some("/x/ansatz".into()));
        assert_eq!(with(&all[2..]), Some("/h/.cache/ansatz".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        assert_eq!(with(&[("ANSATZ_DATA", ""), ("HOME", "/h")]), Some("/h/.cache/ansatz".into()));
    }

    #[test]
    fn a_missing_set_names_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let set = crate::catalogue::find("mnist").unwrap();
        let message = Cache::at(folder.path()).locate(set).unwrap_err().to_string();
        assert!(message.contains("ansatz data get mnist"), "{message}");
    }
}
