//! Files of every kind that a user may hand over.

use std::fs;
use std::path::{Path, PathBuf};

use ansatz_core::{DataModel, OpenData, Part, Places};
use ansatz_data_image::decode::{Decoder, Filter};
use ansatz_data_image::source::{Folder, Source};
use ansatz_data_image::{ImageConfig, PictureSize};
use image::{DynamicImage, GrayAlphaImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, RgbaImage};
use tempfile::TempDir;

fn decoder(channels: usize) -> Decoder {
    Decoder {
        size: PictureSize { height: 2, width: 2, channels },
        background: 1.0,
        invert: false,
        filter: Filter::Triangle,
    }
}

fn saved(folder: &TempDir, name: &str, picture: impl Into<DynamicImage>) -> PathBuf {
    let path = folder.path().join(name);
    picture.into().save(&path).unwrap();
    path
}

fn message(folder: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let message = decoder(1).read(&path).unwrap_err().to_string();
    message.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn kinds_of_png_become_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let colour = saved(&folder, "colour.png", RgbImage::from_pixel(2, 2, Rgb([255, 0, 0])));
    assert_eq!(decoder(3).read(&colour).unwrap(), [255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0]);
    // Rec. 709: 0.2126 of full red.
    assert_eq!(decoder(1).read(&colour).unwrap(), [54; 4]);
    let deep = saved(&folder, "deep.png", ImageBuffer::<Luma<u16>, _>::from_pixel(2, 2, Luma([0x8080])));
    assert_eq!(decoder(1).read(&deep).unwrap(), [128; 4]);
    let clear = GrayAlphaImage::from_fn(2, 2, |x, _| LumaA([0, if x == 0 { 255 } else { 0 }]));
    let clear = saved(&folder, "clear.png", clear);
    assert_eq!(decoder(1).read(&clear).unwrap(), [0, 255, 0, 255]);
    assert_eq!(Decoder { background: 0.0, ..decoder(1) }.read(&clear).unwrap(), [0; 4]);
    // Ink is inverted, the background behind it is not.
    assert_eq!(
        Decoder { background: 0.0, invert: true, ..decoder(1) }.read(&clear).unwrap(),
        [255, 0, 255, 0]
    );
}

#[test]
fn other_proportions_are_centred_and_shrunk() {
    let folder = tempfile::tempdir().unwrap();
    let wide = saved(&folder, "wide.png", RgbImage::from_pixel(8, 4, Rgb([0; 3])));
    let size = PictureSize { height: 4, width: 4, channels: 1 };
    let read = Decoder { size, ..decoder(1) }.read(&wide).unwrap();
    assert_eq!(read, [[255; 4], [0; 4], [0; 4], [255; 4]].concat());
    let line = saved(&folder, "line.png", RgbImage::from_pixel(60_000, 1, Rgb([0; 3])));
    assert_eq!(
        Decoder { size, ..decoder(1) }.read(&line).unwrap().iter().filter(|&&value| value == 0).count(),
        4
    );
    let photo = saved(&folder, "photo.jpg", RgbImage::from_pixel(64, 64, Rgb([128; 3])));
    assert!(decoder(3).read(&photo).unwrap().iter().all(|&value| value.abs_diff(128) < 3));
}

/// A chunk of a PNG file.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), kind.as_slice(), data, &crc.sum().to_be_bytes()].concat()
}

fn header(width: u32, height: u32) -> Vec<u8> {
    let data = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &data)].concat()
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        message(&folder, "note.png", b"not a picture"),
        "note.png: is neither PNG nor JPEG\n  expected: a PNG or JPEG file\n  to do: convert or remove the file"
    );
    let huge = [header(30_000, 30_000), chunk(b"IDAT", &[])].concat();
    assert_eq!(
        message(&folder, "huge.png", &huge),
        "huge.png: has 30000×30000 pixels\n  expected: 1 to 16777216 pixels in all\n  to do: scale it down, or \
         remove the file"
    );
    let moving = [header(2, 2), chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), chunk(b"IDAT", &[])].concat();
    assert_eq!(
        message(&folder, "moving.png", &moving),
        "moving.png: is an animation\n  expected: a single picture\n  to do: export one of its frames"
    );
    let whole = fs::read(saved(&folder, "whole.png", RgbaImage::new(9, 9))).unwrap();
    for length in 8..whole.len() {
        // Some cuts lose only the end mark; none may panic.
        let path = folder.path().join("torn.png");
        fs::write(&path, &whole[..length]).unwrap();
        let _ = decoder(1).read(&path);
    }
    let torn = message(&folder, "torn.png", &whole[..40]);
    assert!(torn.starts_with("torn.png: cannot be decoded: "), "{torn}");
}

