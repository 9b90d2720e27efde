//! What a `.ts` file holds, and how it would be read.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use ansatz_core::{Places, Proposal, Purpose, Result, Setting};

use super::kernels::TAPS;
use super::source::{Found, Labelled};
use super::{LabelledSeriesFiles, LabelledSeriesSource};

/// Fewer examples than this are told by kernels that need no training.
const FEW: usize = 100;

/// The test file beside a training file: `X_TEST.ts` for `X_TRAIN.ts`.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix("_TRAIN.ts")?;
    let test = path.with_file_name(format!("{name}_TEST.ts"));
    test.is_file().then_some(test)
}

/// A `.ts` file of series with classes, and the test file beside it.
pub(super) fn recognise(path: &Path) -> Result<Option<Proposal>> {
    if !path.is_file() || path.extension().is_none_or(|ending| ending != "ts") {
        return Ok(None);
    }
    let test = beside(path);
    let files = LabelledSeriesFiles { train: path.to_owned(), test: test.clone() };
    // A source of files needs no place for sets.
    let found = LabelledSeriesSource::Files(files).read(&Places { data: path.to_owned() }, true)?;
    let Labelled { file, names, classes, .. } = &found.train;
    let (examples, channels) = (classes.len(), file.channels);
    let steps = || (0..examples).map(|index| file.steps(index));
    let (longest, shortest) = (steps().max().unwrap_or(1), steps().min().unwrap_or(1));
    let by_kernels = examples < FEW && longest >= TAPS;
    let named = Setting::quoted(path);
    let source = match &test {
        Some(test) => format!("{{ files = {{ train = {named}, test = {} }} }}", Setting::quoted(test)),
        None => format!("{{ files = {{ train = {named} }} }}"),
    };
    let count = |class: usize| classes.iter().filter(|of| **of == class).count();
    let counts: Vec<usize> = (0..names.len()).map(count).collect();
    let shown: Vec<String> =
        names.iter().zip(&counts).map(|(class, count)| format!("{class} {count}")).collect();
    let seen = vec![
        format!("{examples} series of {} classes: {}", names.len(), shown.join(", ")),
        format!("{shortest} to {longest} steps of {channels} channels"),
        match &found.test {
            Some(test) => format!("a test part of its own: {} series", test.classes.len()),
            None => "no test part of its own: a share of each class will be kept for testing".to_owned(),
        },
    ];
    Ok(Some(Proposal {
        warnings: warnings(&found, &counts)?,
        seen,
        settings: std::iter::once(Setting::new(format!("source = {source}"), ""))
            .chain(if by_kernels { settings_of_kernels() } else { settings_of_tokens(longest) })
            .collect(),
        purpose: match by_kernels {
            true => Purpose::ClassifyResponses,
            false => Purpose::ClassifySeries { length: longest, channels },
        },
        examples,
        imbalance: Proposal::imbalance(counts.into_iter()),
    }))
}

/// For few examples: nothing is learned but what follows from the answers of kernels.
fn settings_of_kernels() -> Vec<Setting> {
    vec![
        Setting::new("scale = \"series\"", "or \"training\": one mean and deviation for all"),
        Setting::new("kernels = { mini_rocket = {} }", "or hydra = {}, or both; examples are few"),
    ]
}

/// For networks that learn what to look for.
fn settings_of_tokens(longest: usize) -> Vec<Setting> {
    // Long series become a few hundred tokens.
    let stem = if longest > 256 {
        let stride = longest / 128;
        let patches = format!("{{ length = {}, stride = {stride}, layout = \"together\" }}", 2 * stride);
        Setting::new(format!("stem = {{ patches = {patches} }}"), "or \"steps\": a token for each")
    } else {
        Setting::new("stem = \"steps\"", "a token for each step")
    };
    vec![
        Setting::new("scale = \"training\"", "or \"series\": each by its own mean and deviation"),
        Setting::new("augment = { jitter = 0.03, scaling = 0.1 }", "or `slice`, `warp`"),
        stem,
    ]
}

fn warnings(found: &Found, counts: &[usize]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (class, count) in found.train.names.iter().zip(counts).filter(|(_, count)| **count < 5) {
        warnings.push(format!("class {class} has {count} series: too few to learn it from"));
    }
    let hashes = RandomState::new();
    let (mut known, mut gaps, mut again, mut leaked) = (HashSet::new(), false, 0, 0);
    for (labelled, is_test) in std::iter::once((&found.train, false)).chain(found.test.iter().zip([true])) {
        for index in 0..labelled.classes.len() {
            gaps |= labelled.file.heads[index].gaps;
            let bits: Vec<u64> = labelled.file.values(index)?.into_iter().map(f64::to_bits).collect();
            let hash = hashes.hash_one(bits);
            if is_test {
                leaked += usize::from(known.contains(&hash));
            } else {
                again += usize::from(!known.insert(hash));
            }
        }
    }
    if gaps {
        warnings
            .push("values are missing: straight lines stand for them, and the network is told".to_owned());
    }
    if again > 0 {
        warnings.push(format!("series that come again: {again}"));
    }
    if leaked > 0 {
        warnings.push(format!("series in train and test, which make the test too easy: {leaked}"));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_file_beside_is_found_and_what_is_doubtful_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Hands_TRAIN.ts");
        let head = "@classLabel true left right\n@data\n";
        let rows: String = (0..12).map(|index| format!("{index},?,3:left\n")).collect();
        std::fs::write(&path, format!("{head}{rows}1,2:right\n")).unwrap();
        let alone = recognise(&path).unwrap().expect("series");
        assert_eq!(alone.seen[0], "13 series of 2 classes: left 12, right 1");
        assert_eq!(alone.seen[1], "2 to 3 steps of 1 channels");
        assert!(alone.seen[2].contains("no test part"));
        assert_eq!(alone.purpose, Purpose::ClassifySeries { length: 3, channels: 1 });
        std::fs::write(folder.path().join("Hands_TEST.ts"), format!("{head}1,2:right\n")).unwrap();
        let both = recognise(&path).unwrap().expect("series");
        assert!(both.settings[0].line.contains("Hands_TEST.ts"), "{:?}", both.settings);
        let said = both.warnings.join("\n");
        for part in ["class right has 1 series", "values are missing", "too easy: 1"] {
            assert!(said.contains(part), "{said}");
        }
        let longer: String = (0..12).map(|index| format!("{index},1,2,3,4,5,6,7,8:left\n")).collect();
        std::fs::write(&path, format!("{head}{longer}9,8,7,6,5,4,3,2,1:right\n")).unwrap();
        let few = recognise(&path).unwrap().expect("series");
        assert_eq!(few.purpose, Purpose::ClassifyResponses);
        assert!(few.settings.iter().any(|setting| setting.line.starts_with("kernels = ")));
        assert_eq!(recognise(&folder.path().join("a.csv")).unwrap(), None);
        std::fs::write(&path, "export const x = 1;\n").unwrap();
        assert!(recognise(&path).unwrap_err().to_string().contains("line 1 begins with `export`"));
    }
}
