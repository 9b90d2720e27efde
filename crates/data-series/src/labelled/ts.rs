//! Files of series with classes in the format `.ts`, in which the UCR and UEA archives are published.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use ansatz_core::{Error, Result, Spool, SpoolWriter, nearest};

/// The series of a file, which need not fit into memory.
pub(crate) struct TsFile {
    /// Values of a step, the same for all series.
    pub(crate) channels: usize,
    /// The classes that the header names, in its order; `None` where the series have no labels.
    pub(crate) classes: Option<Vec<String>>,
    /// In the order of the file, at least one.
    pub(crate) heads: Vec<Head>,
    /// The values of each.
    values: Spool,
}

/// What is told of a series besides its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its class, in a file with labels, by its place in the header.
    pub(crate) class: Option<usize>,
    /// Where it stands, counted from 1.
    pub(crate) line: usize,
    /// Whether it lacks values.
    pub(crate) gaps: bool,
}

impl TsFile {
    /// The values of series `index`, step by step, `[steps × channels]`; NaN where one is missing.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    pub(crate) fn values(&self, index: usize) -> Result<Vec<f64>> {
        let bytes = self.values.row(index)?;
        Ok(bytes.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value)).collect())
    }

    /// The steps of series `index`.
    pub(crate) fn steps(&self, index: usize) -> usize {
        self.values.length(index) as usize / size_of::<f64>() / self.channels
    }
}

/// The keys of a header, in lower case, without their `@`.
const KEYS: [&str; 11] = [
    "problemname",
    "timestamps",
    "missing",
    "univariate",
    "dimension",
    "dimensions",
    "equallength",
    "serieslength",
    "classlabel",
    "targetlabel",
    "data",
];

/// What a header says of the series.
#[derive(Debug, Default)]
struct Header {
    channels: Option<usize>,
    equal_length: bool,
    length: Option<usize>,
    classes: Option<Vec<String>>,
    /// Whether anything was said of classes.
    labelled: Option<bool>,
}

/// What is wrong with the file at `path`.
pub(crate) fn wrong(
    path: &Path,
    problem: impl Into<String>,
    expected: impl Into<String>,
    remedy: &str,
) -> Error {
    Error::input(path.display(), problem, expected, remedy)
}

/// What is wrong with a line: there is nothing to do but mend it.
fn wrong_line(path: &Path, line: usize, problem: &str, expected: impl Into<String>) -> Error {
    wrong(path, format!("line {line} {problem}"), expected, "mend or remove the line")
}

