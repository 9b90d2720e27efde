//! A column of pictures as one modality of examples that have several.

use std::path::PathBuf;

use ansatz_core::{
    Batch, BoxedStem, Build, Cell, ConfigError, Encoder, Error, Exhibit, FittedModality, Modality,
    ModalityEncoder, ModalityExamples, Record, Records, Result, Targets, Variation,
};
use ansatz_data::{Purpose, stream};
use burn::tensor::TensorData;
use rayon::prelude::*;

use crate::augment::{Augment, Mix, Warp};
use crate::config::ImageConfig;
use crate::contact_sheet::{enlarge, to_png};
use crate::encoder::ImageEncoder;
use crate::pictures::{PictureSize, Pictures, Pixels, STREAMED_FROM};
use crate::preparation::{Normalisation, Preparation};
use crate::source::{PicturesOfRecords, Source};

impl ImageConfig {
    /// Refuses what belongs to the example as a whole, and gives what is asked of the pictures.
    fn check_modality(&self, records: &Records) -> Result<&PicturesOfRecords> {
        let Source::Records(pictures) = &self.source else {
            let expected = "{ records = { height = 64, width = 64 } }, or no source";
            return Err(
                ConfigError::value("source", "the records say what the pictures are", expected).into()
            );
        };
        let usual = Self::default();
        let whole = [
            ("validation", self.validation != usual.validation, "data.split divides examples"),
            ("validation_seed", self.validation_seed != usual.validation_seed, "data.split divides examples"),
            ("train", self.train.is_some(), "data.split divides examples"),
            ("masking", self.masking.is_some(), "the label of the whole example is told"),
            ("mirror", self.mirror, "examples of several modalities are judged as they are"),
            ("augment.mix", self.augment.mix != Mix::default(), "labels belong to the whole example"),
        ];
        if let Some((name, _, why)) = whole.into_iter().find(|(_, given, _)| *given) {
            let problem = "it cannot be set for a picture among several modalities";
            return Err(ConfigError::value(name, problem, format!("nothing here: {why}")).into());
        }
        match records.columns.len() {
            1 => Ok(pictures),
            count => {
                let problem = format!("{count} columns");
                Err(ConfigError::value("columns", problem, "one column, which names files").into())
            }
        }
    }
}

impl Modality for ImageConfig {
    fn fit(&self, records: &Records, train: &[usize]) -> Result<FittedModality> {
        let PicturesOfRecords { height, width, channels, filter } = *self.check_modality(records)?;
        let size = PictureSize { height, width, channels };
        let mut preparation = Preparation {
            size,
            classes: Vec::new(),
            normalisation: Normalisation { mean: vec![0.0; channels], deviation: vec![1.0; channels] },
            invert: self.invert,
            background: self.background(),
            filter,
        };
        let (pictures, present) = read(&preparation, records)?;
        let train: Vec<usize> = train.iter().copied().filter(|&index| present[index]).collect();
        preparation.normalisation = self.normalise.resolve(&pictures, &train)?;
        let encoder = PictureModality { encoder: ImageEncoder::new(preparation, self) };
        let augment = self.augment.clone();
        let examples = PictureExamples { encoder: encoder.encoder.clone(), augment, pictures, present };
        Ok(FittedModality { encoder: Box::new(encoder), examples: Box::new(examples), notes: Vec::new() })
    }

    fn restore(&self, preparation: &ansatz_core::Preparation) -> Result<Box<dyn ModalityEncoder>> {
        let encoder = ImageEncoder::new(Preparation::from_json(preparation)?, self);
        Ok(Box::new(PictureModality { encoder }))
    }
}

/// The pictures of all records, and which records have one; the others get the background.
fn read(preparation: &Preparation, records: &Records) -> Result<(Pictures, Vec<bool>)> {
    read_streaming(preparation, records, STREAMED_FROM)
}

