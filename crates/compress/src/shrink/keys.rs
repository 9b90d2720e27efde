//! Whole numbers of a config, by their paths.

use std::collections::BTreeSet;

use ansatz_core::{Catalogue, ConfigError, Error, Registry, Result, Role};
use ansatz_run::Experiment;
use schemars::SchemaGenerator;

use super::site::{Site, Whole, same};
use super::tensors::Tensors;

/// The number at `key`, such as `backbone.stages[0].widths[1]`; `None` where there is nothing.
///
/// # Errors
/// When there is something else.
pub(super) fn number(experiment: &Experiment, key: &str) -> Result<Option<usize>> {
    let table = table(experiment)?;
    let path = key.replace('[', ".").replace(']', "");
    let mut parts = path.split('.');
    let first = parts.next().and_then(|part| table.get(part));
    let found = first.and_then(|first| {
        parts.try_fold(first, |at, part| match at {
            toml::Value::Array(list) => part.parse::<usize>().ok().and_then(|index| list.get(index)),
            other => other.get(part),
        })
    });
    match found {
        None => Ok(None),
        Some(toml::Value::Integer(value)) if *value > 0 => Ok(usize::try_from(*value).ok()),
        Some(other) => Err(refused(key, format!("{} is not a number of units", shortened(other)))),
    }
}

fn table(experiment: &Experiment) -> Result<toml::Table> {
    let text = experiment.render()?;
    text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax(error.to_string()).into())
}

fn shortened(value: &toml::Value) -> &'static str {
    match value {
        toml::Value::Table(_) => "a table",
        toml::Value::Array(_) => "a list",
        _ => "what stands there",
    }
}

/// The number at `key` of `whole`. One that the config leaves out is written into it: the size of a weight with which
/// the same network comes out, and with another number another one.
///
/// # Errors
/// When no component reads the key, or no number leaves the network as it is.
pub(super) fn number_of(site: &Site<'_>, whole: &mut Whole, key: &str) -> Result<usize> {
    if let Some(value) = number(&whole.experiment, key)? {
        return Ok(value);
    }
    let sizes: BTreeSet<usize> =
        whole.tensors.iter().flat_map(|(_, data)| data.shape().iter().copied().collect::<Vec<_>>()).collect();
    let mut why = "no other one makes another".to_owned();
    for size in sizes {
        match given(site, whole, key, size) {
            Ok(experiment) => {
                let other = site.changed(&experiment, &[(key.to_owned(), 2 * size)])?;
                let other = site.build(&other).map(|model| Tensors::read(&model));
                if other.is_ok_and(|other| !other.alike(&whole.tensors)) {
                    whole.experiment = experiment;
                    return Ok(size);
                }
            }
            Err(Error::Config(ConfigError::UnknownKey { known, nearest, .. })) => {
                let remedy = nearest
                    .map_or_else(|| "choose from these".to_owned(), |near| format!("did you mean `{near}`?"));
                let problem = "the config has no such key";
                return Err(Error::input(format!("`{key}`"), problem, format!("one of {known}"), remedy));
            }
            Err(error) => why = first_line(&error),
        }
    }
    Err(refused(
        key,
        format!("the config leaves it out, and no number there makes the network that it is ({why})"),
    ))
}

/// A key that names nothing that can be cut.
pub(super) fn refused(key: &str, problem: String) -> Error {
    let expected = "channels, neurons, heads or blocks inside the network, which nothing else depends on";
    Error::input(format!("`{key}`"), problem, expected, "leave it out, or name another number of the config")
}

/// What is wrong, without what to do.
pub(super) fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// The experiment of `whole` with `value` at `key`.
///
/// # Errors
/// When that is another network.
pub(super) fn given(site: &Site<'_>, whole: &Whole, key: &str, value: usize) -> Result<Experiment> {
    let experiment = site.changed(&whole.experiment, &[(key.to_owned(), value)])?;
    let model = site.build(&experiment)?;
    let alike = Tensors::read(&model).alike(&whole.tensors);
    if alike && same(&whole.outputs, &site.said(&experiment, &whole.tensors)?) {
        return Ok(experiment);
    }
    let expected = "the number with which the network stays as it is";
    let remedy = "give that number, or cut what can be cut without it";
    Err(Error::input(format!("`{key}`"), format!("{value} makes another network"), expected, remedy))
}

/// The paths of all whole numbers of the backbone, those among them that the config leaves out.
pub(super) fn numbers(experiment: &Experiment, registry: &Registry) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if let Some(backbone) = table(experiment)?.get("backbone") {
        walk("backbone", backbone, registry, &mut found);
    }
    Ok(found)
}

fn walk(path: &str, value: &toml::Value, registry: &Registry, found: &mut Vec<String>) {
    match value {
        toml::Value::Integer(value) if *value > 1 => found.push(path.to_owned()),
        toml::Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                walk(&format!("{path}[{index}]"), value, registry, found);
            }
        }
        toml::Value::Table(table) => {
            // First what is left out: once heads have a size of their own, their number is a width.
            let kind = table.get("kind").and_then(toml::Value::as_str);
            let known = kind.map(|kind| left_out(kind, registry)).unwrap_or_default();
            let absent = known.into_iter().filter(|key| !table.contains_key(key));
            found.extend(absent.map(|key| format!("{path}.{key}")));
            for (key, value) in table {
                walk(&format!("{path}.{key}"), value, registry, found);
            }
        }
        _ => {}
    }
}

/// The whole numbers that a component named `kind` may leave out.
fn left_out(kind: &str, registry: &Registry) -> Vec<String> {
    let keys = [
        optional(kind, &registry.backbones),
        optional(kind, &registry.mixers),
        optional(kind, &registry.channels),
    ];
    keys.concat()
}

fn optional<R: Role>(kind: &str, catalogue: &Catalogue<R>) -> Vec<String> {
    let Some(entry) = catalogue.entries().iter().find(|entry| entry.kind == kind) else { return Vec::new() };
    let schema = entry.schema(&mut SchemaGenerator::default()).to_value();
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    let is_number = |schema: &serde_json::Value| {
        let types = schema.get("type").and_then(serde_json::Value::as_array);
        types.is_some_and(|types| types.iter().any(|name| name == "integer"))
    };
    let keys = properties.into_iter().flatten().filter(|(_, schema)| is_number(schema));
    keys.map(|(key, _)| key.clone()).collect()
}
