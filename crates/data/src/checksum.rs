//! Checksums of files, read as a stream.

use std::fmt;
use std::io::{self, Read};

use sha2::Digest;

/// The checksum that a file must have, in lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256 (FIPS 180-4), 64 digits.
    Sha256(&'static str),
    /// MD5 (RFC 1321), 32 digits: guards against damage, not against forgery; used where a set is
    /// known by it.
    Md5(&'static str),
}

impl Checksum {
    /// The digits that are expected.
    pub fn digits(&self) -> &'static str {
        match self {
            Self::Sha256(digits) | Self::Md5(digits) => digits,
        }
    }

    /// The digits of what the reader holds, by the same function.
    ///
    /// # Errors
    ///
    /// Whatever the reader reports.
    pub fn of(&self, reader: impl Read) -> io::Result<String> {
        match self {
            Self::Sha256(_) => digits::<sha2::Sha256>(reader),
            Self::Md5(_) => digits::<md5::Md5>(reader),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = match self {
            Self::Sha256(_) => "sha256",
            Self::Md5(_) => "md5",
        };
        write!(f, "{function} {}", self.digits())
    }
}

fn digits<D: Digest>(mut reader: impl Read) -> io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(read) => digest.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_test_vectors() {
        assert_eq!(
            Checksum::Sha256("").of(&b"abc"[..]).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Checksum::Md5("").of(&b"abc"[..]).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
    }
}
