//! What a folder of pictures holds, and how it would be read.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use ansatz_core::{Error, Proposal, Purpose, Result, Setting};
use image::DynamicImage;

use crate::decode::{decode, picture_files};
use crate::source::{PartFiles, find_idx, folders_of};

/// Sides of pictures that a network on a processor learns from in minutes.
const LARGEST_SIDE: usize = 64;
const SMALLEST_SIDE: usize = 8;

/// Files that are named one by one.
const NAMED: usize = 3;

/// What all files together show.
#[derive(Debug, Default)]
struct Look {
    /// Pictures of each class.
    classes: BTreeMap<String, usize>,
    /// The longer side of each picture, in pixels.
    sides: Vec<usize>,
    /// Smallest and largest height and width.
    extent: Option<[[usize; 2]; 2]>,
    colour: bool,
    damaged: Vec<String>,
    /// Part and class of the first file with a content.
    contents: HashMap<u64, (usize, String)>,
    copies: usize,
    copies_in_another_class: usize,
    copies_in_another_part: usize,
}

impl Look {
    fn take(&mut self, part: usize, class: &str, file: &Path) -> Result<()> {
        let bytes = std::fs::read(file).map_err(Error::file(file, "read"))?;
        let picture = match decode(file, &bytes) {
            Ok(picture) => picture,
            Err(error) => {
                self.damaged.push(error.to_string());
                return Ok(());
            }
        };
        let size = [picture.height() as usize, picture.width() as usize];
        self.colour |= is_coloured(&picture);
        self.see(part, class, size, &bytes);
        Ok(())
    }

    /// Takes in a picture of a size, whatever it was read from; equal `content` makes it a copy.
    fn see(&mut self, part: usize, class: &str, size: [usize; 2], content: &[u8]) {
        *self.classes.entry(class.to_owned()).or_default() += 1;
        self.sides.push(size[0].max(size[1]));
        let [least, most] = self.extent.unwrap_or([size; 2]);
        self.extent = Some([
            [least[0].min(size[0]), least[1].min(size[1])],
            [most[0].max(size[0]), most[1].max(size[1])],
        ]);
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        match self.contents.get(&hasher.finish()) {
            Some((first_part, first_class)) => {
                self.copies += 1;
                self.copies_in_another_class += usize::from(first_class != class);
                self.copies_in_another_part += usize::from(*first_part != part);
            }
            None => {
                self.contents.insert(hasher.finish(), (part, class.to_owned()));
            }
        }
    }

    /// The side that pictures are brought to: that of the median picture, in whole fours.
    fn side(&mut self) -> usize {
        self.sides.sort_unstable();
        let median = self.sides[self.sides.len() / 2];
        (median / 4 * 4).clamp(SMALLEST_SIDE, LARGEST_SIDE)
    }

    fn seen(&self, parts: usize) -> Vec<String> {
        let counts: Vec<String> =
            self.classes.iter().map(|(class, count)| format!("{class} {count}")).collect();
        let mut seen =
            vec![format!("{} pictures in {} classes: {}", self.sides.len(), counts.len(), counts.join(", "))];
        if let Some([[low, thin], [high, wide]]) = self.extent {
            let sizes = if [low, thin] == [high, wide] {
                format!("all {high}×{wide} pixels")
            } else {
                format!("{low}×{thin} up to {high}×{wide} pixels")
            };
            seen.push(format!("{sizes}, {}", if self.colour { "in colour" } else { "grey" }));
        }
        seen.push(match parts {
            1 => "no parts of their own: a share of each class will be kept for testing".to_owned(),
            _ => "parts of their own: train and test".to_owned(),
        });
        seen
    }

