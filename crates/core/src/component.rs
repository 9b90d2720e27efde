//! Typed configs: what every component's config has in common, and how one is read.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::nearest;
use crate::{ConfigError, Registry};

/// A component's typed config: a plain serde struct with defaults, of which a config file is a patch.
///
/// Declare it with `#[serde(default, deny_unknown_fields)]`, so that a misspelt key is an error.
pub trait Component:
    Serialize + DeserializeOwned + JsonSchema + Default + Clone + std::fmt::Debug + Send + Sync + 'static
{
    /// The name in configs, in kebab case: `kind = "attention"`.
    const KIND: &'static str;
    /// One sentence for `ansatz list`.
    const ABOUT: &'static str;
    /// Authors, title, year and where to read it; empty where there is nothing to cite.
    const CITATION: &'static str;

    /// Checks the ranges of values, and completes the choices of components inside this one.
    ///
    /// # Errors
    /// With the path, the problem and what was expected.
    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// The object-safe part of [`Component`].
pub trait AnyConfig: std::fmt::Debug + Send + Sync {
    /// Every value, as it would stand in a config file.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    fn settings(&self) -> Result<toml::Table, ConfigError>;
}

impl<C: Component> AnyConfig for C {
    fn settings(&self) -> Result<toml::Table, ConfigError> {
        toml::Table::try_from(self).map_err(|error| ConfigError::Syntax(error.to_string()))
    }
}

/// Reads a config from TOML; values that are not given keep their defaults.
///
/// # Errors
/// With the dotted path of the key at fault and, for an unknown key, the nearest known one.
pub fn parse<T: DeserializeOwned>(table: toml::Table) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        explain(path, error.inner().message())
    })
}

/// Turns serde's words into ours. Serde quotes names in backticks: the unknown one first, then the known.
fn explain(path: String, message: &str) -> ConfigError {
    let message = message.trim();
    let Some(rest) = message.strip_prefix("unknown field ") else {
        let (problem, expected) =
            message.split_once(", expected ").unwrap_or((message, "a value as in `ansatz config schema`"));
        return ConfigError::value(path, problem, plain(expected));
    };
    let mut names = rest.split('`').skip(1).step_by(2);
    let given = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let path = if path.rsplit(['.', ']']).next() == Some(given) {
        path
    } else if path.is_empty() {
        given.to_owned()
    } else {
        format!("{path}.{given}")
    };
    ConfigError::UnknownKey {
        path,
        nearest: nearest(given, known.iter().copied()),
        known: if known.is_empty() { "no keys at all".to_owned() } else { known.join(", ") },
    }
}

/// What a Rust type is to somebody who writes a config.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list, [ … ]",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::PileConfig;

    fn error(text: &str) -> ConfigError {
        parse::<PileConfig>(text.parse().expect("valid TOML")).unwrap_err()
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        let config: PileConfig = parse("inner.rate = 2.5".parse().unwrap()).unwrap();
        assert_eq!(config.inner.rate, 2.5);
        assert!(config.pattern.is_empty());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_path_and_the_nearest_key() {
        let top = ConfigError::UnknownKey {
            path: "patern".to_owned(),
            known: "pattern, inner".to_owned(),
            nearest: Some("pattern".to_owned()),
        };
        assert_eq!(error("patern = []"), top);
        let inside = ConfigError::UnknownKey {
            path: "inner.rat".to_owned(),
            known: "rate".to_owned(),
            nearest: Some("rate".to_owned()),
        };
        assert_eq!(error("inner.rat = 1.0"), inside);
        // A table whose name ends in the unknown key.
        let ConfigError::UnknownKey { path, nearest, .. } = error("inner.inner = 1.0") else {
            unreachable!()
        };
        assert_eq!((path.as_str(), nearest), ("inner.inner", None));
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        let ConfigError::Value { path, problem, expected } = error("inner.rate = \"fast\"") else {
            unreachable!()
        };
        assert_eq!(path, "inner.rate");
        assert_eq!(problem, "invalid type: string \"fast\"");
        assert_eq!(expected, "a number");
    }

    #[test]
    fn a_choice_without_a_kind_is_named_with_its_place() {
        let ConfigError::Value { path, problem, .. } = error("[[pattern]]\nheads = 2") else {
            unreachable!()
        };
        assert_eq!(path, "pattern[0]");
        assert!(problem.contains("no `kind`"), "{problem}");
    }
}
