//! The idx format of MNIST and its relatives, plain or gzipped.
//!
//! A file is two zero bytes, the code of the value type (8: unsigned byte), the number of dimensions,
//! each dimension as a big-endian 32-bit number, then the values (LeCun, Cortes & Burges, "The MNIST
//! database", file formats).

use std::fs::File;
use std::io::{Read, Take};
use std::path::Path;

use ansatz_core::{Error, Result};
use flate2::read::MultiGzDecoder;

/// Unsigned bytes in up to four dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Sizes, the outermost first.
    pub dimensions: Vec<usize>,
    /// `dimensions` multiplied out.
    pub values: Vec<u8>,
}

/// Values in a file at most: 4 GiB, far above any set of this format.
const LARGEST: u64 = 1 << 32;

/// What helps with a file that is not what it should be.
pub(crate) const REMEDY: &str =
    "give the whole files of one set, as they were published; known sets come with `ansatz data get NAME`";

const UNSIGNED_BYTE: u8 = 8;

/// Reads a file; one that begins with the gzip magic is decompressed, whatever its name.
///
/// # Errors
/// When it cannot be read, is of another format, or is shorter or longer than its header says.
pub fn read(path: &Path) -> Result<Idx> {
    let bytes = |limit| -> std::io::Result<Vec<u8>> {
        let mut start = Vec::new();
        File::open(path)?.take(2).read_to_end(&mut start)?;
        let file = File::open(path)?;
        let packed = start == [0x1f, 0x8b];
        if packed { all_of(MultiGzDecoder::new(file).take(limit)) } else { all_of(file.take(limit)) }
    };
    // One header and one byte more than allowed is enough to tell that a file is too large, and a small
    // archive that unpacks to terabytes never gets to fill the memory.
    let bytes = bytes(LARGEST + 64).map_err(Error::file(path, "read"))?;
    parse(path, &bytes)
}

fn all_of(mut reader: Take<impl Read>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the bytes of a file; `path` names it in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Idx> {
    let wrong = |problem: String, expected: String| Error::input(path.display(), problem, expected, REMEDY);
    let Some((&[zero, nil, code, dimension_count], rest)) = bytes.split_first_chunk::<4>() else {
        return Err(wrong(
            format!("ends after {} bytes", bytes.len()),
            "an idx header of at least 8 bytes".into(),
        ));
    };
    if (zero, nil, code) != (0, 0, UNSIGNED_BYTE) || !(1..=4).contains(&dimension_count) {
        return Err(wrong(
            format!("is no idx file: it begins with {zero:02x} {nil:02x} {code:02x} {dimension_count:02x}"),
            "00 00 08 and the number of dimensions, 01 to 04".into(),
        ));
    }
    let header = 4 * usize::from(dimension_count);
    let Some((sizes, values)) = rest.split_at_checked(header) else {
        return Err(wrong(
            format!("ends inside its header, after {} bytes", bytes.len()),
            format!("{} bytes of header for {dimension_count} dimensions", 4 + header),
        ));
    };
    let dimensions: Vec<u32> =
        sizes.chunks_exact(4).map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]])).collect();
    let shown = dimensions.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    let total = dimensions
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(u64::from(size)))
        .filter(|&total| total <= LARGEST)
        .ok_or_else(|| {
            wrong(format!("its header says {shown} values"), format!("at most {LARGEST} values"))
        })?;
    if values.len() as u64 != total {
        let more_or_less = if (values.len() as u64) < total { "truncated" } else { "too long" };
        return Err(wrong(
            format!("{more_or_less}: {} values behind the header", values.len()),
            format!("{total} values, since the header says {shown}"),
        ));
    }
    Ok(Idx {
        dimensions: dimensions.into_iter().map(|size| size as usize).collect(),
        values: values.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    fn file(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn message(bytes: &[u8]) -> String {
        let message = parse(Path::new("train-images"), bytes).unwrap_err().to_string();
        message.strip_suffix(&format!("\n  to do: {REMEDY}")).unwrap().to_owned()
    }

    #[test]
    fn each_fault_has_its_message() {
        assert_eq!(
            message(&[0, 0]),
            "train-images: ends after 2 bytes\n  expected: an idx header of at least 8 bytes"
        );
        assert_eq!(
            message(b"PK\x03\x04rest"),
            "train-images: is no idx file: it begins with 50 4b 03 04\n  expected: 00 00 08 and the number of \
             dimensions, 01 to 04"
        );
        assert_eq!(
            message(&file(&[2, 3], &[0; 6])[..9]),
            "train-images: ends inside its header, after 9 bytes\n  expected: 12 bytes of header for 2 dimensions"
        );
        assert_eq!(
            message(&file(&[2, 3], &[0; 5])),
            "train-images: truncated: 5 values behind the header\n  expected: 6 values, since the header says 2×3"
        );
        assert_eq!(
            message(&file(&[2, 3], &[0; 7])),
            "train-images: too long: 7 values behind the header\n  expected: 6 values, since the header says 2×3"
        );
        assert_eq!(
            message(&file(&[u32::MAX; 4], &[0; 7])),
            "train-images: its header says 4294967295×4294967295×4294967295×4294967295 values\n  expected: at most \
             4294967296 values"
        );
    }

    #[test]
    fn packed_files_are_recognised_by_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain-name");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        encoder.write_all(&file(&[3], b"abc")).unwrap();
        encoder.finish().unwrap();
        assert_eq!(read(&path).unwrap(), Idx { dimensions: vec![3], values: b"abc".to_vec() });
    }

    proptest! {
        #[test]
        fn whole_files_are_read_and_torn_ones_refused(
            dimensions in prop::collection::vec(0u32..6, 1..5), cut in 1usize..20
        ) {
            let count = dimensions.iter().product::<u32>() as usize;
            let values: Vec<u8> = (0..count).map(|index| index as u8).collect();
            let bytes = file(&dimensions, &values);
            let read = parse(Path::new("x"), &bytes)?;
            prop_assert_eq!(read.values, values);
            prop_assert_eq!(read.dimensions, dimensions.iter().map(|&size| size as usize).collect::<Vec<_>>());
            prop_assert!(parse(Path::new("x"), &bytes[..bytes.len().saturating_sub(cut)]).is_err());
        }

        #[test]
        fn no_bytes_whatever_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..40), magic: bool) {
            if magic && bytes.len() > 3 {
                bytes[..3].copy_from_slice(&[0, 0, 8]);
            }
            let _ = parse(Path::new("x"), &bytes);
        }
    }
}
