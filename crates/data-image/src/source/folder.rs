//! PNG and JPEG files in folders named after their classes.

use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use ansatz_data::Division;

use crate::decode::{Decoder, Filter, picture_files};
use crate::pictures::{PictureSize, Pictures};
use crate::source::{Folder, Found};

pub(super) fn read(config: &Folder, background: f64, invert: bool) -> Result<Found> {
    let size = PictureSize { height: config.height, width: config.width, channels: config.channels };
    let decoder = Decoder { size, background, invert, filter: Filter::default() };
    let mut reader = Reader { decoder, strict: config.strict, damaged: Vec::new() };
    let (train, test) = (config.path.join("train"), config.path.join("test"));
    if train.is_dir() && test.is_dir() {
        let classes = classes_of(&train)?;
        if let Some(unknown) = classes_of(&test)?.into_iter().find(|class| !classes.contains(class)) {
            return Err(Error::input(
                test.join(&unknown).display(),
                "a class that the training part does not have",
                format!("one of {}", classes.join(", ")),
                "rename the folder, or add the class to the training part",
            ));
        }
        let (train, test) = (reader.part(&train, &classes)?, reader.part(&test, &classes)?);
        return Ok(Found { classes, train, test, damaged: reader.damaged });
    }
    let classes = classes_of(&config.path)?;
    let all = reader.part(&config.path, &classes)?;
    let parts = Division::stratified(&all.labels, config.test, config.test_seed)?;
    let (train, test) = (all.select(&parts.kept), all.select(&parts.held_out));
    Ok(Found { classes, train, test, damaged: reader.damaged })
}

/// Names of the folders inside a folder, sorted by their bytes; those that begin with a dot are left out.
pub(crate) fn folders_of(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(Error::file(folder, "read"))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::file(folder, "read"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The folders inside a folder as classes, two at least.
fn classes_of(folder: &Path) -> Result<Vec<String>> {
    let classes = folders_of(folder)?;
    if classes.len() < 2 {
        return Err(Error::input(
            folder.display(),
            format!("holds {} folders", classes.len()),
            "a folder of pictures per class, two at least",
            "put the pictures of each class into a folder with the name of the class",
        ));
    }
    Ok(classes)
}

/// Reads pictures, and keeps what was wrong with those that it leaves out.
struct Reader {
    decoder: Decoder,
    strict: bool,
    damaged: Vec<String>,
}

impl Reader {
    fn part(&mut self, folder: &Path, classes: &[String]) -> Result<Pictures> {
        let size = self.decoder.size;
        let mut part = Pictures { size, full_scale: 255, pixels: Vec::new(), labels: Vec::new() };
        for (label, class) in classes.iter().enumerate() {
            let path: PathBuf = folder.join(class);
            if !path.is_dir() {
                continue;
            }
            let (files, before) = (picture_files(&path)?, part.len());
            for file in &files {
                match self.decoder.read(file) {
                    Ok(pixels) => {
                        part.pixels.extend(pixels);
                        part.labels.push(label);
                    }
                    Err(error) if self.strict => return Err(error),
                    Err(error) => self.damaged.push(error.to_string()),
                }
            }
            if part.len() == before {
                let problem = format!("none of its {} files can be read as a picture", files.len());
                let remedy = "mend the files, or remove the folder";
                return Err(Error::input(path.display(), problem, "PNG or JPEG files", remedy));
            }
        }
        Ok(part)
    }
}
