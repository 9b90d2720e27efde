//! MNIST and Fashion-MNIST: four idx files in the folder of fetched sets.

use std::path::Path;

use ansatz_core::{Error, Places, Result};
use ansatz_data::{Cache, catalogue};

use crate::idx;
use crate::pictures::{PictureSize, Pictures, Pixels};
use crate::source::Found;

pub(super) fn digit_names() -> Vec<String> {
    (0..10).map(|digit| digit.to_string()).collect()
}

/// In the order of their labels, as the set's own read-me names them.
pub(super) fn fashion_names() -> Vec<String> {
    let names = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ];
    names.map(str::to_owned).to_vec()
}

pub(super) fn read(name: &str, places: &Places, classes: Vec<String>) -> Result<Found> {
    let folder = Cache::at(&places.data).locate(catalogue::find(name)?)?;
    let part = |prefix: &str| {
        let images = folder.join(format!("{prefix}-images-idx3-ubyte"));
        let labels = folder.join(format!("{prefix}-labels-idx1-ubyte"));
        pair(&images, &labels, classes.len())
    };
    let (train, test) = (part("train")?, part("t10k")?);
    Ok(Found { classes, train, test, damaged: Vec::new() })
}

/// Reads pictures and their labels.
fn pair(images_path: &Path, labels_path: &Path, classes: usize) -> Result<Pictures> {
    let wrong = |path: &Path, problem: String, expected: String| {
        Error::input(path.display(), problem, expected, "fetch the set again with `ansatz data get NAME`")
    };
    let (images, labels) = (idx::read(images_path)?, idx::read(labels_path)?);
    let &[count, height, width] = &images.dimensions[..] else {
        let problem = format!("holds values in {} dimensions", images.dimensions.len());
        return Err(wrong(images_path, problem, "pictures: 3 dimensions, count × height × width".to_owned()));
    };
    let &[label_count] = &labels.dimensions[..] else {
        let problem = format!("holds values in {} dimensions", labels.dimensions.len());
        return Err(wrong(labels_path, problem, "labels: 1 dimension".to_owned()));
    };
    if count != label_count {
        let problem = format!("holds {label_count} labels");
        return Err(wrong(
            labels_path,
            problem,
            format!("{count}, one per picture of {}", images_path.display()),
        ));
    }
    if count == 0 || height == 0 || width == 0 {
        return Err(wrong(
            images_path,
            format!("holds {count} pictures of {height}×{width}"),
            "at least one picture of at least one pixel".to_owned(),
        ));
    }
    if let Some(index) = labels.values.iter().position(|&label| usize::from(label) >= classes) {
        let problem = format!("label {} at position {index}", labels.values[index]);
        return Err(wrong(labels_path, problem, format!("0 to {}", classes - 1)));
    }
    Ok(Pictures {
        size: PictureSize { height, width, channels: 1 },
        full_scale: 255,
        pixels: Pixels::Held(images.values),
        labels: labels.values.into_iter().map(usize::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(images: &[u8], labels: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (images_path, labels_path) = (folder.path().join("images"), folder.path().join("labels"));
        std::fs::write(&images_path, images).unwrap();
        std::fs::write(&labels_path, labels).unwrap();
        let text = pair(&images_path, &labels_path, 10).unwrap_err().to_string();
        let text = text.replace(&format!("{}/", folder.path().display()), "");
        text.strip_suffix("\n  to do: fetch the set again with `ansatz data get NAME`").unwrap().to_owned()
    }

    const IMAGES: &[u8] = b"\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x02abcd";
    const LABELS: &[u8] = b"\0\0\x08\x01\0\0\0\x02\x01\x09";

    #[test]
    fn files_that_do_not_fit_together_are_named() {
        assert_eq!(
            message(IMAGES, b"\0\0\x08\x01\0\0\0\x01\x01"),
            "labels: holds 1 labels\n  expected: 2, one per picture of images"
        );
        assert_eq!(
            message(IMAGES, b"\0\0\x08\x01\0\0\0\x02\x01\x0a"),
            "labels: label 10 at position 1\n  expected: 0 to 9"
        );
        assert_eq!(
            message(LABELS, LABELS),
            "images: holds values in 1 dimensions\n  expected: pictures: 3 dimensions, count × height × width"
        );
        assert_eq!(
            message(IMAGES, IMAGES),
            "labels: holds values in 3 dimensions\n  expected: labels: 1 dimension"
        );
        assert_eq!(
            message(b"\0\0\x08\x03\0\0\0\0\0\0\0\x01\0\0\0\x02", b"\0\0\x08\x01\0\0\0\0"),
            "images: holds 0 pictures of 1×2\n  expected: at least one picture of at least one pixel"
        );
    }

    #[test]
    fn a_set_that_is_not_there_names_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { data: folder.path().to_path_buf() };
        let message = read("mnist", &places, digit_names()).unwrap_err().to_string();
        assert!(message.ends_with("to do: run `ansatz data get mnist`"), "{message}");
    }
}
