//! What can go wrong, said so that the reader knows what to do next.

use std::path::PathBuf;

/// The result of everything that reads, builds or runs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config says something that cannot be done.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An input (file, folder, name, argument) is not what was expected.
    #[error("{input}: {problem}\n  expected: {expected}\n  to do: {remedy}")]
    Input {
        /// What was given: a path, a name, an argument.
        input: String,
        /// What is wrong with it.
        problem: String,
        /// What would have been right.
        expected: String,
        /// What to do now.
        remedy: String,
    },
    /// The operating system refused a file or folder.
    #[error("{path}: cannot {action}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// Something failed while running, though the input was right.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// An input that is not what was expected.
    pub fn input(
        input: impl std::fmt::Display,
        problem: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Input {
            input: input.to_string(),
            problem: problem.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }

    /// Wraps a file error with the path and what was tried; for `map_err`.
    pub fn file(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, action, source }
    }

    /// The same error; if it is about a config, its path is put under `prefix`.
    pub fn under(self, prefix: &str) -> Self {
        match self {
            Self::Config(error) => Self::Config(error.under(prefix)),
            other => other,
        }
    }

    /// Whether the input or usage was wrong (exit code 2) rather than the run (exit code 1).
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) | Self::Input { .. } => true,
            Self::File { source, action, .. } => {
                *action == "read" && source.kind() == std::io::ErrorKind::NotFound
            }
            Self::Failed(_) => false,
        }
    }
}

/// A config value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key that no component reads.
    #[error("config: unknown key `{path}`\n  expected: one of {known}\n  to do: {}", remedy(nearest))]
    UnknownKey {
        /// Dotted path of the key.
        path: String,
        /// The keys that are known there.
        known: String,
        /// The nearest known key, if one is near.
        nearest: Option<String>,
    },
    /// A component name that is not registered.
    #[error(
        "config: `{path}` names the unknown {role} `{given}`\n  expected: one of {known}\n  to do: {}",
        remedy(nearest)
    )]
    UnknownKind {
        /// Dotted path of the component.
        path: String,
        /// `mixer`, `backbone`, …
        role: &'static str,
        /// What was named.
        given: String,
        /// What is registered.
        known: String,
        /// The nearest registered name, if one is near.
        nearest: Option<String>,
    },
    /// A value of the wrong type or outside its range.
    #[error(
        "config: `{path}`: {problem}\n  expected: {expected}\n  to do: change `{path}` in the config, or pass --set {path}=VALUE"
    )]
    Value {
        /// Dotted path of the value.
        path: String,
        /// What is wrong with it.
        problem: String,
        /// What would have been right.
        expected: String,
    },
    /// Text that is not TOML.
    #[error("config: not valid TOML: {0}")]
    Syntax(String),
}

fn remedy(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => "remove it, or choose from the list (`ansatz config schema` describes every key)".to_owned(),
    }
}

impl ConfigError {
    /// A value of the wrong type or outside its range.
    pub fn value(path: impl Into<String>, problem: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Value { path: path.into(), problem: problem.into(), expected: expected.into() }
    }

    /// The same error, its path put under `prefix`.
    pub fn under(mut self, prefix: &str) -> Self {
        match &mut self {
            Self::UnknownKey { path, .. } | Self::UnknownKind { path, .. } | Self::Value { path, .. } => {
                *path = match (prefix.is_empty(), path.is_empty()) {
                    (true, _) => std::mem::take(path),
                    (_, true) => prefix.to_owned(),
                    _ if path.starts_with('[') => format!("{prefix}{path}"),
                    _ => format!("{prefix}.{path}"),
                };
            }
            Self::Syntax(_) => {}
        }
        self
    }
}

/// The known name nearest to `given`, if one is near enough to be meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_keys_with_dots_and_places_without() {
        let path = |path: &str, prefix: &str| {
            let ConfigError::Value { path, .. } = ConfigError::value(path, "", "").under(prefix) else {
                unreachable!()
            };
            path
        };
        assert_eq!(path("heads", "mixer"), "mixer.heads");
        assert_eq!(path("[0].heads", "pattern"), "pattern[0].heads");
        assert_eq!(path("", "pattern"), "pattern");
        assert_eq!(path("heads", ""), "heads");
    }

    #[test]
    fn every_message_says_what_was_given_what_was_expected_and_what_to_do() {
        let unknown = ConfigError::UnknownKey {
            path: "heds".to_owned(),
            known: "heads".to_owned(),
            nearest: nearest("heds", ["heads", "scale"]),
        };
        assert_eq!(
            unknown.to_string(),
            "config: unknown key `heds`\n  expected: one of heads\n  to do: did you mean `heads`?"
        );
        let value = Error::from(ConfigError::value("heads", "0 heads", "at least 1")).under("mixer");
        assert_eq!(
            value.to_string(),
            "config: `mixer.heads`: 0 heads\n  expected: at least 1\n  to do: change `mixer.heads` in the \
             config, or pass --set mixer.heads=VALUE"
        );
        assert!(value.is_usage());
        assert!(!Error::Failed("the device".to_owned()).is_usage());
    }

    #[test]
    fn only_near_names_are_offered() {
        assert_eq!(nearest("zzz", ["heads", "scale"]), None);
        assert_eq!(nearest("sacle", ["heads", "scale"]), Some("scale".to_owned()));
    }
}