    /// What is proposed for pictures of `parts` parts, of which `training` are to be learned from at a `size`.
    fn proposal(&self, parts: usize, source: Setting, size: [usize; 2], training: usize) -> Proposal {
        let shift = (size[0].max(size[1]) / 14).max(1);
        let augment = if self.colour {
            let line = format!("augment = {{ shift = {shift}, flip = 0.5 }}");
            Setting::new(
                line,
                "mirror images keep their class in most photographs; take `flip` out where not",
            )
        } else {
            Setting::new(
                format!("augment = {{ shift = {shift}, rotate = 10.0 }}"),
                "pictures are moved a little",
            )
        };
        let validation = "validation = { fraction = 0.1 }";
        Proposal {
            seen: self.seen(parts),
            warnings: self.warnings(),
            settings: vec![
                source,
                Setting::new(validation, "of each class, for choosing the best weights"),
                Setting::new("stem = \"pixels\"", ""),
                augment,
            ],
            purpose: Purpose::ClassifyPictures { size },
            examples: training,
            imbalance: Proposal::imbalance(self.classes.values().copied()),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let (least, most) = (self.classes.values().min(), self.classes.values().max());
        if let (Some(least), Some(most)) = (least, most)
            && *most >= 10 * least
        {
            warnings.push(format!(
                "the largest class has {most} pictures and the smallest {least}: accuracy says little"
            ));
        }
        for (class, count) in self.classes.iter().filter(|(_, count)| **count < 5) {
            warnings.push(format!("class {class} has {count} pictures: too few to train, validate and test"));
        }
        if self.copies > 0 {
            warnings.push(format!("copies of other files: {}", self.copies));
        }
        if self.copies_in_another_class > 0 {
            warnings.push(format!("copies in another class: {}", self.copies_in_another_class));
        }
        if self.copies_in_another_part > 0 {
            let copies = self.copies_in_another_part;
            warnings.push(format!("copies in train and test, which make the test too easy: {copies}"));
        }
        if !self.damaged.is_empty() {
            warnings.push(format!("files that cannot be read and will be left out: {}", self.damaged.len()));
            warnings.extend(self.damaged.iter().take(NAMED).cloned());
        }
        warnings
    }
}

/// Whether any pixel has a hue.
fn is_coloured(picture: &DynamicImage) -> bool {
    picture.color().has_color() && picture.to_rgb8().pixels().any(|pixel| pixel.0 != [pixel.0[0]; 3])
}

/// Grey pictures and their labels in idx files.
fn recognise_idx(path: &Path, train: &PartFiles, test: Option<&PartFiles>) -> Result<Proposal> {
    let mut look = Look::default();
    let mut training = 0;
    let mut size = [0; 2];
    for (part, files) in std::iter::once(train).chain(test).enumerate() {
        let pictures = files.read(true)?;
        size = [pictures.size.height, pictures.size.width];
        for (index, label) in pictures.labels.iter().enumerate() {
            look.see(part, &label.to_string(), size, &pictures.bytes(index)?);
        }
        training += if part == 0 { pictures.len() } else { 0 };
    }
    let source = format!("source = {{ idx = {{ path = {} }} }}", Setting::quoted(path));
    Ok(look.proposal(
        1 + usize::from(test.is_some()),
        Setting::new(source, "classes = [\"…\"] beside the path names the labels"),
        size,
        training,
    ))
}

/// A folder with idx files, with a folder of pictures per class, or with `train` and `test` of these.
pub(crate) fn recognise(path: &Path) -> Result<Option<Proposal>> {
    if !path.is_dir() {
        return Ok(None);
    }
    if let Some((train, test)) = find_idx(path)? {
        return recognise_idx(path, &train, test.as_ref()).map(Some);
    }
    let (train, test) = (path.join("train"), path.join("test"));
    let parts = if train.is_dir() && test.is_dir() { vec![train, test] } else { vec![path.to_owned()] };
    let mut classes = folders_of(&parts[0])?;
    classes.retain(|class| picture_files(&parts[0].join(class)).is_ok());
    if classes.len() < 2 {
        if picture_files(path).is_ok() {
            return Err(Error::input(
                path.display(),
                "holds pictures, and nothing says what they show",
                "a folder of pictures per class, two at least",
                "put the pictures of each class into a folder with the name of the class, or learn from them without \
                    classes: data.masking = {} and the task `masked-patches`",
            ));
        }
        return Ok(None);
    }
    let mut look = Look::default();
    let mut training = 0;
    for (part, folder) in parts.iter().enumerate() {
        for class in &classes {
            let inside = folder.join(class);
            if !inside.is_dir() {
                continue;
            }
            for file in picture_files(&inside)? {
                look.take(part, class, &file)?;
            }
        }
        if part == 0 {
            training = look.sides.len();
        }
    }
    if look.sides.is_empty() {
        let remedy = "replace them";
        return Err(Error::input(path.display(), "no picture can be read", "PNG or JPEG files", remedy));
    }
    let side = look.side();
    let channels = if look.colour { 3 } else { 1 };
    let folder = Setting::quoted(path);
    let source = Setting::new(
        format!(
            "source = {{ folder = {{ path = {folder}, height = {side}, width = {side}, channels = {channels} }} }}"
        ),
        "the size that every picture is brought to",
    );
    Ok(Some(look.proposal(parts.len(), source, [side; 2], training)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Rgb, RgbImage};

    fn grey(value: u8) -> DynamicImage {
        GrayImage::from_pixel(20, 16, image::Luma([value])).into()
    }

    fn save(folder: &Path, name: &str, picture: &DynamicImage) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }

    #[test]
    fn class_folders_are_recognised() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..6 {
            save(folder.path(), &format!("cat/{index}.png"), &grey(index));
            save(folder.path(), &format!("owl/{index}.png"), &grey(100 + index));
        }
        let proposal = recognise(folder.path()).unwrap().expect("class folders");
        assert_eq!(proposal.seen[0], "12 pictures in 2 classes: cat 6, owl 6");
        assert_eq!(proposal.seen[1], "all 16×20 pixels, grey");
        assert_eq!(proposal.purpose, Purpose::ClassifyPictures { size: [20, 20] });
        assert!(proposal.settings[0].line.contains("channels = 1"), "{:?}", proposal.settings);
        assert_eq!((proposal.warnings.len(), proposal.examples), (0, 12));
    }

    #[test]
    fn what_makes_figures_doubtful_is_said() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..40 {
            save(folder.path(), &format!("train/cat/{index}.png"), &grey(index));
        }
        let red = DynamicImage::from(RgbImage::from_pixel(90, 30, Rgb([200, 0, 0])));
        save(folder.path(), "train/owl/a.png", &red);
        save(folder.path(), "train/owl/b.png", &grey(3));
        save(folder.path(), "test/owl/c.png", &red);
        std::fs::write(folder.path().join("train/cat/bad.png"), b"no picture").unwrap();
        let proposal = recognise(folder.path()).unwrap().expect("class folders");
        let said = proposal.warnings.join("\n");
        for expected in [
            "40 pictures and the smallest 3",
            "class owl has 3 pictures",
            "copies of other files: 2",
            "copies in another class: 1",
            "the test too easy: 1",
            "will be left out: 1",
            "bad.png",
        ] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        assert!(proposal.settings[0].line.contains("channels = 3"));
        assert_eq!(proposal.examples, 42);
    }

    #[test]
    fn other_folders_are_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(recognise(folder.path()).unwrap(), None);
        std::fs::write(folder.path().join("notes.txt"), "text").unwrap();
        assert_eq!(recognise(folder.path()).unwrap(), None);
        save(folder.path(), "loose.png", &grey(1));
        assert!(recognise(folder.path()).unwrap_err().to_string().contains("what they show"));
    }
}
