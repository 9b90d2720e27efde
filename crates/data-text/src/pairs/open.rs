//! Pairs, read, cut into tokens, and divided.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use ansatz_core::{Batch, Encoder, Exhibit, OpenData, Part, Result, Spool, SpoolWriter, Variation};
use ansatz_data::Division;

use super::encoder::Pair;
use super::{PairsConfig, PairsEncoder};
use crate::token_rows::{TokenRows, TokenRowsWriter};

/// Pairs, read, cut into tokens, and divided at random; pairs of the same source are in the same part. They need not
/// fit into memory.
pub struct OpenPairs {
    encoder: PairsEncoder,
    /// Source and target of each pair, one behind the other.
    tokens: TokenRows,
    /// The same as texts.
    texts: Spool,
    /// Indices of the pairs of training, validation and test.
    parts: [Vec<usize>; 3],
}

impl OpenPairs {
    /// Reads the source, and cuts and divides it.
    ///
    /// # Errors
    /// When the source is not there, a pair is too long, or a part would be left with nothing.
    pub fn open(config: &PairsConfig) -> Result<Self> {
        let encoder = PairsEncoder::open(config)?;
        let (mut tokens, mut texts) = (TokenRowsWriter::default(), SpoolWriter::default());
        let mut groups = Groups::default();
        config.source.read(|pair| {
            groups.push(&pair.source);
            tokens.push(&encoder.source(&pair.source, &pair.place)?)?;
            tokens.push(&encoder.target_tokens(&pair.target, &pair.place)?)?;
            texts.push(pair.source.as_bytes())?;
            texts.push(pair.target.as_bytes())
        })?;
        let first = Division::random(groups.count(), config.test, config.split_seed)?;
        let second = Division::random(first.kept.len(), config.validation, config.split_seed)?;
        let rest = |within: &[usize]| within.iter().map(|place| first.kept[*place]).collect::<Vec<_>>();
        let parts = groups.members([&rest(&second.kept), &rest(&second.held_out), &first.held_out]);
        Ok(Self { encoder, tokens: tokens.finish()?, texts: texts.finish()?, parts })
    }

    /// The tokens of pair `index`.
    fn pair(&self, index: usize) -> Result<Pair> {
        let [source, target] = [2 * index, 2 * index + 1].map(|row| self.tokens.get(row));
        Ok(Pair { source: source?.unwrap_or_default(), target: target?.unwrap_or_default() })
    }

    /// Source and target of pair `index` as they were read.
    fn texts(&self, index: usize) -> Result<[String; 2]> {
        let [source, target] = [2 * index, 2 * index + 1].map(|row| self.texts.row(row));
        Ok([source?, target?].map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    fn part(&self, part: Part) -> &[usize] {
        match part {
            Part::Train => &self.parts[0],
            Part::Validation => &self.parts[1],
            Part::Test => &self.parts[2],
        }
    }
}

impl OpenData for OpenPairs {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        self.part(part).len()
    }

    fn batch(&self, part: Part, indices: &[usize], _variation: Option<Variation>) -> Result<Batch> {
        let pairs = indices.iter().map(|index| self.pair(self.part(part)[*index]));
        Ok(self.encoder.batch(&pairs.collect::<Result<Vec<_>>>()?))
    }

    /// Of source and target together.
    fn lengths(&self, part: Part) -> Option<Vec<usize>> {
        let count = |pair: &usize| self.tokens.count(2 * pair) + self.tokens.count(2 * pair + 1);
        Some(self.part(part).iter().map(count).collect())
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let [source, target] = self.texts(self.part(part)[index])?;
        Ok(Exhibit::Text(format!("{source} → {target}")))
    }
}

/// Which pairs are of one source. Of each source a number of 64 bits stays in memory: that two share one does no
/// harm, their pairs come into one part.
#[derive(Default)]
pub(crate) struct Groups {
    known: HashMap<u64, usize, BuildHasherDefault<DefaultHasher>>,
    /// The group of each pair; groups are numbered as they first come.
    of: Vec<usize>,
}

impl Groups {
    /// Takes in the source of the next pair.
    pub(crate) fn push(&mut self, source: &str) {
        let next = self.known.len();
        let hash = self.known.hasher().hash_one(source);
        self.of.push(*self.known.entry(hash).or_insert(next));
    }

    /// How many pairs were taken in.
    pub(crate) fn pairs(&self) -> usize {
        self.of.len()
    }

    /// How many groups there are.
    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }

    /// The pairs of each part, in their order, by the groups of the parts.
    fn members(&self, parts: [&[usize]; 3]) -> [Vec<usize>; 3] {
        let mut part_of = vec![0; self.count()];
        for (part, groups) in parts.iter().enumerate() {
            groups.iter().for_each(|group| part_of[*group] = part);
        }
        let mut members = [const { Vec::new() }; 3];
        for (index, group) in self.of.iter().enumerate() {
            members[part_of[*group]].push(index);
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PairSource;

    #[test]
    fn every_pair_is_in_one_part_and_a_source_never_in_two() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tsv");
        let lines: String = (0..60).map(|index| format!("{}\t{index}\n", index % 20)).collect();
        std::fs::write(&path, lines).unwrap();
        let config = PairsConfig { source: PairSource::Files(vec![path]), ..PairsConfig::default() };
        let data = OpenPairs::open(&config).unwrap();
        let mut all = data.parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
        let sources = |part: Part| -> std::collections::HashSet<String> {
            let texts = data.part(part).iter().map(|index| data.texts(*index).unwrap());
            texts.map(|[source, _]| source).collect()
        };
        assert_eq!((data.examples(Part::Test), data.examples(Part::Validation)), (6, 3));
        let [source, target] = data.texts(27).unwrap();
        assert_eq!((source.as_str(), target.as_str()), ("7", "27"));
        let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        assert_eq!(data.pair(27).unwrap(), Pair { source: bytes("7"), target: bytes("27") });
        assert!(sources(Part::Train).is_disjoint(&sources(Part::Test)));
        assert!(sources(Part::Train).is_disjoint(&sources(Part::Validation)));
        assert!(sources(Part::Validation).is_disjoint(&sources(Part::Test)));
    }

    #[test]
    fn pairs_that_are_too_long_are_named() {
        for (config, problem) in [
            (PairsConfig { source_length: 5, ..PairsConfig::default() }, "the source has"),
            (PairsConfig { target_length: 5, ..PairsConfig::default() }, "the target has"),
        ] {
            let Err(error) = OpenPairs::open(&config) else { unreachable!() };
            assert!(error.to_string().contains(problem) && error.to_string().contains("pair "), "{error}");
        }
    }
}
