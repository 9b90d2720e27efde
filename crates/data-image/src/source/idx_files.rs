//! idx files: those of MNIST and Fashion-MNIST in the folder of fetched sets, and one's own.

use std::path::{Path, PathBuf};

use ansatz_core::{ConfigError, Error, Places, Result};
use ansatz_data::{Cache, Division, catalogue};

use crate::idx;
use crate::pictures::{PictureSize, Pictures, Pixels};
use crate::source::{Found, IdxFiles};

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
        pair(&images, Some(&labels), Some(classes.len()))
    };
    let (train, test) = (part("train")?, part("t10k")?);
    Ok(Found { classes, train, test, damaged: Vec::new() })
}

/// The files of a part: pictures, and their labels where there are some.
pub(crate) struct PartFiles {
    pub(crate) images: PathBuf,
    pub(crate) labels: Option<PathBuf>,
}

impl PartFiles {
    /// All pictures of the part; without labels only where they need not be `labelled`, and all of one class then.
    pub(crate) fn read(&self, labelled: bool) -> Result<Pictures> {
        if self.labels.is_none() && labelled {
            let problem = "there are no labels beside it";
            let expected = "a file of the same name with `labels-idx1` in the place of `images-idx3`";
            let remedy = "add it, or learn without labels: data.masking = {} and the task `masked-patches`";
            return Err(Error::input(self.images.display(), problem, expected, remedy));
        }
        pair(&self.images, self.labels.as_deref(), None)
    }
}

/// The training files in a folder, and the test files where there are some: those whose names hold `images-idx3` or
/// `images.idx3`, and of these the one that holds `train`, and one that holds `t10k` or `test`. `None` where no file does.
pub(crate) fn find(folder: &Path) -> Result<Option<(PartFiles, Option<PartFiles>)>> {
    let entries = std::fs::read_dir(folder).map_err(Error::file(folder, "read"))?;
    let names = entries.map(|entry| Ok(entry.map_err(Error::file(folder, "read"))?.file_name()));
    let names = names.collect::<Result<Vec<_>>>()?;
    let mut names: Vec<String> = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    let files = |part: &[&str]| {
        let is_of = |name: &&String| part.iter().any(|part| name.contains(part));
        let images = names.iter().filter(is_of).find(|name| labels_of(name).is_some())?;
        let labels = labels_of(images).filter(|labels| names.contains(labels));
        Some(PartFiles { images: folder.join(images), labels: labels.map(|labels| folder.join(labels)) })
    };
    Ok(files(&["train"]).map(|train| (train, files(&["t10k", "test"]))))
}

/// The name of the labels of a file of pictures; `None` where it is another file.
fn labels_of(images: &str) -> Option<String> {
    ["-", "."].into_iter().find_map(|mark| {
        let (before, behind) = images.split_once(&format!("images{mark}idx3"))?;
        Some(format!("{before}labels{mark}idx1{behind}"))
    })
}

/// The pictures of one's own files.
pub(super) fn read_own(config: &IdxFiles, labelled: bool) -> Result<Found> {
    let Some((train, test)) = find(&config.path)? else {
        let problem = "holds no idx file of training pictures";
        let expected =
            "files such as train-images-idx3-ubyte and train-labels-idx1-ubyte, with or without .gz";
        return Err(Error::input(
            config.path.display(),
            problem,
            expected,
            "name the folder that holds them",
        ));
    };
    let all = train.read(labelled)?;
    let (train, test) = match test {
        Some(test) => (all, test.read(labelled)?),
        None => {
            let parts = Division::stratified(&all.labels, config.test, config.test_seed)?;
            (all.select(&parts.kept), all.select(&parts.held_out))
        }
    };
    if train.size != test.size {
        let problem = format!("its test pictures are {}", test.size);
        let expected = format!("{}, as those that are learned from", train.size);
        return Err(Error::input(config.path.display(), problem, expected, idx::REMEDY));
    }
    let highest = train.labels.iter().chain(&test.labels).copied().max().unwrap_or(0);
    let classes = match &config.classes[..] {
        [] => (0..=highest).map(|label| label.to_string()).collect(),
        names if names.len() > highest => names.to_vec(),
        names => {
            let problem = format!("{} names", names.len());
            let expected = format!("{}, one for each label from 0 on", highest + 1);
            return Err(ConfigError::value("data.source.idx.classes", problem, expected).into());
        }
    };
    Ok(Found { classes, train, test, damaged: Vec::new() })
}

