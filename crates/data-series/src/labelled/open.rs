//! Labelled series, read, divided and brought to one scale.

use ansatz_core::{
    Batch, Encoder, Error, Exhibit, OpenData, Part, Places, Result, Spool, SpoolWriter, Targets, Variation,
};
use ansatz_data::{Division, Purpose, hiding, stream};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::encoder::{Prepared, Scaled};
use super::kernels::Kernels;
use super::source::{Found, Labelled};
use super::{LabelledSeriesConfig, LabelledSeriesEncoder, SeriesAugment};
use crate::Scaling;
use crate::drawing::drawing;

/// A series with its class, and where it is.
#[derive(Clone, Copy)]
struct Example {
    file: usize,
    index: usize,
    class: usize,
}

/// Labelled series, read, divided class by class, and brought to one scale. They need not fit into memory.
pub struct OpenLabelledSeries {
    encoder: LabelledSeriesEncoder,
    config: LabelledSeriesConfig,
    files: Vec<Labelled>,
    /// The responses of kernels to the series of each file, where there are kernels.
    responses: Vec<Spool>,
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
        let labelled = config.masking.is_none();
        let Found { train, test } = config.source.read(places, labelled)?;
        let occurs = |class: &usize| train.classes.contains(class);
        let classes: Vec<String> =
            (0..train.names.len()).filter(occurs).map(|class| train.names[class].clone()).collect();
        if classes.len() < 2 && labelled {
            let problem = format!("all {} series are of one class", train.classes.len());
            let expected = "two classes at least";
            return Err(Error::input("the source of labelled series", problem, expected, "give more series"));
        }
        let has_test = test.is_some();
        let files: Vec<Labelled> = std::iter::once(train).chain(test).collect();
        let examples = |file: usize| {
            let example = |index: usize| {
                let label = files[file].label(index);
                let class = classes.iter().position(|class| class == label).ok_or_else(|| {
                    let problem = format!("the class `{label}` is not in the training part");
                    let expected = format!("one of {}", classes.join(", "));
                    let remedy = "add series of the class, or remove this one";
                    Error::input(files[file].place(index), problem, expected, remedy)
                })?;
                Ok(Example { file, index, class })
            };
            (0..files[file].classes.len()).map(example).collect::<Result<Vec<Example>>>()
        };
        let of = |examples: &[Example]| examples.iter().map(|example| example.class).collect::<Vec<usize>>();
        let learned = examples(0)?;
        let (rest, test) = if has_test {
            (learned, examples(1)?)
        } else {
            Division::stratified(&of(&learned), config.test, config.split_seed)?.divide(learned)
        };
        let parts = Division::stratified(&of(&rest), config.validation, config.split_seed)?;
        let (train, validation) = parts.divide(rest);
        let prepared = fit(&files, &train, classes, config.length)?;
        if let Some(masking) = &config.masking {
            masking.check(Some(prepared.length)).map_err(|error| error.under("data.masking"))?;
        }
        let mut notes = notes(&files, prepared.length);
        let mut encoder = LabelledSeriesEncoder::new(prepared, config);
        let mut responses = Vec::new();
        if let Some(kernels) = &config.kernels {
            let mut kernels = Kernels::new(kernels, encoder.length(), encoder.channels())?;
            let values =
                |file: usize, index: usize| Ok(encoder.scaled(files[file].file.values(index)?).values);
            kernels.fit(train.len(), |place| values(train[place].file, train[place].index))?;
            for (file, labelled) in files.iter().enumerate() {
                responses.push(respond(&kernels, labelled.classes.len(), |index| values(file, index))?);
            }
            let learned = || train.iter().map(|&Example { file, index, .. }| floats(&responses[file], index));
            let fitted = kernels.fitted(learned)?;
            notes.push(format!(
                "each series is read as {} responses of kernels, which are not trained.",
                kernels.count()
            ));
            encoder = encoder.with_kernels(kernels, fitted);
        }
        let parts = [train, validation, test];
        Ok(Self { encoder, config: config.clone(), files, responses, parts, notes })
    }

    fn part(&self, part: Part) -> &[Example] {
        match part {
            Part::Train => &self.parts[0],
            Part::Validation => &self.parts[1],
            Part::Test => &self.parts[2],
        }
    }

    /// Example `index` of `part` on the scale of the network.
    fn series(&self, part: Part, index: usize) -> Result<Scaled> {
        let Example { file, index, .. } = self.part(part)[index];
        Ok(self.encoder.scaled(self.files[file].file.values(index)?))
    }
}

/// The responses to `count` series, each of which `values` reads.
fn respond(
    kernels: &Kernels,
    count: usize,
    values: impl Fn(usize) -> Result<Vec<f32>> + Sync,
) -> Result<Spool> {
    /// Series that are looked at before their responses are written.
    const AT_ONCE: usize = 256;
    let mut written = SpoolWriter::default();
    for first in (0..count).step_by(AT_ONCE) {
        let some = first..count.min(first + AT_ONCE);
        let rows: Vec<Result<Vec<u8>>> = some
            .into_par_iter()
            .map(|index| {
                let responses = kernels.respond(&values(index)?);
                Ok(responses.iter().flat_map(|response| response.to_le_bytes()).collect())
            })
            .collect();
        for row in rows {
            written.push(&row?)?;
        }
    }
    written.finish()
}

