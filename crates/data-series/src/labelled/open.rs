//! Labelled series, read, divided and brought to one scale.

use ansatz_core::{Batch, Encoder, Error, Exhibit, OpenData, Part, Places, Result, Targets, Variation};
use ansatz_data::{Division, Purpose, stream};

use super::drawing::drawing;
use super::encoder::{Prepared, Scaled};
use super::source::Labelled;
use super::{LabelledSeriesConfig, LabelledSeriesEncoder};
use crate::Scaling;

/// A series as the network reads it, with its class.
struct Example {
    series: Scaled,
    class: usize,
}

/// Labelled series, read, divided class by class, and brought to one scale.
pub struct OpenLabelledSeries {
    encoder: LabelledSeriesEncoder,
    config: LabelledSeriesConfig,
    /// Training, validation and test.
    parts: [Vec<Example>; 3],
    notes: Vec<String>,
}

impl OpenLabelledSeries {
    /// Reads the source, divides it, and fits length and scale on the training part.
    ///
    /// # Errors
    /// When the source is not there, has one class alone, or the test part has a class that training has not.
    pub fn open(config: &LabelledSeriesConfig, places: &Places) -> Result<Self> {
        let found = config.source.read(places)?;
        let channels = found.channels;
        let occurs = |class: &String| found.train.iter().any(|series| series.label == *class);
        let classes: Vec<String> = found.classes.iter().filter(|class| occurs(class)).cloned().collect();
        if classes.len() < 2 {
            let problem = format!("all {} series are of one class", found.train.len());
            let expected = "two classes at least";
            return Err(Error::input("the source of labelled series", problem, expected, "give more series"));
        }
        let class = |series: &Labelled| {
            classes.iter().position(|class| *class == series.label).ok_or_else(|| {
                let problem = format!("the class `{}` is not in the training part", series.label);
                let expected = format!("one of {}", classes.join(", "));
                Error::input(&series.place, problem, expected, "add series of the class, or remove this one")
            })
        };
        let labels = |series: &[Labelled]| series.iter().map(class).collect::<Result<Vec<usize>>>();
        let (rest, test) = match found.test {
            Some(test) => (found.train, test),
            None => {
                let parts = Division::stratified(&labels(&found.train)?, config.test, config.split_seed)?;
                parts.divide(found.train)
            }
        };
        let parts = Division::stratified(&labels(&rest)?, config.validation, config.split_seed)?;
        let (train, validation) = parts.divide(rest);
        let prepared = fit(&train, channels, &classes, config.length);
        let encoder = LabelledSeriesEncoder::new(prepared, config);
        let all = || train.iter().chain(&validation).chain(&test);
        let notes = notes(all(), channels, encoder.length());
        let examples = |part: &[Labelled]| {
            let example = |labelled: &Labelled| {
                Ok(Example { series: encoder.scaled(&labelled.series), class: class(labelled)? })
            };
            part.iter().map(example).collect::<Result<Vec<_>>>()
        };
        let parts = [examples(&train)?, examples(&validation)?, examples(&test)?];
        Ok(Self { encoder, config: config.clone(), parts, notes })
    }

    fn part(&self, part: Part) -> &[Example] {
        match part {
            Part::Train => &self.parts[0],
            Part::Validation => &self.parts[1],
            Part::Test => &self.parts[2],
        }
    }
}

/// What is learned from the training part.
fn fit(train: &[Labelled], channels: usize, classes: &[String], length: Option<usize>) -> Prepared {
    let values: Vec<f64> = train.iter().flat_map(|labelled| &labelled.series.values).copied().collect();
    let observed: Vec<bool> = values.iter().map(|value| !value.is_nan()).collect();
    let longest = train.iter().map(|labelled| labelled.series.values.len() / channels).max().unwrap_or(1);
    Prepared {
        length: length.unwrap_or(longest),
        scaling: Scaling::fit(&values, &observed, channels),
        gaps: observed.contains(&false),
        classes: classes.to_vec(),
    }
}

/// What was cut, and what is missing.
fn notes<'a>(series: impl Iterator<Item = &'a Labelled>, channels: usize, length: usize) -> Vec<String> {
    let (mut total, mut cut, mut gaps) = (0, 0, 0);
    for Labelled { series, .. } in series {
        total += 1;
        cut += usize::from(series.values.len() > length * channels);
        gaps += usize::from(series.values.iter().any(|value| value.is_nan()));
    }
    let mut notes = Vec::new();
    if cut > 0 {
        notes.push(format!("{cut} of {total} series are longer than {length} steps, and cut at their end."));
    }
    if gaps > 0 {
        notes.push(format!("{gaps} of {total} series lack values, which are put on straight lines."));
    }
    notes
}