/// Reads the file at `path`.
///
/// # Errors
/// When it cannot be read, or is not what its header says; with the line.
pub(crate) fn read(path: &Path) -> Result<TsFile> {
    let file = File::open(path).map_err(Error::file(path, "read"))?;
    let mut header = Header::default();
    let (mut begun, mut heads, mut values) = (false, Vec::new(), SpoolWriter::default());
    for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
        let line = line.map_err(Error::file(path, "read"))?;
        // Remarks in a header are of any encoding; a number is ASCII in all of them.
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        // Remarks and empty lines say nothing.
        if line.is_empty() || line.starts_with(['#', '%']) {
            continue;
        }
        if !begun {
            begun = header.take_in(path, number, line)?;
            if begun && header.labelled.is_none() {
                let expected = "`@classLabel true` and the names of the classes, or `@classLabel false`";
                let problem = "its header says nothing of classes";
                return Err(wrong(path, problem, expected, "add the line to the header"));
            }
            continue;
        }
        let (class, row) = header.series(path, number, line)?;
        heads.push(Head { class, line: number, gaps: row.iter().any(|value| value.is_nan()) });
        values.push(&row.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    let a_file = "a header that ends with @data, and a series in each line behind it";
    if !begun {
        return Err(wrong(path, "it has no line @data", a_file, "give a whole .ts file"));
    }
    let (Some(channels), false) = (header.channels, heads.is_empty()) else {
        return Err(wrong(path, "it has no series behind @data", a_file, "give another file"));
    };
    Ok(TsFile { channels, classes: header.classes, heads, values: values.finish()? })
}

impl Header {
    /// Takes in a line of the header; says whether it is its last.
    fn take_in(&mut self, path: &Path, number: usize, line: &str) -> Result<bool> {
        let wrong = |problem: &str, expected: &str| wrong_line(path, number, problem, expected);
        let mut words = line.split_whitespace();
        let key = words.next().unwrap_or_default();
        let name = key.strip_prefix('@').map(str::to_lowercase);
        let Some(name) = name.filter(|name| KEYS.contains(&name.as_str())) else {
            let given = key.trim_start_matches('@').to_lowercase();
            let near = nearest(&given, KEYS).map(|near| format!(": did you mean `@{near}`?"));
            let shown: String = key.chars().take(40).collect();
            let problem = format!("begins with `{shown}`{}", near.unwrap_or_default());
            let expected = "a key of the header such as @problemName or @classLabel, and @data behind them";
            return Err(wrong(&problem, expected));
        };
        let rest: Vec<&str> = words.collect();
        let whether = || match rest.first().map(|word| word.to_lowercase()).as_deref() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => Err(wrong(&format!("says neither true nor false of {key}"), "true or false")),
        };
        let count = || {
            let count = rest.first().and_then(|word| word.parse::<usize>().ok()).filter(|count| *count > 0);
            count.ok_or_else(|| wrong(&format!("gives no number for {key}"), "a whole number, at least 1"))
        };
        match name.as_str() {
            "timestamps" if whether()? => {
                return Err(wrong("says that values have time stamps", "@timeStamps false: values alone"));
            }
            "targetlabel" if whether()? => {
                return Err(wrong("says that the labels are numbers", "@classLabel: names of classes"));
            }
            "univariate" if whether()? => self.channels = Some(1),
            "dimension" | "dimensions" => self.channels = Some(count()?),
            "equallength" => self.equal_length = whether()?,
            "serieslength" => self.length = Some(count()?),
            "classlabel" => {
                let labelled = whether()?;
                self.labelled = Some(labelled);
                let names: Vec<String> = rest.iter().skip(1).map(|name| (*name).to_owned()).collect();
                if labelled && names.is_empty() {
                    return Err(wrong(
                        "names no class",
                        "the names of the classes behind `@classLabel true`",
                    ));
                }
                self.classes = labelled.then_some(names);
            }
            "data" => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    /// The class and the values of a line of data: dimensions parted by `:`, values by `,`, the label behind the last
    /// `:`.
    fn series(&mut self, path: &Path, number: usize, line: &str) -> Result<(Option<usize>, Vec<f64>)> {
        let wrong = |problem: String, expected: String| wrong_line(path, number, &problem, expected);
        let (dimensions, class) = match &self.classes {
            None => (line, None),
            Some(classes) => {
                let (dimensions, label) = line.rsplit_once(':').ok_or_else(|| {
                    let expected = "values, a colon, and the name of a class";
                    wrong("has no label".to_owned(), expected.to_owned())
                })?;
                let label = label.trim();
                let class = classes.iter().position(|class| class == label).ok_or_else(|| {
                    let expected = format!("one of {}, which the header names", classes.join(", "));
                    wrong(format!("has the label `{label}`"), expected)
                })?;
                (dimensions, Some(class))
            }
        };
        let channels: Vec<Vec<f64>> = dimensions
            .split(':')
            .map(|dimension| {
                dimension
                    .split(',')
                    .map(|value| number_of(value.trim()))
                    .collect::<Result<Vec<f64>, String>>()
            })
            .collect::<Result<_, String>>()
            .map_err(|value| {
                let expected = "numbers parted by commas, or `?` where one is missing".to_owned();
                wrong(format!("holds \"{value}\""), expected)
            })?;
        let known = *self.channels.get_or_insert(channels.len());
        if channels.len() != known {
            let problem = format!("has {} dimensions", channels.len());
            return Err(wrong(problem, format!("{known}, as the header or the first series has")));
        }
        let steps = channels[0].len();
        if let Some(other) = channels.iter().position(|channel| channel.len() != steps) {
            let problem = format!(
                "has {steps} values in its first dimension and {} in dimension {}",
                channels[other].len(),
                other + 1
            );
            return Err(wrong(problem, "as many in each".to_owned()));
        }
        // A length in the header binds where all series are to be of one length.
        let length = if self.equal_length { *self.length.get_or_insert(steps) } else { steps };
        if steps != length {
            let problem = format!("has {steps} steps");
            return Err(wrong(
                problem,
                format!("{length}, since the header says that all are of one length"),
            ));
        }
        if channels.iter().flatten().all(|value| value.is_nan()) {
            return Err(wrong("has missing values alone".to_owned(), "at least one number".to_owned()));
        }
        let values = (0..steps).flat_map(|step| channels.iter().map(move |channel| channel[step]));
        Ok((class, values.collect()))
    }
}

/// A value; NaN where it is missing.
///
/// # Errors
/// With the text, where it is no number.
fn number_of(text: &str) -> Result<f64, String> {
    if text == "?" || text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| text.chars().take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<TsFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ts");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn message(text: &str) -> String {
        of(text).err().expect("it is wrong").to_string()
    }

    #[test]
    fn dimensions_missing_values_and_lengths_that_vary_are_read() {
        let text = "# a remark\n@problemName Two\n@univariate false\n@dimensions 2\n@equalLength false\n\
                    @classLabel true no yes\n@data\n1,2.5,?:3,4e1,5:no\n\n6,7:8,NaN:yes\n";
        let file = of(text).unwrap();
        assert_eq!((file.channels, file.heads.len()), (2, 2));
        assert_eq!(file.classes.as_deref(), Some(&["no".to_owned(), "yes".to_owned()][..]));
        let [first, second] = [0, 1].map(|index| file.values(index).unwrap());
        assert_eq!(first[..4], [1.0, 3.0, 2.5, 40.0]);
        assert!(first[4].is_nan() && first[5] == 5.0 && second[3].is_nan());
        assert_eq!([0, 1].map(|index| file.steps(index)), [3, 2]);
        let head = |class, line| Head { class: Some(class), line, gaps: true };
        assert_eq!(file.heads, [head(0, 8), head(1, 10)]);
    }

    #[test]
    fn a_file_may_have_no_labels() {
        let file = of("@classLabel false\n@DATA\n1,2\n").unwrap();
        assert_eq!((&file.classes, file.channels), (&None, 1));
        assert_eq!(file.heads, [Head { class: None, line: 3, gaps: false }]);
        assert_eq!(file.values(0).unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let head = "@univariate false\n@classLabel true a b\n";
        assert!(message("").contains("no line @data"));
        assert!(message(head).contains("no line @data"));
        assert!(message("@data\n1,2:a\n").contains("says nothing of classes"));
        assert!(message(&format!("{head}@data\n")).contains("no series behind @data"));
        assert!(message("1,2\n").contains("line 1 begins with `1,2`"));
        assert!(message("@clasLabel true\n").contains("did you mean `@classlabel`?"));
        assert!(message("@classLabel true\n@data\n").contains("line 1 names no class"));
        assert!(message("@timeStamps true\n").contains("line 1 says that values have time stamps"));
        assert!(message("@seriesLength many\n").contains("line 1 gives no number"));
        let line = |line: &str| message(&format!("{head}@data\n1,2:3,4:a\n{line}\n"));
        assert!(line("1,2:3,4").contains("line 5 has the label `3,4`"));
        assert!(line("1,2").contains("line 5 has no label"));
        assert!(line("1,2:3,x:a").contains("line 5 holds \"x\""));
        assert!(line("1,2:3,:a").contains("line 5 holds \"\""));
        assert!(line("1,2:a").contains("line 5 has 1 dimensions"));
        assert!(line("1,2:3:b").contains("2 values in its first dimension and 1 in dimension 2"));
        assert!(line("?,?:?,?:b").contains("line 5 has missing values alone"));
        assert!(line("1,2:3,4:c").contains("one of a, b"));
        let equal = "@equalLength true\n@classLabel false\n@data\n1,2\n1,2,3\n";
        assert!(message(equal).contains("line 5 has 3 steps"));
    }
}