/// The same, where pictures of at least so many bytes together stay in their files.
fn read_streaming(
    preparation: &Preparation,
    records: &Records,
    streamed_from: usize,
) -> Result<(Pictures, Vec<bool>)> {
    let size = preparation.size;
    let decoder = preparation.decoder();
    let picture = |record: &Record| {
        let path = |named: &str| record.path(named);
        match record.cells.first() {
            Some(Cell::Bytes(bytes)) => Ok(Some(decoder.read_bytes(&record.place.file, bytes)?)),
            Some(cell) => match cell.known() {
                Some(named) => decoder.read(&path(named)).map(Some).map_err(|error| at(record, error)),
                None => Ok(None),
            },
            None => Ok(None),
        }
    };
    let total = records.rows.len();
    let labels = vec![0; total];
    let file = |record: Result<Record>| {
        let record = record?;
        Ok(match record.cells.first() {
            Some(Cell::Bytes(_)) => None,
            cell => Some(cell.and_then(Cell::known).map(|named| record.path(named))),
        })
    };
    let files = records.rows.iter().map(file).collect::<Result<Option<Vec<Option<PathBuf>>>>>()?;
    let read = |index: usize| picture(&records.rows.get(index)?);
    if let Some(files) = files.filter(|files| files.len() * size.values() >= streamed_from) {
        // Each is read once all the same, so that what cannot be read is told before training begins.
        (0..total).into_par_iter().try_for_each(|index| read(index).map(drop))?;
        let present = files.iter().map(Option::is_some).collect();
        return Ok((
            Pictures { size, full_scale: 255, pixels: Pixels::Files(files, decoder), labels },
            present,
        ));
    }
    // Decoding is most of the time that reading a set takes.
    let read = (0..total).into_par_iter().map(read).collect::<Result<Vec<Option<Vec<u8>>>>>()?;
    let present = read.iter().map(Option::is_some).collect();
    let blank = vec![decoder.background(); size.values()];
    let pixels = read.into_iter().flat_map(|bytes| bytes.unwrap_or_else(|| blank.clone())).collect();
    Ok((Pictures { size, full_scale: 255, pixels: Pixels::Held(pixels), labels }, present))
}

/// The same error with the place of the record that named the file.
fn at(record: &Record, error: Error) -> Error {
    match error {
        Error::Input { input, problem, expected, remedy } => {
            Error::Input { input: format!("{}: {input}", record.place), problem, expected, remedy }
        }
        Error::File { path, action: "read", source } => Error::input(
            format!("{}: {}", record.place, path.display()),
            format!("cannot be read: {source}"),
            "a PNG or JPEG file, its path as seen from the folder of the records",
            "mend the path, or leave the cell empty",
        ),
        other => other,
    }
}

/// Fitted preprocessing of a column of pictures.
struct PictureModality {
    encoder: ImageEncoder,
}

impl ModalityEncoder for PictureModality {
    fn preparation(&self) -> Result<ansatz_core::Preparation> {
        self.encoder.preparation()
    }

    fn read(&self, records: &Records) -> Result<Box<dyn ModalityExamples>> {
        let (pictures, present) = read(self.encoder.fitted(), records)?;
        let (encoder, augment) = (self.encoder.clone(), Augment::default());
        Ok(Box::new(PictureExamples { encoder, augment, pictures, present }))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        self.encoder.stem(width, build)
    }
}

/// Pictures at the size that the network reads.
struct PictureExamples {
    encoder: ImageEncoder,
    augment: Augment,
    pictures: Pictures,
    present: Vec<bool>,
}

impl ModalityExamples for PictureExamples {
    fn is_present(&self, index: usize) -> bool {
        self.present[index]
    }

    fn inputs(&self, indices: &[usize], variation: Option<Variation>) -> Result<Vec<(String, TensorData)>> {
        let size = self.pictures.size;
        let mut values = vec![0.0; indices.len() * size.values()];
        let mut warp = Warp::default();
        for (picture, &index) in values.chunks_exact_mut(size.values()).zip(indices) {
            self.pictures.write(index, picture)?;
            if let Some(Variation { seed, epoch }) = variation {
                let mut random = stream(seed, Purpose::Example, epoch, index as u64);
                self.augment.apply(picture, size, &mut random, &mut warp);
            }
        }
        let Batch { inputs, .. } = self.encoder.batch(values, Targets::Unknown);
        Ok(inputs)
    }