fn grey_files(folder: &Path, class: &str, values: &[u8]) {
    let folder = folder.join(class);
    fs::create_dir_all(&folder).unwrap();
    for (index, &value) in values.iter().enumerate() {
        let picture = RgbImage::from_pixel(3, 3, Rgb([value; 3]));
        DynamicImage::from(picture).save(folder.join(format!("{index}.png"))).unwrap();
    }
}

fn open(path: &Path, test: &str) -> ansatz_core::Result<Box<dyn OpenData>> {
    let folder = Folder { path: path.to_path_buf(), height: 2, width: 2, channels: 1, ..Folder::default() };
    let config = ImageConfig { source: Source::Folder(folder), ..ImageConfig::default() };
    assert!(config.background() == 1.0, "{test}");
    config.open(&Places { data: PathBuf::new() })
}

#[test]
fn folders_of_classes_are_split_or_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    grey_files(folder.path(), "cat", &[0; 10]);
    grey_files(folder.path(), "dog", &[255; 20]);
    fs::write(folder.path().join("dog/notes.txt"), "not a picture").unwrap();
    let data = open(folder.path(), "split").unwrap();
    let sizes =
        |data: &dyn OpenData| [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
    assert_eq!(sizes(&*data), [22, 2, 6]);

    let parts = tempfile::tempdir().unwrap();
    grey_files(&parts.path().join("train"), "cat", &[0; 10]);
    grey_files(&parts.path().join("train"), "dog", &[255; 10]);
    grey_files(&parts.path().join("test"), "dog", &[255; 3]);
    grey_files(&parts.path().join("test"), "cat", &[0; 1]);
    assert_eq!(sizes(&*open(parts.path(), "parts").unwrap()), [18, 2, 4]);
    grey_files(&parts.path().join("test"), "emu", &[0; 1]);
    let Err(error) = open(parts.path(), "unknown class") else { panic!("an unknown class is an error") };
    assert!(error.to_string().contains("a class that the training part does not have"), "{error}");
}

#[test]
fn a_damaged_file_is_left_out_and_named_unless_that_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    grey_files(folder.path(), "cat", &[0; 10]);
    grey_files(folder.path(), "dog", &[255; 10]);
    assert!(open(folder.path(), "whole").unwrap().notes().is_empty());
    fs::write(folder.path().join("dog/3.png"), b"\x89PNG\r\n\x1a\nand then nothing").unwrap();
    let data = open(folder.path(), "damaged").unwrap();
    let examples = [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
    assert_eq!(examples.iter().sum::<usize>(), 19);
    let notes = data.notes();
    assert_eq!(notes[0], "1 of 20 files cannot be read as pictures, and are left out:");
    assert!(notes[1].contains("dog/3.png: cannot be decoded"), "{notes:?}");

    let source = Folder { path: folder.path().to_owned(), strict: true, ..Folder::default() };
    let config = ImageConfig { source: Source::Folder(source), ..ImageConfig::default() };
    let Err(error) = config.open(&Places { data: PathBuf::new() }) else { panic!("strict") };
    assert!(error.to_string().contains("dog/3.png: cannot be decoded"), "{error}");

    for index in 0..10 {
        fs::write(folder.path().join(format!("dog/{index}.png")), b"nothing").unwrap();
    }
    let Err(error) = open(folder.path(), "a class without pictures") else { panic!("nothing is left") };
    assert!(error.to_string().contains("dog: none of its 10 files can be read"), "{error}");
}

#[test]
fn folders_without_classes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let Err(error) = open(folder.path(), "empty") else { panic!("an empty folder is an error") };
    assert!(
        error.to_string().contains("holds 0 folders\n  expected: a folder of pictures per class"),
        "{error}"
    );
    fs::create_dir_all(folder.path().join("cat")).unwrap();
    grey_files(folder.path(), "dog", &[1]);
    let Err(error) = open(folder.path(), "empty class") else { panic!("an empty class is an error") };
    assert!(error.to_string().contains("cat: holds no pictures"), "{error}");
    let Err(error) = open(&folder.path().join("nowhere"), "no folder") else {
        panic!("no folder is an error")
    };
    assert!(error.is_usage(), "{error}");
}
