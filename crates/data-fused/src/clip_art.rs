//! The clip art of Open Clip Art Library: pictures in one archive, drawings of the same names in another, which know
//! title and keywords.
//!
//! Of the 13 classes, which are folders, every file that is no link counts, unless it has more than 2²⁴ pixels or its
//! drawing is no XML. Keywords often repeat the folder's name, and so the class; therefore three texts are kept apart:
//! - `title`: the title alone;
//! - `recipe`: title and keywords but those that name the folder of the class;
//! - `strict`: title and keywords but those that name a folder of any class, so that what is left out does not depend on
//!   the class.
//!
//! A name is one with or without a final s. Pictures without a strict text are left out.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ansatz_core::{Cell, Error, Place, Record, Records, Result, RowsWriter};
use roxmltree::{Document, Node, ParsingOptions};

/// The folders that are classes.
const CLASSES: [&str; 13] = [
    "animals",
    "buildings",
    "education",
    "electronics",
    "food",
    "geography",
    "office",
    "people",
    "plants",
    "recreation",
    "signs_and_symbols",
    "tools",
    "transportation",
];

/// Pixels of a picture at most.
const MOST_PIXELS: u64 = 1 << 24;

/// What a drawing says of itself.
#[derive(Debug, Clone, PartialEq)]
struct Words {
    title: String,
    keywords: Vec<String>,
}

/// All pictures with their texts and classes, class by class and in the order of their paths.
pub(crate) fn read(folder: &Path) -> Result<Records> {
    let drawings = folder.join("openclipart-svg.tar");
    let (mut words, links) = members(&drawings, "usr/share/openclipart/svg", "svg", |svg| words(&svg))?;
    // A link to a drawing is one, but a link to a picture would be the same example again.
    for (path, target) in links {
        words.extend(words.get(&target).cloned().map(|words| (path, words)));
    }
    let archive = folder.join("openclipart-png.tar");
    let small = |png: Vec<u8>| pixels(&png).is_some_and(|pixels| pixels <= MOST_PIXELS).then_some(png);
    let (pictures, _) = members(&archive, "usr/share/openclipart/png", "png", small)?;
    let found: Vec<(PathBuf, Vec<u8>, Words)> = pictures
        .into_iter()
        .filter_map(|(path, png)| words.remove(&path).map(|words| (path, png, words)))
        .collect();
    let folders = found.iter().flat_map(|(path, ..)| path.parent().into_iter().flat_map(Path::iter));
    let every = names(folders.map(|part| part.to_string_lossy()));
    let mut rows = RowsWriter::default();
    for (path, png, Words { title, keywords }) in found {
        let class = path.iter().next().unwrap_or_default().to_string_lossy().into_owned();
        let own = names([class.as_str().into()].into_iter());
        let text = |barred: &HashSet<String>| {
            let kept = keywords.iter().filter(|word| !barred.contains(*word));
            let words: Vec<&str> = std::iter::once(&title)
                .chain(kept)
                .map(String::as_str)
                .filter(|word| !word.is_empty())
                .collect();
            words.join(" ")
        };
        let (recipe, strict) = (text(&own), text(&every));
        if strict.is_empty() {
            continue;
        }
        let place = Place { file: archive.join(&path).into(), line: 0 };
        let texts = [title.clone(), strict, recipe, class].map(Cell::Text);
        let cells = std::iter::once(Cell::Bytes(Arc::from(png))).chain(texts).collect();
        rows.push(&Record { place, cells })?;
    }
    let columns = ["picture", "title", "strict", "recipe", "class"].map(str::to_owned).to_vec();
    Ok(Records { rows: rows.finish(columns.len())?, columns })
}

/// What `make` makes of the files of the classes in an archive, by their paths below `root` without the ending; and where
/// the links there lead, likewise.
fn members<T>(
    archive: &Path,
    root: &str,
    ending: &str,
    make: impl Fn(Vec<u8>) -> Option<T>,
) -> Result<(BTreeMap<PathBuf, T>, BTreeMap<PathBuf, PathBuf>)> {
    let unreadable = |error: std::io::Error| {
        let remedy = "fetch it again: ansatz data get clip-art";
        Error::input(
            archive.display(),
            format!("cannot be read: {error}"),
            "the archive as it was fetched",
            remedy,
        )
    };
    let file = File::open(archive).map_err(Error::file(archive, "read"))?;
    let (mut found, mut links) = (BTreeMap::new(), BTreeMap::new());
    for entry in tar::Archive::new(BufReader::new(file)).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        let Ok(path) = path.strip_prefix(root) else { continue };
        let of_class = path.iter().next().is_some_and(|first| CLASSES.iter().any(|class| first == *class));
        if !of_class || path.extension().is_none_or(|own| own != ending) {
            continue;
        }
        let name = path.with_extension("");
        if let Some(link) = entry.link_name().map_err(unreadable)? {
            links.insert(name, target(path, &link).with_extension(""));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(unreadable)?;
        found.extend(make(bytes).map(|made| (name, made)));
    }
    Ok((found, links))
}

