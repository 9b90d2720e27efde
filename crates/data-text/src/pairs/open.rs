//! Pairs, read, cut into tokens, and divided.

use std::collections::BTreeMap;

use ansatz_core::{Batch, Encoder, Exhibit, OpenData, Part, Result, Variation};
use ansatz_data::Division;

use super::encoder::Pair;
use super::{PairsConfig, PairsEncoder};

/// Pairs, read, cut into tokens, and divided at random; pairs of the same source are in the same part.
pub struct OpenPairs {
    encoder: PairsEncoder,
    pairs: Vec<Pair>,
    texts: Vec<[String; 2]>,
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
        let read = config.source.read()?;
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, pair) in read.iter().enumerate() {
            groups.entry(&pair.source).or_default().push(index);
        }
        let groups: Vec<Vec<usize>> = groups.into_values().collect();
        let first = Division::random(groups.len(), config.test, config.split_seed)?;
        let second = Division::random(first.kept.len(), config.validation, config.split_seed)?;
        let rest = |within: &[usize]| within.iter().map(|place| first.kept[*place]).collect::<Vec<_>>();
        let parts = [rest(&second.kept), rest(&second.held_out), first.held_out.clone()];
        let parts = parts.map(|part| {
            let mut indices: Vec<usize> = part.iter().flat_map(|group| groups[*group].clone()).collect();
            indices.sort_unstable();
            indices
        });
        let pairs = read.iter().map(|pair| {
            let source = encoder.source(&pair.source, &pair.place)?;
            Ok(Pair { source, target: encoder.target_tokens(&pair.target, &pair.place)? })
        });
        let pairs = pairs.collect::<Result<_>>()?;
        let texts = read.into_iter().map(|pair| [pair.source, pair.target]).collect();
        Ok(Self { encoder, pairs, texts, parts })
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
        let indices = indices.iter().map(|index| &self.pairs[self.part(part)[*index]]);
        Ok(self.encoder.batch(&indices.collect::<Vec<_>>()))
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let [source, target] = &self.texts[self.part(part)[index]];
        Ok(Exhibit::Text(format!("{source} → {target}")))
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
        let sources = |part: Part| -> std::collections::HashSet<&str> {
            data.part(part).iter().map(|index| data.texts[*index][0].as_str()).collect()
        };
        assert_eq!((data.examples(Part::Test), data.examples(Part::Validation)), (6, 3));
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
