//! Clip art with titles and keywords, as two Debian packages carry it: pictures in one, drawings that know what they
//! are called in the other.

use super::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

pub(super) const CLIP_ART: KnownSet = KnownSet {
    name: "clip-art",
    sentence: "3,167 pictures of 13 classes with title and keywords, from Open Clip Art Library 0.18.",
    licence: "public domain",
    source: Source::Debian { packages: &["openclipart-png", "openclipart-svg"] },
    files: &[
        KnownFile {
            name: "openclipart-png.tar",
            member: "openclipart-png:data.tar",
            bytes: 159_324_160,
            checksum: Checksum::Sha256("29e5d0082f872358e5003a13d7cdb940ca69dd109a862066e1c56d1735ea4cf9"),
        },
        KnownFile {
            name: "openclipart-svg.tar",
            member: "openclipart-svg:data.tar",
            bytes: 178_831_360,
            checksum: Checksum::Sha256("acc2a57cf2857e778d352357de2565df9831d8fba677b5a181aa893568668c89"),
        },
    ],
};
