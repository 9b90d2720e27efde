//! Moving whole pixels.

use crate::pictures::PictureSize;

/// Mirrors left and right.
pub(super) fn mirror(picture: &mut [f32], size: PictureSize) {
    for row in picture.chunks_exact_mut(size.width * size.channels) {
        row.reverse();
        // Reversing turned the channels of each pixel round as well.
        row.chunks_exact_mut(size.channels).for_each(<[f32]>::reverse);
    }
}

/// Shows the piece of the same size that begins `down` and `right` of the corner; `fill` lies around.
///
/// Padding by `n` and cutting a piece at (i, j) is the same as this at (i − n, j − n).
pub(super) fn shift(picture: &mut [f32], size: PictureSize, down: isize, right: isize, fill: f32) {
    let PictureSize { height, width, channels } = size;
    let row = width * channels;
    let given = picture.to_vec();
    picture.fill(fill);
    let columns = overlap(width, right);
    if columns.is_empty() {
        return;
    }
    for to in overlap(height, down) {
        let from = to.wrapping_add_signed(down) * row;
        let first = columns.start.wrapping_add_signed(right) * channels;
        let target = &mut picture[to * row..][columns.start * channels..columns.end * channels];
        target.copy_from_slice(&given[from + first..][..target.len()]);
    }
}

/// The positions whose source, `by` further on, exists.
fn overlap(length: usize, by: isize) -> std::ops::Range<usize> {
    let moved = by.unsigned_abs().min(length);
    if by < 0 { moved..length } else { 0..length - moved }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: PictureSize = PictureSize { height: 2, width: 2, channels: 1 };

    #[test]
    fn mirroring_keeps_the_order_of_channels() {
        let mut colour = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        mirror(&mut colour, PictureSize { height: 1, width: 2, channels: 3 });
        assert_eq!(colour, [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn what_comes_in_is_filled() {
        let moved = |down, right| {
            let mut picture = [1.0, 2.0, 3.0, 4.0];
            shift(&mut picture, SIZE, down, right, 9.0);
            picture
        };
        assert_eq!(moved(0, 0), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(moved(1, 0), [3.0, 4.0, 9.0, 9.0]);
        assert_eq!(moved(-1, 1), [9.0, 9.0, 2.0, 9.0]);
        assert_eq!(moved(0, -5), [9.0; 4]);
        assert_eq!(moved(7, 7), [9.0; 4]);
    }
}