impl OpenData for OpenLabelledSeries {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        self.part(part).len()
    }

    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let all = self.part(part);
        let row = |&index: &usize| {
            let mut series = all[index].series.clone();
            if let Some(Variation { seed, epoch }) = variation {
                let mut random = stream(seed, Purpose::Example, epoch, index as u64);
                let Scaled { values, observed } = &mut series;
                self.config.augment.apply(values, observed, self.encoder.channels(), &mut random);
            }
            series
        };
        let rows: Vec<Scaled> = indices.iter().map(row).collect();
        let classes = indices.iter().map(|&index| all[index].class).collect();
        Ok(self.encoder.batch(&rows, Targets::Classes(classes)))
    }

    fn targets(&self, part: Part) -> Option<Targets> {
        Some(Targets::Classes(self.part(part).iter().map(|example| example.class).collect()))
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let Scaled { values, .. } = &self.part(part)[index].series;
        Ok(Exhibit::Png(drawing(values, self.encoder.channels())?))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LabelledSeriesFiles, LabelledSeriesSource};
    use super::*;
    use crate::{MASK, VALUES};

    fn open(train: &str, test: Option<&str>, config: LabelledSeriesConfig) -> Result<OpenLabelledSeries> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("@classLabel true up down\n@data\n{rows}")).unwrap();
            path
        };
        let source = LabelledSeriesSource::Files(LabelledSeriesFiles {
            train: write("a_TRAIN.ts", train),
            test: test.map(|rows| write("a_TEST.ts", rows)),
        });
        OpenLabelledSeries::open(
            &LabelledSeriesConfig { source, ..config },
            &Places { data: folder.path().to_owned() },
        )
    }

    fn rows(count: usize) -> String {
        (0..count).map(|index| format!("{index},1,2:{}\n", ["up", "down"][index % 2])).collect()
    }

    #[test]
    fn every_series_is_in_one_part_and_classes_keep_their_shares() {
        let config =
            LabelledSeriesConfig { validation: ansatz_data::Share::Fraction(0.25), ..Default::default() };
        let data = open(&rows(40), None, config).unwrap();
        let counts = [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
        assert_eq!(counts, [24, 8, 8]);
        let batch = data.batch(Part::Test, &[0, 1, 2, 3, 4, 5, 6, 7], None).unwrap();
        let Targets::Classes(classes) = batch.targets else { unreachable!() };
        assert_eq!(classes.iter().filter(|class| **class == 0).count(), 4);
    }

    #[test]
    fn length_and_scale_are_those_of_the_training_part_alone() {
        let test = "100,100,100,100:up\n?,5:down\n";
        let data = open("0,2:up\n2,4,4:down\n", Some(test), LabelledSeriesConfig::default()).unwrap();
        let batch = data.batch(Part::Test, &[0, 1], None).unwrap();
        let [(name, values), (mask, real)] = &batch.inputs[..] else { unreachable!() };
        assert_eq!((name.as_str(), mask.as_str()), (VALUES, MASK));
        assert_eq!(values.shape()[..], [2, 3, 1]);
        // Mean 2.4, deviation 1.4967.
        let values: Vec<f32> = values.clone().try_to_vec().unwrap();
        assert!((values[0] - 97.6 / 1.496_663).abs() < 1e-3 && values[3] == values[4], "{values:?}");
        assert_eq!(real.clone().try_to_vec::<i64>().unwrap(), [1, 1, 1, 1, 1, 0]);
        let notes = data.notes().join(" ");
        assert!(notes.contains("1 of 4 series are longer than 3") && notes.contains("1 of 4 series lack"));
    }

    #[test]
    fn training_series_vary_and_others_do_not() {
        let augment = super::super::SeriesAugment { jitter: 0.1, ..Default::default() };
        let config = LabelledSeriesConfig { augment, ..Default::default() };
        let data = open(&rows(10), Some(&rows(2)), config).unwrap();
        let values = |epoch| {
            let batch = data.batch(Part::Train, &[3], Some(Variation { seed: 1, epoch })).unwrap();
            batch.inputs[0].1.clone().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(values(0), values(0));
        assert_ne!(values(0), values(1));
        let Exhibit::Png(png) = data.exhibit(Part::Test, 0).unwrap() else { unreachable!() };
        assert!(png.starts_with(b"\x89PNG"));
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let message =
            |train: &str, test: Option<&str>| match open(train, test, LabelledSeriesConfig::default()) {
                Err(error) => error.to_string(),
                Ok(_) => String::new(),
            };
        assert!(message("1,2:up\n3,4:up\n", None).contains("of one class"));
        assert!(message(&rows(4), Some("1:2:up\n")).contains("its series have 2 dimensions"));
        let said = message(&rows(4), Some("1,2:sideways\n"));
        assert!(said.contains("a_TEST.ts: line 3 has the label `sideways`"), "{said}");
    }
}
