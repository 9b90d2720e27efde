//! The list of components that a program knows: ours, and those of anybody's own crate.

use schemars::{Schema, SchemaGenerator};

use crate::component::{AnyConfig, parse};
use crate::error::nearest;
use crate::{BackboneConfig, ChannelConfig, Component, ConfigError, DataModel, MixerConfig, TaskConfig};

/// A place in a config that a registered component can take.
pub trait Role: Sized + 'static {
    /// What users call it.
    const NAME: &'static str;
    /// The typed config of whatever takes the place.
    type Config: ?Sized + AnyConfig;
    /// Where this role's components are listed.
    fn catalogue(registry: &Registry) -> &Catalogue<Self>;
    /// Every value of a config of this role.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    fn settings(config: &Self::Config) -> Result<toml::Table, ConfigError> {
        config.settings()
    }
}

type Parse<R> = fn(toml::Table, &Registry) -> Result<Box<<R as Role>::Config>, ConfigError>;

/// One registered component.
pub struct Entry<R: Role> {
    /// The name in configs.
    pub kind: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Whom to cite; may be empty.
    pub citation: &'static str,
    parse: Parse<R>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl<R: Role> Entry<R> {
    fn new<C: Component>(parse: Parse<R>) -> Self {
        Self {
            kind: C::KIND,
            about: C::ABOUT,
            citation: C::CITATION,
            parse,
            schema: |generator| C::json_schema(generator),
        }
    }

    /// Reads, checks and completes settings.
    ///
    /// # Errors
    /// With the path inside the settings.
    pub fn parse(&self, settings: toml::Table, registry: &Registry) -> Result<Box<R::Config>, ConfigError> {
        (self.parse)(settings, registry)
    }

    /// The JSON Schema of its settings, with `kind`.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let mut schema = (self.schema)(generator);
        let root = schema.ensure_object();
        root.insert("description".to_owned(), self.about.into());
        if let Some(properties) =
            root.entry("properties").or_insert_with(|| serde_json::json!({})).as_object_mut()
        {
            properties.insert("kind".to_owned(), serde_json::json!({ "const": self.kind }));
        }
        root.insert("required".to_owned(), serde_json::json!(["kind"]));
        schema
    }
}

/// The components of one role, in the order they were registered.
pub struct Catalogue<R: Role> {
    entries: Vec<Entry<R>>,
}

impl<R: Role> Default for Catalogue<R> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<R: Role> Catalogue<R> {
    /// Adds an entry; one of the same name is replaced.
    fn add(&mut self, entry: Entry<R>) {
        self.entries.retain(|known| known.kind != entry.kind);
        self.entries.push(entry);
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry<R>] {
        &self.entries
    }

    /// The entry named `kind`.
    ///
    /// # Errors
    /// With the names that are known and the nearest of them.
    pub fn get(&self, kind: &str) -> Result<&Entry<R>, ConfigError> {
        self.entries.iter().find(|entry| entry.kind == kind).ok_or_else(|| {
            let known: Vec<&str> = self.entries.iter().map(|entry| entry.kind).collect();
            ConfigError::UnknownKind {
                path: "kind".to_owned(),
                role: R::NAME,
                given: kind.to_owned(),
                nearest: nearest(kind, known.iter().copied()),
                known: known.join(", "),
            }
        })
    }

    /// The JSON Schema of a choice of this role: any of the entries.
    fn schema(&self, generator: &mut SchemaGenerator) -> serde_json::Value {
        let options: Vec<Schema> = self.entries.iter().map(|entry| entry.schema(generator)).collect();
        serde_json::json!({ "oneOf": options })
    }
}

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident, $name:literal, $field:ident, $method:ident, $config:ident;)*) => {
        /// The roles a component can take.
        pub mod role {
            use super::*;
            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy)]
                pub struct $role;

                impl Role for $role {
                    const NAME: &'static str = $name;
                    type Config = dyn $config;
                    fn catalogue(registry: &Registry) -> &Catalogue<Self> {
                        &registry.$field
                    }
                }
            )*
        }

        /// Every component that a config may name.
        ///
        /// A program starts from a list (`ansatz::builtin()`) and adds its own:
        /// `ansatz::builtin().mixer::<Mine>()`.
        #[derive(Default)]
        pub struct Registry {
            $(
                $(#[$doc])*
                pub $field: Catalogue<role::$role>,
            )*
        }

        impl Registry {
            $(
                /// Adds a component of this role; one of the same name is replaced.
                pub fn $method<C: Component + $config>(mut self) -> Self {
                    self.$field.add(Entry::new::<C>(|settings, registry| {
                        let mut config: C = parse(settings)?;
                        config.complete(registry)?;
                        let config: Box<dyn $config> = Box::new(config);
                        Ok(config)
                    }));
                    self
                }
            )*

            /// The JSON Schemas of all roles, by name, to stand under `$defs` where a
            /// [`Choice`](crate::Choice) refers to them.
            pub fn definitions(&self, generator: &mut SchemaGenerator) -> serde_json::Map<String, serde_json::Value> {
                let mut map = serde_json::Map::new();
                $(map.insert($name.to_owned(), self.$field.schema(generator));)*
                map
            }
        }
    };
}

roles! {
    /// Sequence mixers: tokens learn of each other.
    Mixer, "mixer", mixers, mixer, MixerConfig;
    /// Channel mixers: each token for itself.
    Channel, "channel", channels, channel, ChannelConfig;
    /// Backbones: features in, features out.
    Backbone, "backbone", backbones, backbone, BackboneConfig;
    /// Data models: from a source to batches.
    Data, "data-model", data_models, data_model, DataModel;
    /// Tasks: head, loss and scores.
    Task, "task", tasks, task, TaskConfig;
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("mixers", &self.mixers.entries.iter().map(|entry| entry.kind).collect::<Vec<_>>())
            .field("backbones", &self.backbones.entries.iter().map(|entry| entry.kind).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::{SumConfig, registry};

    #[test]
    fn a_component_of_the_same_name_replaces_the_older() {
        let registry = registry().mixer::<SumConfig>();
        assert_eq!(registry.mixers.entries().len(), 1);
        assert_eq!(format!("{registry:?}"), "Registry { mixers: [\"sum\"], backbones: [\"pile\"], .. }");
    }

    #[test]
    fn definitions_describe_every_key_and_refer_to_each_other() {
        let mut generator = SchemaGenerator::default();
        let definitions = serde_json::Value::Object(registry().definitions(&mut generator));
        let sum = &definitions["mixer"]["oneOf"][0];
        assert_eq!(sum["description"], "a running sum");
        assert_eq!(sum["properties"]["kind"]["const"], "sum");
        assert_eq!(sum["properties"]["heads"]["description"], "At least 1.");
        assert_eq!(sum["properties"]["heads"]["default"], 2);
        assert_eq!(sum["required"], serde_json::json!(["kind"]));
        assert_eq!(sum["additionalProperties"], false);
        let pile = &definitions["backbone"]["oneOf"][0];
        assert_eq!(pile["properties"]["pattern"]["items"]["$ref"], "#/$defs/mixer");
        for role in ["mixer", "channel", "backbone", "data-model", "task"] {
            assert!(definitions[role]["oneOf"].is_array(), "{role}");
        }
    }
}
