//! Penguins that the Python package `palmerpenguins` carries.

use super::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

pub(super) const PENGUINS: KnownSet = KnownSet {
    name: "penguins",
    sentence: "344 penguins of 3 species: island, sex, bill, flipper, weight; 11 with gaps (Horst et al. 2020).",
    licence: "CC0",
    source: Source::Python {
        package: "palmerpenguins",
        version: "0.1.6",
        archive: Checksum::Sha256("9b5193e5c49a7f697ab47635aa3cea036cfc04ae66af992386e86ba89e7456ec"),
    },
    files: &[KnownFile {
        name: "penguins.csv",
        member: "palmerpenguins-0.1.6/palmerpenguins/data/penguins.csv",
        bytes: 15_241,
        checksum: Checksum::Sha256("f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"),
    }],
};
