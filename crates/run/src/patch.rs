//! `--set key=value`: one value put over a config.

use std::str::FromStr;

use ansatz_core::ConfigError;

/// One value put over a config: a dotted path, list entries by number, and a value in TOML.
///
/// `train.epochs=3`, `backbone.pattern[0].heads=2`, `title="a name"`; a value that is not TOML is taken as a
/// string, so `backbone.norm=rms` needs no quotes.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    path: String,
    value: toml::Value,
}

impl FromStr for Patch {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (path, value) = text.split_once('=').ok_or_else(|| {
            ConfigError::value(text, "there is no `=` in it", "key=value, such as train.epochs=3")
        })?;
        // Errors name list entries as `pattern[0]`; that form is read as well.
        let path = path.trim().replace('[', ".").replace(']', "");
        if path.is_empty() || path.split('.').any(str::is_empty) {
            return Err(ConfigError::value(
                text,
                "the key is empty or has an empty part",
                "key=value, such as train.epochs=3",
            ));
        }
        let value = value.trim();
        let parsed = format!("value = {value}").parse::<toml::Table>();
        let value = parsed
            .ok()
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()));
        Ok(Self { path, value })
    }
}

impl Patch {
    /// Puts the value into `table`, making the tables on the way.
    ///
    /// # Errors
    /// When a part of the path is a plain value, or a list has no such entry.
    pub fn apply(&self, table: &mut toml::Table) -> Result<(), ConfigError> {
        let (parents, last) = self.path.rsplit_once('.').unwrap_or(("", &self.path));
        let mut walked = String::new();
        let mut place = Place::Table(table);
        for part in parents.split('.').filter(|part| !part.is_empty()) {
            walked = if walked.is_empty() { part.to_owned() } else { format!("{walked}.{part}") };
            place = match place.entry(part) {
                Some(toml::Value::Table(inner)) => Place::Table(inner),
                Some(toml::Value::Array(inner)) => Place::List(inner),
                Some(_) => {
                    return Err(ConfigError::value(
                        &self.path,
                        format!("`{walked}` is a plain value, nothing is inside it"),
                        "a path to a value, such as train.epochs=3",
                    ));
                }
                None => return Err(self.no_entry(part)),
            };
        }
        match place {
            Place::Table(table) => {
                table.insert(last.to_owned(), self.value.clone());
            }
            Place::List(list) => {
                let entry = last.parse::<usize>().ok().and_then(|index| list.get_mut(index));
                *entry.ok_or_else(|| self.no_entry(last))? = self.value.clone();
            }
        }
        Ok(())
    }

    fn no_entry(&self, part: &str) -> ConfigError {
        ConfigError::value(
            &self.path,
            format!("the list has no entry `{part}`"),
            "the number of an entry, counted from 0",
        )
    }
}

/// Where the walk along a path stands.
enum Place<'a> {
    Table(&'a mut toml::Table),
    List(&'a mut Vec<toml::Value>),
}

impl<'a> Place<'a> {
    fn entry(self, part: &str) -> Option<&'a mut toml::Value> {
        match self {
            Self::Table(table) => {
                Some(table.entry(part.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new())))
            }
            Self::List(list) => part.parse::<usize>().ok().and_then(|index| list.get_mut(index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patched(text: &str, patch: &str) -> Result<toml::Table, ConfigError> {
        let mut table = text.parse().expect("valid TOML");
        patch.parse::<Patch>()?.apply(&mut table)?;
        Ok(table)
    }

    #[test]
    fn values_keep_their_type() {
        let table = patched("", "train.epochs=3").unwrap();
        assert_eq!(table["train"]["epochs"].as_integer(), Some(3));
        let table = patched("", "backbone.norm=rms").unwrap();
        assert_eq!(table["backbone"]["norm"].as_str(), Some("rms"));
        let table = patched("", "a=\"1=2\"").unwrap();
        assert_eq!(table["a"].as_str(), Some("1=2"));
    }

    #[test]
    fn list_entries_are_counted_from_zero() {
        let table = patched("[[p]]\nx = 1\n[[p]]\nx = 2", "p.1.x=5").unwrap();
        assert_eq!(table["p"][1]["x"].as_integer(), Some(5));
        assert_eq!(patched("[[p]]\nx = 1\n[[p]]\nx = 2", "p[1].x=5").unwrap(), table);
        assert!(patched("[[p]]\nx = 1", "p.7.x=5").is_err());
    }

    #[test]
    fn a_path_through_a_plain_value_is_refused() {
        let message = patched("a = 1", "a.b=2").unwrap_err().to_string();
        assert!(message.contains("`a` is a plain value"), "{message}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            if let Ok(patch) = text.parse::<Patch>() {
                let _ = patch.apply(&mut toml::Table::new());
            }
        }

        #[test]
        fn what_is_set_is_found(key in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}", value in any::<i32>()) {
            let table = patched("", &format!("{key}={value}")).unwrap();
            let table = toml::Value::Table(table);
            let found = key.split('.').try_fold(&table, |at, part| at.get(part)).cloned();
            prop_assert_eq!(found, Some(toml::Value::Integer(value.into())));
        }
    }
}
