//! `docs/RESULTS.md`: what stands in `results.toml`, trained with several seeds.

mod compressed;
mod figures;
mod protocol;
mod runs;
mod started;
mod student;

use serde::Deserialize;

use crate::workspace::{Error, root};
use compressed::Compressed;
use protocol::Protocol;
use runs::Runs;
use started::Started;
use student::Student;

/// `xtask/results.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Results {
    protocol: Vec<Protocol>,
    compressed: Vec<Compressed>,
    student: Vec<Student>,
    started: Vec<Started>,
}

/// Trains and compresses what has no run under `runs/results/` yet, of the rows whose config's or recipe's path contains
/// `only`, and writes the tables of all rows that have runs.
pub(crate) fn run(seeds: u32, only: &str) -> Result<String, Error> {
    let place = root().join("xtask/results.toml");
    let text =
        std::fs::read_to_string(&place).map_err(|source| Error::File { path: place.clone(), source })?;
    let results: Results =
        toml::from_str(&text).map_err(|error| Error::Wrong(format!("{}: {error}", place.display())))?;
    let runs = Runs { seeds, only };
    let Results { protocol, compressed, student, started } = &results;
    let page = &mut String::new();
    let written = table(page, [HEAD, protocol::HEAD], protocol, |row, page| row.write(&runs, page))?
        + table(page, [COMPRESSED, compressed::HEAD], compressed, |row, page| row.write(&runs, page))?
        + table(page, [STUDENTS, student::HEAD], student, |row, page| row.write(&runs, page))?
        + table(page, [STARTED, started::HEAD], started, |row, page| row.write(&runs, page))?;
    let path = root().join("docs/RESULTS.md");
    std::fs::write(&path, page).map_err(|source| Error::File { path: path.clone(), source })?;
    let rows = protocol.len() + compressed.len() + student.len() + started.len();
    Ok(format!("{} has {written} of {rows} rows", path.display()))
}

/// Writes a table behind its heads; how many of `rows` it has.
fn table<R>(
    page: &mut String,
    heads: [&str; 2],
    rows: &[R],
    write: impl Fn(&R, &mut String) -> Result<bool, Error>,
) -> Result<usize, Error> {
    heads.iter().for_each(|head| page.push_str(head));
    rows.iter().map(|row| write(row, page).map(usize::from)).sum()
}

const HEAD: &str = "# Results\n\n\
    Written by `cargo xtask results`, which trains each config with each seed and takes nothing but the figures of the \
    whole test part.\nThe mean over the seeds, ± their standard deviation. Choices were made on validation parts.\n\n\
    ## Beside other programs\n\n\
    Behind each figure the best of another program for the same protocol, on two cores of the same kind. **Bold** is at \
    least as good.\nSeconds are those of this machine while the table was made, whatever ran beside it.\n\n";

const COMPRESSED: &str = "\n## Smaller and faster\n\n\
    The same runs behind a recipe of [configs/compress](../configs/compress): what is lost in points of a share or in the \
    figure's own\nunit, bytes on disk, and milliseconds with 1 and with 64 examples at once, medians of three measurements \
    of both in turns. **Bold**\nreaches the goal.\n\n";

const STUDENTS: &str = "\n## Students\n\n\
    A small network alone, and taught by a larger one with the same seed. **Bold** is better than alone.\n\n";

const STARTED: &str = "\n## Started from what is hidden\n\n\
    A network trained from nothing, and the same one started from a run that learned to tell hidden patches or words of \
    the same\ntraining part without its labels. **Bold** is better than from nothing. Seconds: of that run, and behind it.\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_list_is_there() {
        let results: Results = toml::from_str(include_str!("../results.toml")).unwrap();
        let protocols = results.protocol.iter().map(|row| &row.config);
        let compressed = results.compressed.iter().flat_map(|row| [&row.config, &row.recipe]);
        let students = results.student.iter().flat_map(|row| [&row.config, &row.teacher]);
        let started = results.started.iter().flat_map(|row| [&row.config, &row.from]);
        for path in protocols.chain(compressed).chain(students).chain(started) {
            assert!(root().join(path).is_file(), "{}", path.display());
        }
    }
}