/// The responses to series `index` of a file.
fn floats(responses: &Spool, index: usize) -> Result<Vec<f32>> {
    let bytes = responses.row(index)?;
    Ok(bytes.as_chunks().0.iter().map(|response| f32::from_le_bytes(*response)).collect())
}

/// What is learned from the training part.
fn fit(
    files: &[Labelled],
    train: &[Example],
    classes: Vec<String>,
    length: Option<usize>,
) -> Result<Prepared> {
    let longest = train.iter().map(|&Example { file, index, .. }| files[file].file.steps(index)).max();
    let values = || train.iter().map(|&Example { file, index, .. }| files[file].file.values(index));
    let scaling = Scaling::over(files[0].file.channels, values)?;
    let gaps = train.iter().any(|&Example { file, index, .. }| files[file].file.heads[index].gaps);
    Ok(Prepared { length: length.or(longest).unwrap_or(1), scaling, gaps, classes, kernels: None })
}

/// What was cut, and what is missing.
fn notes(files: &[Labelled], length: usize) -> Vec<String> {
    let (mut total, mut cut, mut gaps) = (0, 0, 0);
    for Labelled { file, .. } in files {
        for (index, head) in file.heads.iter().enumerate() {
            total += 1;
            cut += usize::from(file.steps(index) > length);
            gaps += usize::from(head.gaps);
        }
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
        let classes = indices.iter().map(|&index| self.part(part)[index].class).collect();
        let targets = Targets::Classes(classes);
        // Series that do not vary have their responses already.
        let is_varied = variation.is_some() && self.config.augment != SeriesAugment::default();
        if !self.responses.is_empty() && !is_varied {
            let row = |&index: &usize| {
                let Example { file, index, .. } = self.part(part)[index];
                floats(&self.responses[file], index)
            };
            let rows = indices.iter().map(row).collect::<Result<Vec<_>>>()?;
            return Ok(self.encoder.batch_of_responses(&rows, targets));
        }
        let row = |&index: &usize| {
            let mut series = self.series(part, index)?;
            if let Some(Variation { seed, epoch }) = variation {
                let mut random = stream(seed, Purpose::Example, epoch, index as u64);
                let Scaled { values, observed } = &mut series;
                self.config.augment.apply(values, observed, self.encoder.channels(), &mut random);
            }
            Ok(series)
        };
        let rows = indices.iter().map(row).collect::<Result<Vec<Scaled>>>()?;
        Ok(match &self.config.masking {
            None => self.encoder.batch(&rows, targets),
            Some(masking) => {
                self.encoder.masked_batch(&rows, masking, |place| hiding(variation, indices[place]))
            }
        })
    }

    fn targets(&self, part: Part) -> Option<Targets> {
        let classes = || self.part(part).iter().map(|example| example.class).collect();
        self.config.masking.is_none().then(|| Targets::Classes(classes()))
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let Scaled { values, .. } = self.series(part, index)?;
        Ok(Exhibit::Png(drawing(&values, self.encoder.channels())?))
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
    fn kernels_answer_to_a_series_as_to_the_same_series_in_a_file() {
        let kernels = super::super::KernelsConfig {
            mini_rocket: Some(super::super::MiniRocketConfig { features: 168, dilations: 2 }),
            hydra: Some(super::super::HydraConfig { groups: 2, kernels: 3 }),
        };
        let config = LabelledSeriesConfig { kernels: Some(kernels), ..Default::default() };
        let row = |index: usize| -> String {
            let values: Vec<String> = (0..30).map(|at| ((at * (index + 2)) % 9).to_string()).collect();
            format!("{}:{}\n", values.join(","), ["up", "down"][index % 2])
        };
        let [train, test]: [String; 2] = [0..12, 12..15].map(|rows| rows.map(row).collect());
        let data = open(&train, Some(&test), config.clone()).unwrap();
        let batch = data.batch(Part::Test, &[0, 1, 2], None).unwrap();
        assert_eq!(batch.inputs[0].1.shape()[..], [3, 1, 168 + 2 * 2 * 2 * 3]);
        let restored =
            LabelledSeriesEncoder::restore(&data.encoder().preparation().unwrap(), &config).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.ts");
        std::fs::write(&path, format!("@classLabel true up down\n@data\n{test}")).unwrap();
        let read = restored.encode(&path).unwrap().next().expect("a batch").unwrap();
        assert_eq!(read.inputs, batch.inputs);
        let without = LabelledSeriesConfig { kernels: None, ..config.clone() };
        assert!(LabelledSeriesEncoder::restore(&data.encoder().preparation().unwrap(), &without).is_err());
        // Training series that vary are answered to as they are seen.
        let augment = SeriesAugment { jitter: 0.5, ..Default::default() };
        let varied = open(&train, Some(&test), LabelledSeriesConfig { augment, ..config }).unwrap();
        let seen = |data: &OpenLabelledSeries, variation| {
            data.batch(Part::Train, &[3], variation).unwrap().inputs[0].1.clone()
        };
        let epoch = Some(Variation { seed: 1, epoch: 0 });
        assert_eq!(seen(&data, epoch), seen(&data, None));
        assert_eq!(seen(&varied, None), seen(&data, None));
        assert_ne!(seen(&varied, epoch), seen(&data, None));
        let short = open(
            &rows(6),
            None,
            LabelledSeriesConfig {
                kernels: Some(super::super::KernelsConfig {
                    mini_rocket: Some(Default::default()),
                    hydra: None,
                }),
                ..Default::default()
            },
        );
        assert!(short.err().expect("three steps").to_string().contains("at least 9 steps"));
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
