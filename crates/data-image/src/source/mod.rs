//! Where pictures come from.

mod digits;
mod folder;
mod idx_files;
mod noise;

use std::path::{Path, PathBuf};

use ansatz_core::{ConfigError, Places};
use ansatz_data::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use folder::folders_of;
pub(crate) use idx_files::{PartFiles, find as find_idx};

use crate::decode::Filter;
use crate::pictures::Pictures;

/// Where pictures come from: `source = "mnist"`, or `source = { folder = { path = "pets" } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The UCI digits, 8×8 grey, part of the program. A fifth, 359 of 1,797, is the test part, drawn
    /// class by class with a seed of its own so that it is always the same.
    #[default]
    Digits,
    /// MNIST, 28×28 grey, 60,000 + 10,000.
    Mnist,
    /// Fashion-MNIST, 28×28 grey, 60,000 + 10,000.
    FashionMnist,
    /// PNG and JPEG files in folders named after their classes.
    Folder(Folder),
    /// idx files, as MNIST and its relatives are published.
    Idx(IdxFiles),
    /// A column of records that names a PNG or JPEG file each: for the data model `fused` alone.
    Records(PicturesOfRecords),
    /// Pictures of evenly drawn pixels, always the same, for measuring speed: nothing can be learned from them.
    Noise(Noise),
}

/// Made-up pictures: 512 to train on, 128 to test on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Height in pixels, 1–4096.
    pub height: usize,
    /// Width in pixels, 1–4096.
    pub width: usize,
    /// Values per pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Number of classes, 1–128.
    pub classes: usize,
}

impl Default for Noise {
    fn default() -> Self {
        Self { height: 28, width: 28, channels: 1, classes: 10 }
    }
}

impl Noise {
    fn check(&self) -> Result<(), ConfigError> {
        check_size("noise", self.height, self.width, self.channels)?;
        if (1..=128).contains(&self.classes) {
            return Ok(());
        }
        Err(ConfigError::value("source.noise.classes", format!("{} classes", self.classes), "1 to 128"))
    }
}

/// Refuses a source without a folder.
fn check_path(source: &str, path: &Path) -> Result<(), ConfigError> {
    if path.as_os_str().is_empty() {
        let key = format!("source.{source}.path");
        return Err(ConfigError::value(key, "no folder is named", "a folder of pictures"));
    }
    Ok(())
}

/// Refuses a size of pictures that no source may have.
fn check_size(source: &str, height: usize, width: usize, channels: usize) -> Result<(), ConfigError> {
    let path = |name: &str| format!("source.{source}.{name}");
    for (name, pixels) in [("height", height), ("width", width)] {
        if !(1..=4096).contains(&pixels) {
            return Err(ConfigError::value(path(name), format!("{pixels} pixels"), "1 to 4096 pixels"));
        }
    }
    if ![1, 3].contains(&channels) {
        let problem = format!("{channels} channels");
        return Err(ConfigError::value(path("channels"), problem, "1 (grey) or 3 (colour)"));
    }
    Ok(())
}

/// PNG and JPEG files in folders named after their classes; where patches are hidden, also in one folder.
///
/// Where `path` holds the folders `train` and `test`, these are the parts; otherwise a share of each
/// class is taken off for testing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Folder {
    /// The folder that holds a folder per class, or `train` and `test` with a folder per class each.
    pub path: PathBuf,
    /// Height that pictures are brought to, in pixels, 1–4096.
    pub height: usize,
    /// Width that pictures are brought to, in pixels, 1–4096.
    pub width: usize,
    /// Values per pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// What is taken off for testing where there is no folder `test`.
    pub test: Share,
    /// Seed of that choice; independent of the run's seed.
    pub test_seed: u64,
    /// Whether a file that cannot be read as a picture stops everything. Otherwise it is left out, and named among the
    /// run's notes.
    pub strict: bool,
}

impl Default for Folder {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            height: 64,
            width: 64,
            channels: 3,
            test: Share::Fraction(0.2),
            test_seed: 0,
            strict: false,
        }
    }
}

impl Folder {
    fn check(&self) -> Result<(), ConfigError> {
        check_path("folder", &self.path)?;
        check_size("folder", self.height, self.width, self.channels)
    }
}

/// idx files of grey pictures and their labels, plain or gzipped, as MNIST and its relatives are published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdxFiles {
    /// The folder that holds them: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and perhaps a test part with
    /// `t10k` or `test` in the place of `train`. Names may have more before or behind that.
    pub path: PathBuf,
    /// Names of the classes, in the order of their labels from 0 on. Left out: the labels themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// What is taken off for testing where there is no test part.
    pub test: Share,
    /// Seed of that choice; independent of the run's seed.
    pub test_seed: u64,
}

impl Default for IdxFiles {
    fn default() -> Self {
        Self { path: PathBuf::new(), classes: Vec::new(), test: Share::Fraction(0.2), test_seed: 0 }
    }
}

/// A column of records of the data model `fused` that names PNG or JPEG files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PicturesOfRecords {
    /// Height that pictures are brought to, in pixels, 1–4096.
    pub height: usize,
    /// Width that pictures are brought to, in pixels, 1–4096.
    pub width: usize,
    /// Values per pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// How they are brought to it.
    pub filter: Filter,
}

impl Default for PicturesOfRecords {
    fn default() -> Self {
        Self { height: 64, width: 64, channels: 3, filter: Filter::default() }
    }
}

/// What a source holds.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) classes: Vec<String>,
    /// What the validation part is yet to be taken off.
    pub(crate) train: Pictures,
    pub(crate) test: Pictures,
    /// What was wrong with each file that was left out.
    pub(crate) damaged: Vec<String>,
}

impl Source {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Idx(files) => {
                check_path("idx", &files.path)?;
                files.test.check("source.idx.test.fraction")
            }
            Self::Folder(folder) => folder.check(),
            Self::Noise(noise) => noise.check(),
            Self::Records(PicturesOfRecords { height, width, channels, .. }) => {
                check_size("records", *height, *width, *channels)
            }
            Self::Digits | Self::Mnist | Self::FashionMnist => Ok(()),
        }
    }

    /// The brightness in 0–1 that surrounds what a picture shows: black for the digit sets, Fashion-MNIST and idx files,
    /// white for others.
    pub fn background(&self) -> f64 {
        match self {
            Self::Digits | Self::Mnist | Self::FashionMnist | Self::Idx(_) | Self::Noise(_) => 0.0,
            Self::Folder(_) | Self::Records(_) => 1.0,
        }
    }

    /// Reads all pictures; those of a folder may be without classes where they are not `labelled`.
    pub(crate) fn read(
        &self,
        places: &Places,
        background: f64,
        invert: bool,
        labelled: bool,
    ) -> ansatz_core::Result<Found> {
        match self {
            Self::Digits => digits::read(),
            Self::Mnist => idx_files::read("mnist", places, idx_files::digit_names()),
            Self::FashionMnist => idx_files::read("fashion-mnist", places, idx_files::fashion_names()),
            Self::Idx(files) => idx_files::read_own(files, labelled),
            Self::Folder(folder) => folder::read(folder, background, invert, labelled),
            Self::Noise(noise) => Ok(noise::make(noise)),
            Self::Records(_) => {
                let problem = "it stands for a column of records, which the data model `fused` reads";
                let expected = "\"mnist\", { folder = … } or another source of pictures";
                Err(ConfigError::value("data.source", problem, expected).into())
            }
        }
    }
}
