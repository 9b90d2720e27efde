//! Settings with a `kind`, read so that errors name the key at fault.

use ansatz_core::ConfigError;
use schemars::Schema;

/// Takes `kind` out of `table`; `default` if there is none.
pub(crate) fn take_kind(table: &mut toml::Table, default: &str) -> Result<String, ConfigError> {
    match table.remove("kind") {
        None => Ok(default.to_owned()),
        Some(toml::Value::String(kind)) => Ok(kind),
        Some(other) => Err(ConfigError::value("kind", format!("{other} is not a name"), "a name in quotes")),
    }
}

/// A `kind` that there is not.
pub(crate) fn unknown_kind(role: &'static str, given: String, known: &[&str]) -> ConfigError {
    ConfigError::UnknownKind {
        path: "kind".to_owned(),
        role,
        nearest: ansatz_core::nearest(&given, known.iter().copied()),
        given,
        known: known.join(", "),
    }
}

/// Says in the schema what [`take_kind`] does: `kind` may be left out.
pub(crate) fn kind_is_optional(schema: &mut Schema) {
    let object = schema.ensure_object();
    let Some(serde_json::Value::Array(mut options)) = object.remove("oneOf") else { return };
    for option in options.iter_mut().filter_map(serde_json::Value::as_object_mut) {
        option.remove("required");
    }
    object.insert("anyOf".to_owned(), options.into());
}

/// An enum of settings: one struct for each `kind`, the first the default.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $name:ident, $role:literal: $($(#[$doc:meta])* $kind:literal => $variant:ident($settings:ty),)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(tag = "kind")]
        #[schemars(inline, transform = crate::choice::kind_is_optional)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $kind)] $variant($settings),)*
        }

        impl $name {
            const KINDS: &'static [&'static str] = &[$($kind),*];

            /// The name in configs.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            /// Reads the settings; without `kind` those of the first.
            ///
            /// # Errors
            /// With the path inside the settings.
            pub(crate) fn from_table(mut table: toml::Table) -> Result<Self, ansatz_core::ConfigError> {
                match crate::choice::take_kind(&mut table, Self::KINDS[0])?.as_str() {
                    $($kind => Ok(Self::$variant(ansatz_core::parse(table)?)),)*
                    other => Err(crate::choice::unknown_kind($role, other.to_owned(), Self::KINDS)),
                }
            }

            /// Checks the ranges of the settings.
            ///
            /// # Errors
            /// With the path inside the settings.
            pub(crate) fn check(&self) -> Result<(), ansatz_core::ConfigError> {
                match self {
                    $(Self::$variant(settings) => settings.check(),)*
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let table = toml::Table::deserialize(deserializer)?;
                Self::from_table(table).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use choice;
