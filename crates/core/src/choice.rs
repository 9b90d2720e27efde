//! The choice of a component inside a config: `kind = "attention"` and its settings.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{ConfigError, Registry};

pub use crate::registry::{Role, role};

/// A component of role `R` chosen by name, with its settings.
pub struct Choice<R> {
    /// The registered name.
    pub kind: String,
    /// The settings, a patch over the component's defaults.
    pub settings: toml::Table,
    role: PhantomData<fn() -> R>,
}

impl<R: Role> Choice<R> {
    /// The component `kind` with default settings.
    pub fn of(kind: &str) -> Self {
        Self::with(kind, toml::Table::new())
    }

    /// The component `kind` with some settings.
    pub fn with(kind: &str, settings: toml::Table) -> Self {
        Self { kind: kind.to_owned(), settings, role: PhantomData }
    }

    /// Chooses a component by its typed config.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    pub fn typed<C: crate::Component>(config: &C) -> Result<Self, ConfigError> {
        Ok(Self::with(C::KIND, crate::component::AnyConfig::settings(config)?))
    }

    /// The typed config, checked; errors carry `path`.
    ///
    /// # Errors
    /// When the name is not registered or the settings do not fit.
    pub fn resolve(&self, path: &str, registry: &Registry) -> Result<Box<R::Config>, ConfigError> {
        let entry = R::catalogue(registry).get(&self.kind).map_err(|error| error.under(path))?;
        entry.parse(self.settings.clone(), registry).map_err(|error| error.under(path))
    }

    /// Fills in every setting that was left to its default.
    ///
    /// # Errors
    /// Like [`Choice::resolve`].
    pub fn complete(&mut self, path: &str, registry: &Registry) -> Result<(), ConfigError> {
        self.settings = R::settings(&*self.resolve(path, registry)?)?;
        Ok(())
    }
}

impl<R> Clone for Choice<R> {
    fn clone(&self) -> Self {
        Self { kind: self.kind.clone(), settings: self.settings.clone(), role: PhantomData }
    }
}

impl<R> PartialEq for Choice<R> {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings == other.settings
    }
}

impl<R> std::fmt::Debug for Choice<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.kind, self.settings)
    }
}

impl<R> Serialize for Choice<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = toml::Table::new();
        table.insert("kind".to_owned(), toml::Value::String(self.kind.clone()));
        table.extend(self.settings.clone());
        table.serialize(serializer)
    }
}

impl<'de, R> Deserialize<'de> for Choice<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = toml::Table::deserialize(deserializer)?;
        let kind = match settings.remove("kind") {
            Some(toml::Value::String(kind)) => kind,
            Some(other) => {
                return Err(de::Error::custom(format!(
                    "`kind` is {other}, expected a name such as kind = \"…\""
                )));
            }
            None => {
                return Err(de::Error::custom(
                    "the table has no `kind`, expected a name such as kind = \"…\"",
                ));
            }
        };
        Ok(Self { kind, settings, role: PhantomData })
    }
}

impl<R: Role> JsonSchema for Choice<R> {
    fn schema_name() -> Cow<'static, str> {
        R::NAME.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "$ref": format!("#/$defs/{}", R::NAME) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::registry;

    fn pile(settings: &str) -> Choice<role::Backbone> {
        Choice::with("pile", settings.parse().expect("valid TOML"))
    }

    fn error(settings: &str) -> ConfigError {
        pile(settings).resolve("backbone", &registry()).unwrap_err()
    }

    #[test]
    fn a_misspelt_key_inside_a_list_is_named_with_its_whole_path() {
        let expected = ConfigError::UnknownKey {
            path: "backbone.pattern[1].heds".to_owned(),
            known: "heads, scale".to_owned(),
            nearest: Some("heads".to_owned()),
        };
        assert_eq!(error("pattern = [{ kind = \"sum\" }, { kind = \"sum\", heds = 3 }]"), expected);
    }

    #[test]
    fn a_value_out_of_range_or_of_another_type_is_named_with_its_whole_path() {
        for settings in [
            "pattern = [{ kind = \"sum\", heads = 0 }]",
            "pattern = [{ kind = \"sum\", heads = true }]",
            "pattern = [{ kind = \"sum\", heads = -1 }]",
        ] {
            let ConfigError::Value { path, .. } = error(settings) else { unreachable!() };
            assert_eq!(path, "backbone.pattern[0].heads");
        }
    }

    #[test]
    fn an_unknown_kind_lists_the_known_ones() {
        let expected = ConfigError::UnknownKind {
            path: "backbone.pattern[0].kind".to_owned(),
            role: "mixer",
            given: "sun".to_owned(),
            known: "sum".to_owned(),
            nearest: Some("sum".to_owned()),
        };
        assert_eq!(error("pattern = [{ kind = \"sun\" }]"), expected);
    }

    #[test]
    fn completing_writes_out_every_nested_value() {
        let mut choice = pile("pattern = [{ kind = \"sum\", heads = 3 }]");
        choice.complete("backbone", &registry()).unwrap();
        let expected =
            "kind = \"pile\"\n\n[[pattern]]\nkind = \"sum\"\nheads = 3\nscale = 0.5\n\n[inner]\nrate = 0.0\n";
        assert_eq!(toml::to_string(&choice).unwrap(), expected);
        let again: Choice<role::Backbone> = toml::from_str(expected).unwrap();
        assert_eq!(again, choice);
    }
}