    fn exhibit(&self, index: usize) -> Result<Exhibit> {
        to_png(&enlarge(&self.pictures.bytes(index)?, self.pictures.size)).map(Exhibit::Png)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Place;
    use image::{Rgb, RgbImage};

    fn records(folder: &std::path::Path, files: &[&str]) -> Records {
        let place = Place { file: folder.join("a.csv").into(), line: 2 };
        let row = |file: &&str| Record { place: place.clone(), cells: vec![Cell::Text((*file).to_owned())] };
        Records::new(vec!["file".to_owned()], files.iter().map(row)).unwrap()
    }

    fn config() -> ImageConfig {
        let pictures = PicturesOfRecords { height: 2, width: 2, ..PicturesOfRecords::default() };
        ImageConfig { source: Source::Records(pictures), ..ImageConfig::default() }
    }

    #[test]
    fn pictures_are_read_beside_their_records_and_fitted_on_training_alone() {
        let folder = tempfile::tempdir().unwrap();
        RgbImage::from_pixel(2, 2, Rgb([0, 51, 102])).save(folder.path().join("dark.png")).unwrap();
        RgbImage::from_pixel(2, 2, Rgb([255; 3])).save(folder.path().join("light.png")).unwrap();
        let all = records(folder.path(), &["dark.png", "", "light.png"]);
        let fitted = config().fit(&all, &[0, 1]).unwrap();
        let present: Vec<bool> = (0..3).map(|index| fitted.examples.is_present(index)).collect();
        assert_eq!(present, [true, false, true]);
        let inputs = fitted.examples.inputs(&[0], None).unwrap();
        // The mean of the only training picture is taken off.
        assert!(inputs[0].1.iter::<f32>().all(|value| value.abs() < 1e-6));
        let varied = Variation { seed: 1, epoch: 2 };
        let same = fitted.examples.inputs(&[0], Some(varied)).unwrap();
        same[0].1.assert_eq(&inputs[0].1, true);
        let restored = config().restore(&fitted.encoder.preparation().unwrap()).unwrap();
        let light = restored.read(&records(folder.path(), &["light.png"])).unwrap();
        let expected = fitted.examples.inputs(&[2], None).unwrap();
        light.inputs(&[0], None).unwrap()[0].1.assert_eq(&expected[0].1, true);
        assert!(matches!(fitted.examples.exhibit(1), Ok(Exhibit::Png(_))));
        for (file, problem) in [("absent.png", "line 2"), ("a.csv", "line 2")] {
            std::fs::write(folder.path().join("a.csv"), "no picture").unwrap();
            let said =
                config().fit(&records(folder.path(), &[file]), &[0]).err().expect("refused").to_string();
            assert!(said.contains(problem) && said.contains(file), "{said}");
        }
    }

    #[test]
    fn pictures_that_stay_in_their_files_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        RgbImage::from_pixel(2, 2, Rgb([0, 51, 102])).save(folder.path().join("dark.png")).unwrap();
        let all = records(folder.path(), &["dark.png", ""]);
        let fitted = config().fit(&all, &[0]).unwrap();
        let preparation = Preparation::from_json(&fitted.encoder.preparation().unwrap()).unwrap();
        let [(held, _), (streamed, present)] =
            [usize::MAX, 0].map(|from| read_streaming(&preparation, &all, from).unwrap());
        assert!(matches!(streamed.pixels, Pixels::Files(..)) && present == [true, false]);
        (0..2).for_each(|index| assert_eq!(held.bytes(index).unwrap(), streamed.bytes(index).unwrap()));
        std::fs::remove_file(folder.path().join("dark.png")).unwrap();
        assert!(streamed.bytes(0).is_err() && read_streaming(&preparation, &all, 0).is_err());
    }

    #[test]
    fn what_belongs_to_the_whole_example_is_refused() {
        let all = records(std::path::Path::new("."), &[""]);
        let said = |config: ImageConfig| config.fit(&all, &[0]).err().expect("refused").to_string();
        assert!(said(ImageConfig { mirror: true, ..config() }).contains("`mirror`"));
        assert!(said(ImageConfig { source: Source::Mnist, ..config() }).contains("`source`"));
        let masking = Some(crate::Masking::default());
        assert!(said(ImageConfig { masking, ..config() }).contains("`masking`"));
        let mut mixed = config();
        mixed.augment.mix.mixup = 0.2;
        assert!(said(mixed).contains("`augment.mix`"));
    }
}
