//! The UCI digits, embedded (`data/digits.rst` tells where they come from).

use std::io::Read;

use ansatz_core::{Error, Result};
use ansatz_data::{Division, Share};

use crate::pictures::{PictureSize, Pictures, Pixels};
use crate::source::Found;
use crate::source::idx_files::digit_names;

static PACKED: &[u8] = include_bytes!("../../data/digits.csv.gz");

/// The brightest value: each pixel counts the dark ones in a block of 4×4.
const FULL_SCALE: u8 = 16;

/// Not the run's seed: figures of two runs compare only on the same test part.
const TEST_SEED: u64 = 0;
const TEST: Share = Share::Fraction(0.2);

pub(super) fn read() -> Result<Found> {
    let all =
        unpack().ok_or_else(|| Error::Failed("the digits inside the program are damaged".to_owned()))?;
    let parts = Division::stratified(&all.labels, TEST, TEST_SEED)?;
    let (train, test) = (all.select(&parts.kept), all.select(&parts.held_out));
    Ok(Found { classes: digit_names(), train, test, damaged: Vec::new() })
}

/// Each line is 64 values and the label.
fn unpack() -> Option<Pictures> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(PACKED).read_to_string(&mut text).ok()?;
    let size = PictureSize { height: 8, width: 8, channels: 1 };
    let (mut all, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let values: Vec<u8> = line.split(',').map(|value| value.parse().ok()).collect::<Option<_>>()?;
        let (&label, pixels) = values.split_last()?;
        if pixels.len() != size.values() || label > 9 {
            return None;
        }
        all.extend(pixels);
        labels.push(usize::from(label));
    }
    Some(Pictures { size, full_scale: FULL_SCALE, pixels: Pixels::Held(all), labels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_the_known_one() {
        let all = unpack().unwrap();
        assert_eq!(all.len(), 1797);
        let per_class: Vec<usize> =
            (0..10).map(|class| all.labels.iter().filter(|&&label| label == class).count()).collect();
        assert_eq!(per_class, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let brightest =
            (0..all.len()).filter_map(|index| all.bytes(index).unwrap().iter().copied().max()).max();
        assert_eq!(brightest, Some(FULL_SCALE));
        assert_eq!(&all.bytes(0).unwrap()[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    }

    #[test]
    fn the_test_part_is_a_fifth_of_each_class() {
        let found = read().unwrap();
        assert_eq!((found.train.len(), found.test.len()), (1438, 359));
        for class in 0..10 {
            let count = found.test.labels.iter().filter(|&&label| label == class).count();
            assert!((35..=37).contains(&count), "class {class}: {count}");
        }
    }
}
