//! `restored/`: examples of which something was hidden, beside what the network told of it.

use ansatz_core::{Error, Result};
use ansatz_run::RunFolder;
use maud::{Markup, html};

use crate::picture::Exhibit;

/// Reads the examples in the order of their names; none where the folder is not there.
pub(crate) fn read(folder: &RunFolder) -> Result<Vec<Exhibit>> {
    let restored = folder.restored();
    if !restored.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&restored).map_err(Error::file(&restored, "read"))?;
    let names = entries.map(|entry| Ok(entry.map_err(Error::file(&restored, "read"))?.file_name()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    let exhibits = names.iter().map(|name| Exhibit::read(&restored, &name.to_string_lossy()));
    Ok(exhibits.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// The section of restored examples; empty where there are none.
pub(crate) fn section(restored: &[Exhibit]) -> Markup {
    if restored.is_empty() {
        return html! {};
    }
    html! {
        section #restored {
            h2 { "Hidden and told" }
            p.note {
                "Examples of the part that was judged last. A picture: what the network saw, what it told, what is there. A series: what it saw in \
                 blue, what it told in orange, what is there in grey."
            }
            div.restored { @for exhibit in restored { (exhibit.show("an example with hidden patches, and what was told of them")) } }
        }
    }
}
