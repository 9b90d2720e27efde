//! Where series with classes come from.

use std::path::PathBuf;

use ansatz_core::{Error, Places, Result};
use ansatz_data::{Cache, catalogue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ts::{self, TsFile, wrong};

/// Where series with classes come from: `source = "gun-point"`, or
/// `source = { files = { train = "MINE_TRAIN.ts", test = "MINE_TEST.ts" } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelledSeriesSource {
    /// Power used in Italy in a day, 24 hours: October to March, or April to September; 67 + 1,029.
    #[default]
    ItalyPowerDemand,
    /// A hand that draws a gun or points, 150 steps; 50 + 150.
    GunPoint,
    /// Outlines of arrow heads of three kinds, 251 steps; 36 + 175.
    ArrowHead,
    /// Outlines of leaves of six kinds of trees, 427 steps; 200 + 242.
    OsuLeaf,
    /// Power used by appliances of ten kinds, 1,460 steps; 100 + 100.
    Acsf1,
    /// A wrist while standing, walking, running and playing badminton, 100 steps of 6 channels; 40 + 40.
    BasicMotions,
    /// Vowels of nine speakers, 7 to 29 steps of 12 channels; 270 + 370.
    JapaneseVowels,
    /// Files in the format `.ts`.
    Files(LabelledSeriesFiles),
}

/// Files in the format `.ts` of the UCR and UEA archives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelledSeriesFiles {
    /// The file that is learned from.
    pub train: PathBuf,
    /// The file that is the test part. Left out: a share of each class is taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
}

/// What a source holds: the test part is `None` where it is yet to be taken off.
pub(super) struct Found {
    pub(super) train: Labelled,
    pub(super) test: Option<Labelled>,
}

/// A file of series with a class each.
pub(super) struct Labelled {
    pub(super) file: TsFile,
    /// The names of the classes, in the order of the file's header.
    pub(super) names: Vec<String>,
    /// The class of each series, by its place among the names.
    pub(super) classes: Vec<usize>,
    path: PathBuf,
}

impl Labelled {
    /// Reads a file, whose series are all of one class without a name where they need not be `labelled` and are not.
    fn read(path: PathBuf, labelled: bool) -> Result<Self> {
        let file = ts::read(&path)?;
        let classes: Option<Vec<usize>> = file.heads.iter().map(|head| head.class).collect();
        match (file.classes.clone(), classes) {
            (Some(names), Some(classes)) => Ok(Self { file, names, classes, path }),
            _ if !labelled => {
                let classes = vec![0; file.heads.len()];
                Ok(Self { file, names: vec![String::new()], classes, path })
            }
            _ => {
                let expected = "series with a class each: `@classLabel true` and their names";
                Err(wrong(&path, "its series have no labels", expected, "give a file with labels"))
            }
        }
    }

    /// The name of the class of series `index`.
    pub(super) fn label(&self, index: usize) -> &str {
        &self.names[self.classes[index]]
    }

    /// Where series `index` stands.
    pub(super) fn place(&self, index: usize) -> String {
        format!("{}, line {}", self.path.display(), self.file.heads[index].line)
    }
}

impl LabelledSeriesSource {
    /// All series.
    ///
    /// # Errors
    /// When a file cannot be read, has no labels though it should be `labelled`, or the two do not fit together.
    pub(super) fn read(&self, places: &Places, labelled: bool) -> Result<Found> {
        let (train, test) = self.files(places)?;
        let train = Labelled::read(train, labelled)?;
        let test = test.map(|test| Labelled::read(test, labelled)).transpose()?;
        if let Some(test) = test.as_ref().filter(|test| test.file.channels != train.file.channels) {
            let problem = format!("its series have {} dimensions", test.file.channels);
            let expected = format!("{}, as those that are learned from", train.file.channels);
            return Err(wrong(&test.path, problem, expected, "give the test file of the same set"));
        }
        Ok(Found { train, test })
    }

    /// The training and the test file.
    fn files(&self, places: &Places) -> Result<(PathBuf, Option<PathBuf>)> {
        let name = match self {
            Self::ItalyPowerDemand => "italy-power-demand",
            Self::GunPoint => "gun-point",
            Self::ArrowHead => "arrow-head",
            Self::OsuLeaf => "osu-leaf",
            Self::Acsf1 => "acsf1",
            Self::BasicMotions => "basic-motions",
            Self::JapaneseVowels => "japanese-vowels",
            Self::Files(LabelledSeriesFiles { train, test }) => return Ok((train.clone(), test.clone())),
        };
        let set = catalogue::find(name)?;
        let folder = Cache::at(&places.data).locate(set)?;
        match set.files {
            [train, test] => Ok((folder.join(train.name), Some(folder.join(test.name)))),
            _ => Err(Error::Failed(format!("set `{name}` has no two parts"))),
        }
    }
}