/// Reads pictures and their labels, which are all 0 where there is no file of them, and below `classes` where that is known.
fn pair(images_path: &Path, labels_path: Option<&Path>, classes: Option<usize>) -> Result<Pictures> {
    let wrong = |path: &Path, problem: String, expected: String| {
        Error::input(path.display(), problem, expected, idx::REMEDY)
    };
    let images = idx::read(images_path)?;
    let &[count, height, width] = &images.dimensions[..] else {
        let problem = format!("holds values in {} dimensions", images.dimensions.len());
        return Err(wrong(images_path, problem, "pictures: 3 dimensions, count × height × width".to_owned()));
    };
    if count == 0 || height == 0 || width == 0 {
        return Err(wrong(
            images_path,
            format!("holds {count} pictures of {height}×{width}"),
            "at least one picture of at least one pixel".to_owned(),
        ));
    }
    let labels = match labels_path {
        None => vec![0; count],
        Some(path) => {
            let labels = idx::read(path)?;
            let &[label_count] = &labels.dimensions[..] else {
                let problem = format!("holds values in {} dimensions", labels.dimensions.len());
                return Err(wrong(path, problem, "labels: 1 dimension".to_owned()));
            };
            if count != label_count {
                let expected = format!("{count}, one per picture of {}", images_path.display());
                return Err(wrong(path, format!("holds {label_count} labels"), expected));
            }
            labels.values.into_iter().map(usize::from).collect()
        }
    };
    if let (Some(path), Some(classes)) = (labels_path, classes)
        && let Some(index) = labels.iter().position(|&label| label >= classes)
    {
        let problem = format!("label {} at position {index}", labels[index]);
        return Err(wrong(path, problem, format!("0 to {}", classes - 1)));
    }
    Ok(Pictures {
        size: PictureSize { height, width, channels: 1 },
        full_scale: 255,
        pixels: Pixels::Held(images.values),
        labels,
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
        let text = pair(&images_path, Some(&labels_path), Some(10)).unwrap_err().to_string();
        let text = text.replace(&format!("{}/", folder.path().display()), "");
        text.strip_suffix(&format!("\n  to do: {}", idx::REMEDY)).unwrap().to_owned()
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
    fn files_of_ones_own_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let own = |classes: &[&str], labelled| {
            let classes = classes.iter().map(|name| (*name).to_owned()).collect();
            let config = IdxFiles { path: folder.path().to_owned(), classes, ..IdxFiles::default() };
            read_own(&config, labelled).map_err(|error| error.to_string())
        };
        assert!(own(&[], true).unwrap_err().contains("no idx file of training pictures"));
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("letters-train-images-idx3-ubyte", IMAGES);
        assert!(own(&[], true).unwrap_err().contains("there are no labels beside it"));
        write("letters-test-images-idx3-ubyte", b"\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x02ef");
        let hidden = own(&[], false).unwrap();
        assert_eq!((hidden.train.labels, hidden.classes), (vec![0, 0], vec!["0".to_owned()]));
        write("letters-train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\x01\x00");
        write("letters-test-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x01\x02");
        let found = own(&[], true).unwrap();
        assert_eq!((&found.train.labels[..], &found.test.labels[..]), (&[1, 0][..], &[2][..]));
        assert_eq!((&*found.test.bytes(0).unwrap(), found.classes.len()), (&b"ef"[..], 3));
        assert_eq!(own(&["a", "b", "c"], true).unwrap().classes, ["a", "b", "c"]);
        assert!(own(&["a", "b"], true).unwrap_err().contains("`data.source.idx.classes`"));
        write("letters-test-images-idx3-ubyte", b"\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01e");
        assert!(own(&[], true).unwrap_err().contains("its test pictures are 1×1×1"));
    }

    #[test]
    fn a_set_that_is_not_there_names_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { data: folder.path().to_path_buf() };
        let message = read("mnist", &places, digit_names()).unwrap_err().to_string();
        assert!(message.ends_with("to do: run `ansatz data get mnist`"), "{message}");
    }
}
