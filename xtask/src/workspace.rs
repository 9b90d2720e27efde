//! The workspace as cargo sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Why a chore failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started.
    #[error("cannot run `{program}`: {source}")]
    Start {
        /// Its name.
        program: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed: {message}")]
    Failed {
        /// Its name.
        program: String,
        /// What it said.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Something is not as it should be.
    #[error("{0}")]
    Wrong(String),
}

/// One crate of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its package name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Packages it depends on, whatever the kind of dependency.
    pub dependencies: Vec<Dependency>,
    /// Names of its cargo features with what they turn on.
    pub features: Vec<(String, Vec<String>)>,
}

/// One dependency of a crate.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// Package name.
    pub name: String,
    /// Whether only tests need it.
    pub development: bool,
    /// The features asked for.
    pub features: Vec<String>,
}

/// The root folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Every crate of the workspace.
pub(crate) fn members() -> Result<Vec<Member>, Error> {
    let text = capture(Command::new("cargo").args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| Error::Wrong(format!("cargo metadata: {error}")))?;
    Ok(list(&metadata["packages"]).map(member).collect())
}

fn member(package: &Value) -> Member {
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let dependencies = list(&package["dependencies"]).map(|dependency| Dependency {
        name: text(&dependency["name"]),
        development: dependency["kind"] == "dev",
        features: list(&dependency["features"]).map(text).collect(),
    });
    let features = package["features"].as_object().into_iter().flatten();
    Member {
        name: text(&package["name"]),
        folder: manifest.parent().unwrap_or(&manifest).to_owned(),
        dependencies: dependencies.collect(),
        features: features.map(|(name, on)| (name.clone(), list(on).map(text).collect())).collect(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Runs a program in the root folder and gives what it prints.
pub(crate) fn capture(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(root())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|source| Error::Start { program: program.clone(), source })?;
    if !output.status.success() {
        return Err(Error::Failed { program, message: output.status.to_string() });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Removes a folder, if it is there.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
    }
    Ok(())
}

/// What stands in a JSON file.
pub(crate) fn read_json(path: &Path) -> Result<Value, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|error| Error::Wrong(format!("{}: {error}", path.display())))
}

/// Every Rust source of a folder, with its text.
pub(crate) fn sources(folder: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut found = Vec::new();
    let entries =
        std::fs::read_dir(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| Error::File { path: path.clone(), source })?;
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}
