//! Examples of several modalities, read and divided.

use ansatz_core::{Batch, Encoder, Error, Exhibit, OpenData, Part, Places, Result, Targets, Variation};
use ansatz_data::{Divided, Labelled, Labels, Purpose, stream};
use rand::RngExt;

use crate::encoder::Examples;
use crate::{FusedConfig, FusedEncoder};

/// Examples of several modalities, read and divided.
pub struct OpenFused {
    encoder: FusedEncoder,
    examples: Vec<Examples>,
    labels: Labels,
    divided: Divided,
    modality_dropout: f64,
    notes: Vec<String>,
}

impl OpenFused {
    /// Reads the source, divides it, and fits modalities and target on the training part.
    ///
    /// # Errors
    /// When the source is not there or not what it should be, or a division leaves nothing.
    pub fn open(config: &FusedConfig, places: &Places) -> Result<Self> {
        let (records, test) = config.source.read(places)?;
        let Labelled { records, own_test, unlabelled } = config.target.labelled(records, test)?;
        let divided = config.split.divide(&records, &config.target, own_test)?;
        let train = divided.part(Part::Train);
        let target = config.target.fit(&records, train)?;
        let labels = config.target.labels(&records, &target)?;
        let total = records.rows.len();
        let mut notes = Vec::new();
        if unlabelled > 0 {
            let all = total + unlabelled;
            notes.push(format!("{unlabelled} of {all} records have no target, and are left out."));
        }
        let (mut encoders, mut examples) = (Vec::new(), Vec::new());
        for (index, (modality, model)) in config.modalities.iter().zip(config.models()?).enumerate() {
            let own = records.select(&modality.columns)?;
            let path = format!("data.modalities[{index}].data");
            let fitted = model.modality()?.fit(&own, train).map_err(|error| error.under(&path))?;
            let missing = (0..total).filter(|&row| !fitted.examples.is_present(row)).count();
            let name = &modality.name;
            if missing == total {
                let expected = "records that have it";
                let problem = "no record has this modality";
                return Err(Error::input(
                    format!("the modality `{name}`"),
                    problem,
                    expected,
                    "name other columns",
                ));
            }
            if missing > 0 {
                notes.push(format!("{missing} of {total} examples have no {name}."));
            }
            notes.extend(fitted.notes.into_iter().map(|note| format!("{name}: {note}")));
            encoders.push(fitted.encoder);
            examples.push(Some(fitted.examples));
        }
        // None is left out, in the test part least of all: what is learned to stand for missing modalities answers.
        let nothing = |row: &usize| !examples.iter().flatten().any(|examples| examples.is_present(*row));
        let empty = (0..total).filter(nothing).count();
        if empty > 0 && config.modalities.len() > 1 {
            notes.push(format!("{empty} of {total} examples have nothing that the network reads."));
        }
        let encoder = FusedEncoder::new(config, encoders, target);
        Ok(Self { encoder, examples, labels, divided, modality_dropout: config.modality_dropout, notes })
    }

    /// Which modalities of the example in row `row` are hidden from the network: each with the same probability, and
    /// never all that are there.
    fn hidden(&self, row: usize, variation: Option<Variation>) -> Vec<bool> {
        let none = vec![false; self.examples.len()];
        let Some(Variation { seed, epoch }) = variation.filter(|_| self.modality_dropout > 0.0) else {
            return none;
        };
        let mut random = stream(seed, Purpose::Modality, epoch, row as u64);
        let mut hidden: Vec<bool> = none.iter().map(|_| random.random_bool(self.modality_dropout)).collect();
        let present: Vec<usize> = self
            .examples
            .iter()
            .enumerate()
            .filter(|(_, examples)| examples.as_ref().is_some_and(|examples| examples.is_present(row)))
            .map(|(modality, _)| modality)
            .collect();
        if present.iter().all(|&modality| hidden[modality]) && !present.is_empty() {
            hidden[present[random.random_range(0..present.len())]] = false;
        }
        hidden
    }
}

