//! Where series with classes come from.

use std::path::{Path, PathBuf};

use ansatz_core::{Error, Places, Result};
use ansatz_data::{Cache, catalogue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ts::{self, TsFile, TsSeries, wrong};

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

/// A series with its class, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Labelled {
    pub(super) series: TsSeries,
    pub(super) label: String,
    pub(super) place: String,
}

/// What a source holds: the test part is `None` where it is yet to be taken off.
pub(super) struct Found {
    pub(super) channels: usize,
    /// In the order in which the header of the training file names them.
    pub(super) classes: Vec<String>,
    pub(super) train: Vec<Labelled>,
    pub(super) test: Option<Vec<Labelled>>,
}

impl LabelledSeriesSource {
    /// All series.
    ///
    /// # Errors
    /// When a file cannot be read, has no labels, or the two do not fit together.
    pub(super) fn read(&self, places: &Places) -> Result<Found> {
        let (train, test) = self.files(places)?;
        let file = ts::read(&train)?;
        let (channels, classes) = (file.channels, file.classes.clone().unwrap_or_default());
        let train = labelled(file, &train)?;
        let test = match test {
            None => None,
            Some(path) => {
                let file = ts::read(&path)?;
                if file.channels != channels {
                    let problem = format!("its series have {} dimensions", file.channels);
                    let expected = format!("{channels}, as those that are learned from");
                    return Err(wrong(&path, problem, expected, "give the test file of the same set"));
                }
                Some(labelled(file, &path)?)
            }
        };
        Ok(Found { channels, classes, train, test })
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

/// The series of a file that must have labels.
fn labelled(file: TsFile, path: &Path) -> Result<Vec<Labelled>> {
    let with_label = |series: TsSeries| {
        let label = series.label.clone()?;
        Some(Labelled { place: format!("{}, line {}", path.display(), series.line), label, series })
    };
    file.series.into_iter().map(with_label).collect::<Option<_>>().ok_or_else(|| {
        let expected = "series with a class each: `@classLabel true` and their names";
        wrong(path, "its series have no labels", expected, "give a file with labels")
    })
}
