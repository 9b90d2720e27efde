//! Labelled texts, read, cut into tokens, and divided.

use ansatz_core::{
    Batch, Encoder, Error, Exhibit, OpenData, Part, Places, Record, Records, Result, Target, Targets,
    Variation,
};
use ansatz_data::records::{names_of, places_of};
use ansatz_data::{Division, LabelSets, Labels, Purpose, hiding, stream};
use rand::RngExt;

use super::source::{Found, labels_of, text_of};
use super::{LabelledTextConfig, LabelledTextEncoder};
use crate::masking::{Masking, asked, mask_of};
use crate::token_rows::{TokenRows, TokenRowsWriter};

/// A part of the texts, and what each is labelled with; nothing where tokens are hidden.
struct Texts {
    records: Records,
    tokens: TokenRows,
    labels: Labels,
}

/// Labelled texts, read, cut into tokens, and divided class by class.
pub struct OpenLabelledText {
    encoder: LabelledTextEncoder,
    /// Training, validation and test.
    parts: [Texts; 3],
    notes: Vec<String>,
    token_dropout: f64,
    masking: Option<Masking>,
}

impl OpenLabelledText {
    /// Reads the source, divides it, and learns the vocabulary from the training part.
    ///
    /// # Errors
    /// When the source is not there, has one class alone where classes are told, or the test part has a class that
    /// training has not.
    pub fn open(config: &LabelledTextConfig, places: &Places) -> Result<Self> {
        let labelled = config.masking.is_none();
        let Found { train, test, separator } = config.source.read(places, labelled)?;
        let separator = separator.as_deref();
        let names = names_of(&train, |row| labels_of(row, separator))?;
        if labelled && names.len() < 2 {
            let problem = format!("all {} texts are of one class", train.rows.len());
            let expected = "two classes at least";
            return Err(Error::input("the source of labelled texts", problem, expected, "give more texts"));
        }
        let sets = |texts: &Records| {
            let set = |row: Result<Record>| {
                let row = row?;
                places_of(labels_of(&row, separator), &names, &row.place)
            };
            texts.rows.iter().map(set).collect::<Result<Vec<_>>>()
        };
        let divide = |texts: &Records, share, kept| {
            let (strata, seed) = (LabelSets::new(names.len(), sets(texts)?).strata(), config.split_seed);
            let Division { kept, held_out } =
                Division::stratified(&strata, share, seed)?.keeping(kept, &strata, seed)?;
            Ok::<_, Error>((texts.at(kept), texts.at(held_out)))
        };
        let (rest, test) = match test {
            Some(test) => (train, test),
            None => divide(&train, config.test, None)?,
        };
        let (train, validation) = divide(&rest, config.validation, config.train)?;
        let text = |row: Result<Record>| Ok(text_of(&row?).to_owned());
        let (tokenizer, vocabulary) = config.tokenizer.fit(train.rows.iter().map(text))?;
        let target = match separator {
            Some(_) => Target::Labels { names: names.clone() },
            None => Target::Classes { names: names.clone() },
        };
        let mask = mask_of(&tokenizer);
        let encoder = LabelledTextEncoder::new(tokenizer, target, config).with_vocabulary(vocabulary);
        let encoder = if labelled { encoder } else { encoder.with_mask(mask) };
        let (mut cut, mut empty) = (0, 0);
        let total = [&train, &validation, &test].into_iter().map(|part| part.rows.len()).sum::<usize>();
        let mut part = |records: Records| -> Result<Texts> {
            let sets = if labelled { sets(&records)? } else { Vec::new() };
            let labels = match separator {
                Some(_) => Labels::Sets(LabelSets::new(names.len(), sets)),
                None => Labels::Classes(sets.into_iter().flatten().collect()),
            };
            let mut tokens = TokenRowsWriter::default();
            for row in records.rows.iter() {
                let row = row?;
                let sentence = encoder.tokens(text_of(&row))?;
                cut += usize::from(sentence.cut > 0);
                empty += usize::from(text_of(&row).trim().is_empty());
                tokens.push(&sentence.tokens)?;
            }
            Ok(Texts { records, tokens: tokens.finish()?, labels })
        };
        let parts = [part(train)?, part(validation)?, part(test)?];
        let known = &parts[0].tokens;
        let known = (0..known.len()).filter_map(|index| known.get(index).transpose());
        let encoder = encoder.with_terms(config, known)?;
        let mut notes = Vec::new();
        if cut > 0 {
            let length = config.length;
            notes.push(format!(
                "{cut} of {total} texts are longer than {length} tokens, and cut at their end."
            ));
        }
        if empty > 0 {
            notes.push(format!("{empty} of {total} texts are empty."));
        }
        let (token_dropout, masking) = (config.token_dropout, config.masking.clone());
        Ok(Self { encoder, parts, notes, token_dropout, masking })
    }

