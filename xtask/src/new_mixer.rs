//! A crate with a new mixer, from a template that compiles and passes the conformance kit.

use std::path::Path;
use std::process::Command;

use crate::workspace::{Error, capture, root};

/// Writes `crates/arch-NAME` and says what is left to do.
pub(crate) fn run(name: &str) -> Result<String, Error> {
    let plain = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    if !plain || name.starts_with('-') || name.ends_with('-') {
        return Err(Error::Wrong(format!("`{name}`: a mixer's name is lower-case words joined by hyphens")));
    }
    let folder = root().join("crates").join(format!("arch-{name}"));
    if folder.exists() {
        return Err(Error::Wrong(format!("{} is there already", folder.display())));
    }
    let type_name: String = name.split('-').map(capitalized).collect();
    write(&folder.join("Cargo.toml"), include_str!("../templates/mixer/Cargo.toml.in"), name, &type_name)?;
    let code = folder.join("src/lib.rs");
    write(&code, include_str!("../templates/mixer/lib.rs.in"), name, &type_name)?;
    // Where lines break depends on how long the name is.
    capture(Command::new("rustfmt").args(["--edition", "2024"]).arg(&code))?;
    Ok(format!(
        "wrote {}\n\
         next:\n\
         1. write the equation and its code in src/lib.rs; cargo test -p ansatz-arch-{name} runs the conformance kit\n\
         2. add ansatz-arch-{name} = {{ path = \"crates/arch-{name}\" }} to [workspace.dependencies] in Cargo.toml,\n\
         \x20  and to the dependencies in apps/ansatz/Cargo.toml\n\
         3. add `.mixer::<ansatz_arch_{}::{type_name}Config>()` to `ansatz::builtin()`",
        folder.display(),
        name.replace('-', "_"),
    ))
}

fn write(path: &Path, template: &str, name: &str, type_name: &str) -> Result<(), Error> {
    let file = |source| Error::File { path: path.to_owned(), source };
    std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(file)?;
    std::fs::write(path, template.replace("{{name}}", name).replace("{{Type}}", type_name))
        .map_err(|source| Error::File { path: path.to_owned(), source })
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
