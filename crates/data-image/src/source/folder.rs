//! PNG and JPEG files in folders named after their classes.

use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use ansatz_data::Division;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::decode::{Decoder, Filter, picture_files};
use crate::pictures::{PictureSize, Pictures, Pixels, STREAMED_FROM};
use crate::source::{Folder, Found};

pub(super) fn read(config: &Folder, background: f64, invert: bool, labelled: bool) -> Result<Found> {
    let size = PictureSize { height: config.height, width: config.width, channels: config.channels };
    let decoder = Decoder { size, background, invert, filter: Filter::default() };
    read_streaming(config, decoder, labelled, STREAMED_FROM)
}

/// The same, where the pictures of a part stay in their files if they have at least so many bytes together.
fn read_streaming(config: &Folder, decoder: Decoder, labelled: bool, streamed_from: usize) -> Result<Found> {
    let classes_of = |folder: &Path| if labelled { classes_of(folder) } else { groups_of(folder) };
    let mut reader = Reader { decoder, strict: config.strict, damaged: Vec::new(), streamed_from };
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
            "put the pictures of each class into a folder with the name of the class, or learn from them without classes: \
                data.masking = {} and the task `masked-patches`",
        ));
    }
    Ok(classes)
}

/// The folders inside a folder, or itself, named `.`, where it has none.
fn groups_of(folder: &Path) -> Result<Vec<String>> {
    let folders = folders_of(folder)?;
    Ok(if folders.is_empty() { vec![".".to_owned()] } else { folders })
}

/// Reads pictures, and keeps what was wrong with those that it leaves out.
struct Reader {
    decoder: Decoder,
    strict: bool,
    damaged: Vec<String>,
    streamed_from: usize,
}

/// Files that are decoded at once, by all threads.
const TOGETHER: usize = 512;

impl Reader {
    fn part(&mut self, folder: &Path, classes: &[String]) -> Result<Pictures> {
        let size = self.decoder.size;
        let mut of_classes = Vec::new();
        for (label, class) in classes.iter().enumerate() {
            let path: PathBuf = folder.join(class);
            if path.is_dir() {
                of_classes.push((label, picture_files(&path)?, path));
            }
        }
        let count: usize = of_classes.iter().map(|(_, files, _)| files.len()).sum();
        let streamed = count * size.values() >= self.streamed_from;
        let (mut held, mut kept, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for (label, files, path) in of_classes {
            let before = labels.len();
            for some in files.chunks(TOGETHER) {
                // What stays in its file is read once all the same, so that what cannot be read is told now.
                let decoded: Vec<_> = some.par_iter().map(|file| self.decoder.read(file)).collect();
                for (file, decoded) in some.iter().zip(decoded) {
                    match decoded {
                        Ok(_) if streamed => kept.push(Some(file.clone())),
                        Ok(pixels) => held.extend(pixels),
                        Err(error) if self.strict => return Err(error),
                        Err(error) => {
                            self.damaged.push(error.to_string());
                            continue;
                        }
                    }
                    labels.push(label);
                }
            }
            if labels.len() == before {
                let problem = format!("none of its {} files can be read as a picture", files.len());
                let remedy = "mend the files, or remove the folder";
                return Err(Error::input(path.display(), problem, "PNG or JPEG files", remedy));
            }
        }
        let pixels = if streamed { Pixels::Files(kept, self.decoder) } else { Pixels::Held(held) };
        Ok(Pictures { size, full_scale: 255, pixels, labels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn pictures_that_stay_in_their_files_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        for (class, shade) in [("dark", 10), ("light", 200)] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            for index in 0..6 {
                let path = folder.path().join(class).join(format!("{index}.png"));
                RgbImage::from_pixel(3, 3, Rgb([shade + index; 3])).save(path).unwrap();
            }
            std::fs::write(folder.path().join(class).join("broken.png"), "no picture").unwrap();
        }
        let config = Folder { path: folder.path().to_owned(), height: 2, width: 2, ..Folder::default() };
        let size = PictureSize { height: 2, width: 2, channels: 3 };
        let decoder = Decoder { size, background: 1.0, invert: false, filter: Filter::default() };
        let [held, streamed] =
            [usize::MAX, 0].map(|from| read_streaming(&config, decoder, true, from).unwrap());
        assert!(matches!(streamed.train.pixels, Pixels::Files(..)));
        assert_eq!((&held.damaged, held.damaged.len()), (&streamed.damaged, 2));
        for (held, streamed) in [(&held.train, &streamed.train), (&held.test, &streamed.test)] {
            assert_eq!((&held.labels, held.is_empty()), (&streamed.labels, false));
            for index in 0..held.len() {
                assert_eq!(held.bytes(index).unwrap(), streamed.bytes(index).unwrap());
            }
        }
    }
}