impl OpenData for OpenFused {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        self.divided.part(part).len()
    }

    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let all = self.divided.part(part);
        let rows: Vec<usize> = indices.iter().map(|&index| all[index]).collect();
        let inputs =
            self.encoder.inputs(&self.examples, &rows, variation, |row| self.hidden(row, variation))?;
        Ok(Batch { examples: rows.len(), inputs, targets: self.labels.targets(&rows) })
    }

    fn targets(&self, part: Part) -> Option<Targets> {
        Some(self.labels.targets(self.divided.part(part)))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// The first modality that the example has.
    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let row = self.divided.part(part)[index];
        let first = self.examples.iter().flatten().find(|examples| examples.is_present(row));
        first.map_or_else(
            || Err(Error::Failed("an example without a modality".to_owned())),
            |one| one.exhibit(row),
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ansatz_core::{Component, Registry};
    use burn::tensor::TensorData;

    use crate::PRESENT;

    pub(crate) fn registry() -> Registry {
        Registry::default()
            .mixer::<ansatz_arch_attention::AttentionConfig>()
            .mixer::<ansatz_arch_recurrent::GruConfig>()
            .channel::<ansatz_arch_channel::MlpConfig>()
            .backbone::<ansatz_arch_stack::StackConfig>()
            .backbone::<ansatz_arch_conv::ConvPyramidConfig>()
            .data_model::<ansatz_data_image::ImageConfig>()
            .data_model::<ansatz_data_text::TextConfig>()
            .data_model::<ansatz_data_text::LabelledTextConfig>()
            .data_model::<ansatz_data_table::TableConfig>()
    }

    /// Records with a text and two columns of numbers.
    pub(crate) fn config(folder: &std::path::Path, rows: &str, settings: &str) -> FusedConfig {
        let path = folder.join("records.csv");
        std::fs::write(&path, format!("class,note,age,size\n{rows}")).unwrap();
        let text = format!(
            "source = {{ file = {{ path = {path:?} }} }}
            modalities = [
                {{ name = 'words', columns = ['note'], data = {{ kind = 'labelled-text', length = 3 }} }},
                {{ name = 'record', columns = ['age', 'size'], data = {{ kind = 'table', numbers = ['age', 'size'] }} }},
            ]
            {settings}"
        );
        let mut config: FusedConfig = ansatz_core::parse(text.parse().expect("TOML")).unwrap();
        config.complete(&registry()).unwrap();
        config
    }

    pub(crate) fn rows(count: usize) -> String {
        let row = |index: usize| {
            let note = if index % 10 == 3 { "" } else { ["red leaf", "blue leaf"][index % 2] };
            let age = if index % 10 == 4 { String::new() } else { index.to_string() };
            let size = if index % 10 == 4 { String::new() } else { (index % 4).to_string() };
            format!("{},{note},{age},{size}\n", ["a", "b"][index % 2])
        };
        (0..count).map(row).collect()
    }

    pub(crate) fn open(config: &FusedConfig) -> Result<OpenFused> {
        OpenFused::open(config, &Places { data: std::path::PathBuf::new() })
    }

    fn named<'a>(batch: &'a Batch, name: &str) -> &'a TensorData {
        &batch.inputs.iter().find(|(known, _)| known == name).expect("an input").1
    }

    #[test]
    fn modalities_are_read_by_their_own_data_models_and_gaps_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let data = open(&config(folder.path(), &rows(40), "")).unwrap();
        let counts = [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
        assert_eq!(counts, [28, 4, 8]);
        let notes = data.notes().join("\n");
        assert!(
            notes.contains("4 of 40 examples have no words") && notes.contains("have no record"),
            "{notes}"
        );
        let all: Vec<usize> = (0..28).collect();
        let batch = data.batch(Part::Train, &all, None).unwrap();
        let names: Vec<&str> = batch.inputs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["words/tokens", "words/mask", "record/numbers", "record/missing", "present"]);
        let present: Vec<f32> = named(&batch, PRESENT).iter::<f32>().collect();
        assert!(present.contains(&0.0) && present.chunks(2).all(|row| row.contains(&1.0)));
        assert!(matches!(batch.targets, Targets::Classes(_)));
        let missing: Vec<f32> = named(&batch, "record/missing").iter::<f32>().collect();
        for (row, gaps) in present.chunks(2).zip(missing.chunks(2)) {
            assert_eq!(row[1] == 0.0, gaps == [1.0, 1.0]);
        }
    }

    #[test]
    fn hidden_modalities_follow_from_the_seed_and_are_never_all() {
        let folder = tempfile::tempdir().unwrap();
        let data = open(&config(folder.path(), &rows(40), "modality_dropout = 0.5")).unwrap();
        let all: Vec<usize> = (0..28).collect();
        let present = |indices: &[usize], variation: Option<Variation>| -> Vec<f32> {
            named(&data.batch(Part::Train, indices, variation).unwrap(), PRESENT).iter::<f32>().collect()
        };
        let (unvaried, first) = (present(&all, None), Some(Variation { seed: 1, epoch: 0 }));
        let varied = present(&all, first);
        assert_ne!(varied, unvaried);
        assert_eq!(varied, present(&all, first));
        assert_eq!(varied[20..22], present(&all[10..11], first), "the batch around it changes nothing");
        assert_ne!(varied, present(&all, Some(Variation { seed: 1, epoch: 1 })));
        assert!(varied.chunks(2).all(|row| row.contains(&1.0)));
        assert!(varied.iter().zip(&unvaried).all(|(varied, unvaried)| varied <= unvaried));
    }

    #[test]
    fn an_example_with_nothing_is_counted_and_judged_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let data = open(&config(folder.path(), &(rows(40) + "a,,,\n"), "modality_dropout = 0.9")).unwrap();
        let counts = [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
        assert_eq!(counts.iter().sum::<usize>(), 41);
        assert!(data.notes().contains(&"1 of 41 examples have nothing that the network reads.".to_owned()));
        assert_eq!(data.hidden(40, None), [false, false]);
        let all: Vec<usize> = (0..counts[0]).collect();
        assert!(data.batch(Part::Train, &all, Some(Variation { seed: 1, epoch: 0 })).is_ok());
    }

    #[test]
    fn records_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = |rows: &str| match open(&config(folder.path(), rows, "")) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        assert!(message(&(rows(40) + "a,red,old,1\n")).contains("column `age` holds \"old\""));
        let empty = rows(40).replace("red leaf", "").replace("blue leaf", "");
        assert!(message(&empty).contains("the modality `words`: no record has this modality"));
    }

    #[test]
    fn a_run_reads_new_records_as_training_did_also_without_a_modality() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), &rows(40), "");
        let data = open(&config).unwrap();
        let restored = FusedEncoder::restore(&data.encoder().preparation().unwrap(), &config).unwrap();
        let path = folder.path().join("new.jsonl");
        std::fs::write(&path, "{\"note\": \"blue leaf\"}\n{\"note\": \"red\"}\n").unwrap();
        let mut batches = restored.encode(&path).unwrap();
        let batch = batches.next().expect("a batch").unwrap();
        assert_eq!((batch.examples, batches.count()), (2, 0));
        let present: Vec<f32> = named(&batch, PRESENT).iter::<f32>().collect();
        assert_eq!(present, [1.0, 0.0, 1.0, 0.0]);
        let message = |lines: &str| {
            std::fs::write(&path, lines).unwrap();
            restored.encode(&path).err().expect("it is refused").to_string()
        };
        assert!(message("{\"age\": 3}\n").contains("it has no column `size`"));
        assert!(message("{\"x\": 3}\n").contains("none of the columns that the network reads, but x"));
        assert!(message("{\"note\": \"a\"}\n{\"note\": null}\n").contains("line 2: nothing is there"));
        assert!(FusedEncoder::restore(&serde_json::json!({ "size": 3 }), &config).is_err());
    }
}
