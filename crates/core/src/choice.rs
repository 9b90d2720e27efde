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
