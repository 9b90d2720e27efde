//! Exhibits, put into the page itself.

use std::fs;
use std::path::{Component, Path};

use ansatz_core::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Pictures no wider and higher than this are enlarged pixel by pixel.
const SMALL: u32 = 96;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exhibit {
    Picture { data_uri: String, small: bool },
    Text(String),
}

impl Exhibit {
    /// Reads the file `name` inside `folder`; `None` if it is not there or is not inside.
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<Self>> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let path = folder.join(name);
        if name.is_empty() || !inside || !path.is_file() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(Error::file(&path, "read"))?;
        if !bytes.starts_with(PNG) {
            return Ok(String::from_utf8(bytes).ok().map(Self::Text));
        }
        let side = |from: usize| {
            bytes.get(from..from + 4).map(|side| side.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
        };
        let small = [16, 20].into_iter().all(|from| side(from).is_some_and(|side| side <= SMALL));
        Ok(Some(Self::Picture {
            data_uri: format!("data:image/png;base64,{}", STANDARD.encode(bytes)),
            small,
        }))
    }

    /// The exhibit as HTML, described by `description` for those who do not see it.
    pub(crate) fn show(&self, description: &str) -> Markup {
        html! {
            @match self {
                Self::Picture { data_uri, small } => img.small[*small] src=(data_uri) alt=(description);,
                Self::Text(text) => blockquote { (text) },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_inside_the_folder_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        fs::write(run.join("said.txt"), "said").unwrap();
        assert_eq!(Exhibit::read(&run, "said.txt").unwrap(), Some(Exhibit::Text("said".to_owned())));
        assert_eq!(Exhibit::read(&run, "../secret.txt").unwrap(), None);
        let absolute = folder.path().join("secret.txt");
        assert_eq!(Exhibit::read(&run, absolute.to_str().unwrap()).unwrap(), None);
        assert_eq!(Exhibit::read(&run, "absent.png").unwrap(), None);
    }

    #[test]
    fn a_cut_off_picture_is_still_put_in() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cut.png"), PNG).unwrap();
        let exhibit = Exhibit::read(folder.path(), "cut.png").unwrap();
        assert!(matches!(exhibit, Some(Exhibit::Picture { small: false, .. })));
    }
}
