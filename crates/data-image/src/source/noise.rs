//! Made-up pictures.

use ansatz_data::{Purpose, stream};
use rand::RngExt;

use crate::pictures::{PictureSize, Pictures, Pixels};
use crate::source::{Found, Noise};

const TRAIN: usize = 512;
const TEST: usize = 128;

pub(super) fn make(config: &Noise) -> Found {
    let size = PictureSize { height: config.height, width: config.width, channels: config.channels };
    let part = |number: u64, count: usize| Pictures {
        size,
        full_scale: u8::MAX,
        pixels: Pixels::Held(
            stream(0, Purpose::Source, number, 0).random_iter().take(count * size.values()).collect(),
        ),
        labels: (0..count).map(|index| index % config.classes).collect(),
    };
    Found {
        classes: (0..config.classes).map(|class| class.to_string()).collect(),
        train: part(0, TRAIN),
        test: part(1, TEST),
        damaged: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_there_and_no_picture_comes_twice() {
        let config = Noise { height: 3, width: 5, channels: 3, classes: 7 };
        let found = make(&config);
        assert_eq!((found.train.len(), found.test.len(), found.classes.len()), (TRAIN, TEST, 7));
        for part in [&found.train, &found.test] {
            assert!((0..7).all(|class| part.labels.contains(&class)));
        }
        let pictures: std::collections::HashSet<_> =
            (0..TRAIN).map(|index| found.train.bytes(index).unwrap()).collect();
        assert_eq!(pictures.len(), TRAIN);
        assert_eq!(make(&config).train, found.train);
    }
}