/// Where a link at `path` leads.
fn target(path: &Path, link: &Path) -> PathBuf {
    let mut target = path.parent().map_or(PathBuf::new(), Path::to_path_buf);
    for component in link.components() {
        match component {
            Component::ParentDir => drop(target.pop()),
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    target
}

/// Width times height as the head of a PNG file says (ISO/IEC 15948, 11.2.2).
fn pixels(png: &[u8]) -> Option<u64> {
    let side = |from: usize| Some(u64::from(u32::from_be_bytes(png.get(from..from + 4)?.try_into().ok()?)));
    Some(side(16)? * side(20)?)
}

/// Title and keywords of the first `Work` of a drawing; `None` where it is no XML.
fn words(svg: &[u8]) -> Option<Words> {
    let text = std::str::from_utf8(svg).ok()?;
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let called = |node: &Node, name: &str| node.is_element() && node.tag_name().name() == name;
    let Some(work) = document.descendants().find(|node| called(node, "Work")) else {
        return Some(Words { title: String::new(), keywords: Vec::new() });
    };
    let title = work.children().find(|node| called(node, "title"));
    let subjects = work.children().filter(|node| called(node, "subject"));
    let words = subjects.flat_map(|subject| subject.descendants().filter(|node| called(node, "li")));
    let said = |node: Node| plain(node.text().unwrap_or_default());
    Some(Words { title: title.map_or(String::new(), said), keywords: words.map(said).collect() })
}

/// In lower case, without underscores and double spaces.
fn plain(text: &str) -> String {
    text.to_lowercase().replace('_', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Folders' names as keywords may give them: also without a final s.
fn names<'a>(folders: impl Iterator<Item = std::borrow::Cow<'a, str>>) -> HashSet<String> {
    let mut names = HashSet::new();
    for name in folders.map(|folder| plain(&folder)) {
        names.extend(name.strip_suffix('s').map(str::to_owned));
        names.insert(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(title: &str, keywords: &[&str]) -> String {
        let words: String = keywords.iter().map(|word| format!("<rdf:li>{word}</rdf:li>")).collect();
        format!(
            "<?xml version=\"1.0\"?><svg xmlns:cc=\"c\" xmlns:dc=\"d\" xmlns:rdf=\"r\"><title>no</title><cc:Work>\
             <dc:title>{title}</dc:title><dc:subject><rdf:Bag>{words}</rdf:Bag></dc:subject></cc:Work></svg>"
        )
    }

    /// An archive of files, and of a link to one.
    fn archive(path: &Path, root: &str, files: &[(&str, Vec<u8>)], [link, target]: [&str; 2]) {
        let mut builder = tar::Builder::new(File::create(path).unwrap());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("./{root}/{name}"), &bytes[..]).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, format!("./{root}/{link}"), target).unwrap();
        builder.finish().unwrap();
    }

    /// The head of a PNG file of so many pixels.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    #[test]
    fn what_a_drawing_says_is_found_and_what_is_no_xml_is_not() {
        let found = words(drawing("A_Big  Owl", &["Bird", "NIGHT owl"]).as_bytes()).unwrap();
        let keywords = vec!["bird".to_owned(), "night owl".to_owned()];
        assert_eq!(found, Words { title: "a big owl".to_owned(), keywords });
        assert_eq!(words(b"<svg/>"), Some(Words { title: String::new(), keywords: Vec::new() }));
        assert_eq!(words(b"<svg>"), None);
        assert_eq!(words(b"\xff"), None);
        let entities = b"<!DOCTYPE svg [<!ENTITY ns \"n\">]><svg xmlns:x=\"&ns;\"><x:Work/></svg>";
        assert!(words(entities).is_some());
    }

    #[test]
    fn texts_tell_no_class_and_files_that_do_not_count_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let svg = |title: &str, words: &[&str]| drawing(title, words).into_bytes();
        let drawings = [
            ("animals/birds/owl.svg", svg("owl", &["animal", "bird", "tools", "night"])),
            ("tools/saw.svg", svg("", &["tool", "animals"])),
            ("tools/axe.svg", svg("axe", &["sharp"])),
            ("tools/huge.svg", svg("huge", &["sharp"])),
            ("tools/broken.svg", b"<svg>".to_vec()),
            ("computer/mouse.svg", svg("mouse", &["device"])),
        ];
        let link = ["animals/cat.svg", "birds/owl.svg"];
        archive(&folder.path().join("openclipart-svg.tar"), "usr/share/openclipart/svg", &drawings, link);
        let pictures = [
            ("tools/saw.png", png(9, 9)),
            ("tools/axe.png", png(9, 9)),
            ("tools/huge.png", png(4096, 4097)),
            ("tools/broken.png", png(9, 9)),
            ("tools/alone.png", png(9, 9)),
            ("computer/mouse.png", png(9, 9)),
            ("animals/birds/owl.png", png(9, 9)),
            ("animals/cat.png", png(9, 9)),
        ];
        let link = ["animals/link.png", "birds/owl.png"];
        archive(&folder.path().join("openclipart-png.tar"), "usr/share/openclipart/png", &pictures, link);
        let records = read(folder.path()).unwrap();
        let texts = |row: &Record| -> Vec<String> {
            row.cells[1..].iter().map(|cell| cell.known().unwrap_or("-").to_owned()).collect()
        };
        let rows: Vec<Record> = records.rows.iter().collect::<Result<_>>().unwrap();
        let found: Vec<_> = rows.iter().map(texts).collect();
        let owl = ["owl", "owl night", "owl bird tools night", "animals"];
        let expected = [owl, owl, ["axe", "axe sharp", "axe sharp", "tools"]];
        assert_eq!(found, expected);
        assert!(matches!(&rows[0].cells[0], Cell::Bytes(bytes) if bytes.len() == 24));
        assert!(read(&folder.path().join("absent")).is_err());
    }
}
