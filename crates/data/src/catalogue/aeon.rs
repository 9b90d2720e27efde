//! Series with classes that the Python package `aeon` carries: sets of the UCR and UEA archives, with the official
//! parts.

use super::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

const SOURCE: Source = Source::Python {
    package: "aeon",
    version: "1.6.0",
    archive: Checksum::Sha256("4bc3d9ee64caf4befdf98371997052c294502ea8ad117cc8a6df6045081af381"),
};

/// A set: its name here, its name in the archive, a sentence, and of the training and the test file size and SHA-256.
macro_rules! set {
    ($here:literal $there:literal $sentence:literal $($part:literal $bytes:literal $checksum:literal)*) => {
        KnownSet {
            name: $here,
            sentence: $sentence,
            licence: "none stated (UCR/UEA archive); the files as packed by aeon, BSD-3-Clause",
            source: SOURCE,
            files: &[$(KnownFile {
                name: concat!($there, "_", $part, ".ts"),
                member: concat!("aeon-1.6.0/aeon/datasets/data/", $there, "/", $there, "_", $part, ".ts"),
                bytes: $bytes,
                checksum: Checksum::Sha256($checksum),
            }),*],
        }
    };
}

pub(super) const ITALY_POWER_DEMAND: KnownSet = set! {
    "italy-power-demand" "ItalyPowerDemand"
    "1,096 days of power used in Italy, 24 hours, in 2 classes, 67 to train on and 1,029 to test (Keogh et al. 2006)."
    "TRAIN" 18_300 "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c"
    "TEST" 274_054 "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144"
};

pub(super) const GUN_POINT: KnownSet = set! {
    "gun-point" "GunPoint"
    "200 motions of a hand, 150 steps, in 2 classes, 50 to train on and 150 to test (Ratanamahatana & Keogh 2004)."
    "TRAIN" 84_188 "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5"
    "TEST" 252_305 "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e"
};

pub(super) const ARROW_HEAD: KnownSet = set! {
    "arrow-head" "ArrowHead"
    "211 outlines of arrow heads, 251 steps, in 3 classes, 36 to train on and 175 to test (Ye & Keogh 2009)."
    "TRAIN" 100_357 "a83c470aaf611a5f5284377cce27a5fc9f6292bc3d110257b0fd4905ced5ee72"
    "TEST" 484_894 "5417dab42626d41df5e435bb22458c2df40dfad4bcd3b59559bbe72e20e84904"
};

pub(super) const OSU_LEAF: KnownSet = set! {
    "osu-leaf" "OSULeaf"
    "442 outlines of leaves, 427 steps, in 6 classes, 200 to train on and 242 to test (Gandhi 2002)."
    "TRAIN" 953_148 "86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc"
    "TEST" 1_152_821 "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce"
};

pub(super) const ACSF1: KnownSet = set! {
    "acsf1" "ACSF1"
    "200 records of power of appliances, 1,460 steps, in 10 classes, 100 to train on and 100 to test (Gisler et al. 2013)."
    "TRAIN" 1_658_422 "0646b90dc4843e02baed6b2ba345c5601a4991b6796565489cef1b2d92a7537b"
    "TEST" 1_659_932 "93e8aaeb44a10af181d24a156e60da7021193cd990ca28f263fccf3b905bfebf"
};

pub(super) const BASIC_MOTIONS: KnownSet = set! {
    "basic-motions" "BasicMotions"
    "80 motions of a wrist, 100 steps of 6 channels, in 4 classes, 40 to train on and 40 to test (Clements 2016)."
    "TRAIN" 227_790 "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6"
    "TEST" 227_713 "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc"
};

pub(super) const JAPANESE_VOWELS: KnownSet = set! {
    "japanese-vowels" "JapaneseVowels"
    "640 vowels of 9 speakers, 7 to 29 steps of 12 channels, 270 to train on and 370 to test (Kudo et al. 1999)."
    "TRAIN" 487_971 "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd"
    "TEST" 649_132 "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462"
};