    fn part(&self, part: Part) -> &Texts {
        match part {
            Part::Train => &self.parts[0],
            Part::Validation => &self.parts[1],
            Part::Test => &self.parts[2],
        }
    }
}

/// The tokens or terms of example `index`, each left out with probability `dropout`; the first one alone where none is
/// left.
pub(super) fn thinned<T: Copy>(
    tokens: &[T],
    dropout: f64,
    Variation { seed, epoch }: Variation,
    index: usize,
) -> Vec<T> {
    let mut random = stream(seed, Purpose::Example, epoch, index as u64);
    let mut kept: Vec<T> = tokens.iter().copied().filter(|_| !random.random_bool(dropout)).collect();
    if kept.is_empty() {
        kept.extend(tokens.first());
    }
    kept
}

impl OpenData for OpenLabelledText {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        self.part(part).records.rows.len()
    }

    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let Texts { tokens, labels, .. } = self.part(part);
        let text = |&index: &usize| Ok((index, tokens.get(index)?.unwrap_or_default()));
        let mut texts = indices.iter().map(text).collect::<Result<Vec<_>>>()?;
        let targets = match &self.masking {
            None => labels.targets(indices),
            Some(masking) => {
                let (mask, vocabulary) = self.encoder.hiding();
                let hide = |(index, tokens): &mut (usize, Vec<u32>)| {
                    masking.apply(tokens, mask, vocabulary, &mut hiding(variation, *index))
                };
                asked(&texts.iter_mut().map(hide).collect::<Vec<_>>())
            }
        };
        let inputs = self.encoder.read(&texts, None, self.token_dropout, variation);
        Ok(Batch { examples: indices.len(), inputs, targets })
    }

    fn lengths(&self, part: Part) -> Option<Vec<usize>> {
        let tokens = &self.part(part).tokens;
        Some((0..tokens.len()).map(|index| tokens.count(index)).collect())
    }

    fn targets(&self, part: Part) -> Option<Targets> {
        let Texts { tokens, labels, .. } = self.part(part);
        self.masking.is_none().then(|| labels.targets(&(0..tokens.len()).collect::<Vec<_>>()))
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        Ok(Exhibit::Text(text_of(&self.part(part).records.rows.get(index)?).to_owned()))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LabelledSource, LabelledTable};
    use super::*;
    use ansatz_data::Share;

    fn open(rows: &str, test: Option<&str>) -> Result<OpenLabelledText> {
        open_parted(rows, test, None)
    }

    fn open_parted(rows: &str, test: Option<&str>, separator: Option<&str>) -> Result<OpenLabelledText> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("label,text\n{rows}")).unwrap();
            path
        };
        let source = LabelledSource::Table(LabelledTable {
            path: write("train.csv", rows),
            test: test.map(|rows| write("test.csv", rows)),
            text: "text".to_owned(),
            label: Some("label".to_owned()),
            separator: separator.map(str::to_owned),
        });
        let config = LabelledTextConfig { source, length: 4, ..LabelledTextConfig::default() };
        OpenLabelledText::open(&config, &Places { data: folder.path().to_owned() })
    }

    fn rows(count: usize) -> String {
        (0..count).map(|index| format!("{},word {index} again\n", ["no", "yes"][index % 2])).collect()
    }

    #[test]
    fn every_text_is_in_one_part_and_classes_keep_their_shares() {
        let data = open(&rows(100), None).unwrap();
        let counts = [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
        assert_eq!(counts, [72, 8, 20]);
        let batch = data.batch(Part::Test, &(0..20).collect::<Vec<_>>(), None).unwrap();
        let Targets::Classes(classes) = batch.targets else { unreachable!() };
        assert_eq!(classes.iter().filter(|class| **class == 1).count(), 10);
        assert!(data.notes().is_empty());
    }

    #[test]
    fn a_test_part_of_its_own_counts_whole_and_words_are_learned_from_training_alone() {
        let data = open(&rows(40), Some("yes,unseen unseen word\nno,\nyes,a b c d e\n")).unwrap();
        assert_eq!(data.examples(Part::Test), 3);
        // `word` and `again` are known; numbers come once each.
        let tokens = |index: usize| data.part(Part::Test).tokens.get(index).unwrap().expect("tokens");
        assert_eq!((tokens(0), tokens(1)), (vec![0, 0, 2], vec![0]));
        assert!(matches!(data.exhibit(Part::Test, 1), Ok(Exhibit::Text(text)) if text.is_empty()));
        let notes = data.notes().join(" ");
        assert!(
            notes.contains("1 of 43 texts are longer than 4") && notes.contains("1 of 43 texts are empty")
        );
    }

    #[test]
    fn a_text_may_have_several_labels_or_none() {
        let row = |index: usize| format!("{},word {index}\n", ["red; big", "red", "", "big"][index % 4]);
        let rows: String = (0..80).map(row).collect();
        let data = open_parted(&rows, Some("big;red,a\n,b\n"), Some(";")).unwrap();
        let names = vec!["big".to_owned(), "red".to_owned()];
        assert_eq!(data.encoder().target(), &Target::Labels { names });
        let batch = data.batch(Part::Test, &[1, 0], None).unwrap();
        assert_eq!(batch.targets, Targets::Labels { labels: 2, values: vec![false, false, true, true] });
        let Some(Targets::Labels { labels: 2, values }) = data.targets(Part::Train) else { unreachable!() };
        assert_eq!(values.iter().filter(|holds| **holds).count(), data.examples(Part::Train));
        let said = open_parted(&rows, Some("small,a\n"), Some(";")).err().expect("unknown").to_string();
        assert!(said.contains("the class `small` is not in the training part"), "{said}");
        let said = open(&rows, None).err().expect("no label").to_string();
        assert!(said.contains("line 4: there is no label"), "{said}");
    }

    #[test]
    fn tokens_are_left_out_anew_in_each_epoch_and_never_all() {
        let tokens: Vec<u32> = (0..1000).collect();
        let thin = |epoch, index| thinned(&tokens, 0.25, Variation { seed: 3, epoch }, index);
        let kept = thin(0, 0);
        assert!((700..800).contains(&kept.len()), "{}", kept.len());
        assert!(kept.is_sorted());
        assert_eq!(kept, thin(0, 0));
        assert_ne!(kept, thin(1, 0));
        assert_ne!(kept, thin(0, 1));
        assert_eq!(thinned(&[7], 0.999_999, Variation { seed: 3, epoch: 0 }, 0), [7]);
    }

    #[test]
    fn hidden_tokens_are_asked_in_the_parts_of_the_classes_with_labels_or_without() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, rows).unwrap();
            path
        };
        let places = Places { data: folder.path().to_owned() };
        let open = |path: &std::path::Path, label: Option<&str>, masking| {
            let (path, label) = (path.to_owned(), label.map(str::to_owned));
            let table = LabelledTable { path, test: None, text: "text".to_owned(), label, separator: None };
            let source = LabelledSource::Table(table);
            OpenLabelledText::open(&LabelledTextConfig { source, masking, ..Default::default() }, &places)
        };
        let row = |index: usize| format!("{},word {index} comes again\n", ["no", "yes"][index % 2]);
        let rows: String = (0..40).map(row).collect();
        let path = write("labelled.csv", &format!("label,text\n{rows}"));
        let plain = open(&path, Some("label"), None).unwrap();
        let masking = Masking { share: 0.5, masked: 1.0, random: 0.0 };
        let data = open(&path, Some("label"), Some(masking.clone())).unwrap();
        // `word`, `comes`, `again`, what is unknown, and behind them the mask.
        assert_eq!(data.encoder().target(), &Target::MaskedTokens { vocabulary: 5 });
        assert!(data.targets(Part::Train).is_none());
        for part in [Part::Train, Part::Validation, Part::Test] {
            let indices: Vec<usize> = (0..data.examples(part)).collect();
            let was = plain.batch(part, &indices, None).unwrap().inputs.remove(0).1;
            let (batch, again) = (data.batch(part, &indices, None), data.batch(part, &indices, None));
            let (batch, again) = (batch.unwrap(), again.unwrap());
            assert_eq!((&batch.inputs, &batch.targets), (&again.inputs, &again.targets));
            let Targets::Tokens(asked) = &batch.targets else { unreachable!() };
            // Two of the four tokens of each text.
            assert_eq!(asked.iter().flatten().count(), 2 * indices.len());
            for ((now, was), asked) in batch.inputs[0].1.iter::<i64>().zip(was.iter::<i64>()).zip(asked) {
                match asked {
                    Some(token) => assert_eq!((now, i64::from(*token)), (4, was)),
                    None => assert_eq!(now, was),
                }
            }
        }
        let epoch =
            |epoch| data.batch(Part::Train, &[0, 1, 2], Some(Variation { seed: 1, epoch })).unwrap().inputs;
        assert_eq!(epoch(3), epoch(3));
        assert_ne!(epoch(3), epoch(4));
        // Nobody need have labelled anything.
        let bare = write("bare.csv", "text\nhere are words\nand more words\nthe last words\n");
        assert_eq!(open(&bare, None, Some(masking.clone())).unwrap().examples(Part::Train), 2);
        let said = open(&bare, None, None).err().expect("no label").to_string();
        assert!(said.contains("`data.source.table.label`"), "{said}");
        let partly = write("partly.csv", "label,text\nno,some words\n,more words\n,other words\n");
        assert_eq!(open(&partly, Some("label"), Some(masking)).unwrap().examples(Part::Train), 2);
    }

    #[test]
    fn few_examples_are_learned_from_in_proportion_and_the_other_parts_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, format!("label,text\n{}", rows(100))).unwrap();
        let open = |train| {
            let (path, text, label) = (path.clone(), "text".to_owned(), Some("label".to_owned()));
            let source =
                LabelledSource::Table(LabelledTable { path, test: None, text, label, separator: None });
            let config = LabelledTextConfig { source, train, ..LabelledTextConfig::default() };
            OpenLabelledText::open(&config, &Places { data: folder.path().to_owned() }).unwrap()
        };
        let (all, few) = (open(None), open(Some(Share::Count(10))));
        assert_eq!(few.examples(Part::Train), 10);
        let Some(Targets::Classes(classes)) = few.targets(Part::Train) else { unreachable!() };
        assert_eq!(classes.iter().sum::<usize>(), 5);
        for part in [Part::Validation, Part::Test] {
            assert_eq!(few.examples(part), all.examples(part));
            let text = |data: &OpenLabelledText, index| match data.exhibit(part, index) {
                Ok(Exhibit::Text(text)) => text,
                _ => unreachable!(),
            };
            assert!((0..all.examples(part)).all(|index| text(&few, index) == text(&all, index)));
        }
    }

    #[test]
    fn terms_are_learned_from_training_alone_and_left_out_anew_in_each_epoch() {
        let rows: String =
            (0..40).map(|index| format!("{},good old word\n", ["no", "yes"][index % 2])).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, format!("label,text\n{rows}")).unwrap();
        let table = LabelledTable {
            path,
            test: None,
            text: "text".to_owned(),
            label: Some("label".to_owned()),
            separator: None,
        };
        let config = LabelledTextConfig {
            source: LabelledSource::Table(table),
            terms: Some(crate::TermsConfig::default()),
            token_dropout: 0.5,
            ..LabelledTextConfig::default()
        };
        let data = OpenLabelledText::open(&config, &Places { data: folder.path().to_owned() }).unwrap();
        let weights = |variation| {
            let batch = data.batch(Part::Train, &[0, 1], variation).unwrap();
            let weights = batch.inputs[1].1.clone();
            (weights.shape()[1], weights.iter::<f32>().collect::<Vec<_>>())
        };
        // Three words and two pairs, all in every text.
        let (count, whole) = weights(None);
        assert_eq!(count, 5);
        assert!(whole.iter().all(|weight| (weight - 1.0 / 5f32.sqrt()).abs() < 1e-6));
        let epochs: Vec<_> = (0..20).map(|epoch| weights(Some(Variation { seed: 3, epoch })).1).collect();
        assert!(
            epochs.iter().flatten().all(|weight| *weight == 0.0 || (weight - 2.0 / 5f32.sqrt()).abs() < 1e-6)
        );
        assert!(epochs.iter().any(|weights| *weights != epochs[0]));
        let kept = data.encoder().preparation().unwrap();
        let restored = LabelledTextEncoder::restore(&kept, &config).unwrap();
        assert_eq!(restored.preparation().unwrap(), kept);
        let device = ansatz_device::open("cpu").unwrap();
        let registry = ansatz_core::Registry::default();
        let stem = restored.stem(Some(3), &ansatz_core::Build::new(&registry, &device)).unwrap();
        let narrow = LabelledTextConfig {
            terms: Some(crate::TermsConfig { width: Some(2), ..crate::TermsConfig::default() }),
            ..config
        };
        let narrow = LabelledTextEncoder::restore(&kept, &narrow).unwrap();
        let build = ansatz_core::Build::new(&registry, &device);
        assert_eq!(narrow.stem(None, &build).unwrap().output(), ansatz_core::FeatureSpec::row(1, 2));
        assert!(narrow.stem(Some(3), &build).unwrap_err().to_string().contains("`terms.width`"));
        let inputs = data.batch(Part::Test, &[0], None).unwrap().inputs(&device);
        assert_eq!(stem.forward(&inputs).unwrap().tokens.dims(), [1, 1, 3]);
    }

    #[test]
    fn classes_that_do_not_fit_are_named() {
        let message = |rows: &str, test: Option<&str>| match open(rows, test) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        assert!(message("no,a\nno,b\n", None).contains("of one class"));
        assert!(
            message(&rows(40), Some("maybe,a\n")).contains("the class `maybe` is not in the training part")
        );
    }
}
