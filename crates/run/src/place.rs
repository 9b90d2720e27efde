//! Where a visitor or mapper is in a module.

use ansatz_ops::Kind;

/// The path to a parameter: the names of the fields, and the structs that they are fields of.
#[derive(Debug, Default)]
pub struct Place(Vec<(String, String)>);

impl Place {
    /// Goes into the field `name` of a `container`, as burn's visitors and mappers are told.
    pub fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container.to_owned()));
    }

    /// Comes out of the field that was entered last.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// The dotted path.
    pub fn name(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    /// What a parameter here is; `None` for one that is not compressed.
    pub fn kind(&self) -> Option<Kind> {
        self.0.last().and_then(|(name, container)| Kind::of(name, container))
    }
}
