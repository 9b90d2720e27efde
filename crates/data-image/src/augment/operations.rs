//! The operations on colour and sharpness that RandAugment draws from, on values in 0–1.

use crate::pictures::PictureSize;

/// Weights of red, green and blue in grey (Rec. 601, as the reference implementations use).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

fn grey_of(pixel: &[f32]) -> f32 {
    match pixel {
        [red, green, blue] => red * GREY[0] + green * GREY[1] + blue * GREY[2],
        _ => pixel[0],
    }
}

/// Away from (`factor` > 1) or towards (`factor` < 1) another picture, held to 0–1.
fn blend(value: f32, other: f32, factor: f32) -> f32 {
    (other + factor * (value - other)).clamp(0.0, 1.0)
}

/// Multiplies brightness; factor 1 changes nothing.
pub(super) fn brightness(picture: &mut [f32], factor: f32) {
    picture.iter_mut().for_each(|value| *value = blend(*value, 0.0, factor));
}

/// Spreads values about the mean grey; factor 1 changes nothing.
pub(super) fn contrast(picture: &mut [f32], size: PictureSize, factor: f32) {
    let pixels = picture.chunks_exact(size.channels);
    let mean = pixels.map(grey_of).sum::<f32>() / (size.height * size.width) as f32;
    picture.iter_mut().for_each(|value| *value = blend(*value, mean, factor));
}

/// Spreads each pixel's channels about its grey; factor 1 changes nothing, nor does any for grey pictures.
pub(super) fn colour(picture: &mut [f32], size: PictureSize, factor: f32) {
    for pixel in picture.chunks_exact_mut(size.channels) {
        let grey = grey_of(pixel);
        pixel.iter_mut().for_each(|value| *value = blend(*value, grey, factor));
    }
}

/// Away from or towards a smoothed copy (3×3, centre 5, others 1, over 13); the border stays.
pub(super) fn sharpness(picture: &mut [f32], size: PictureSize, factor: f32) {
    let PictureSize { height, width, channels } = size;
    let given = picture.to_vec();
    for y in 1..height.saturating_sub(1) {
        for x in (channels..(width * channels).saturating_sub(channels)).map(|x| y * width * channels + x) {
            let row = width * channels;
            let around: f32 = [x - row, x, x + row]
                .iter()
                .map(|&middle| given[middle - channels] + given[middle] + given[middle + channels])
                .sum();
            let smooth = (around + 4.0 * given[x]) / 13.0;
            picture[x] = blend(given[x], smooth, factor);
        }
    }
}

/// Keeps the highest `bits` of 8 bits.
pub(super) fn posterize(picture: &mut [f32], bits: u32) {
    let mask = !(0xff_u8.checked_shr(bits).unwrap_or(0));
    picture.iter_mut().for_each(|value| *value = f32::from(byte(*value) & mask) / 255.0);
}

/// Inverts values from a threshold on.
pub(super) fn solarize(picture: &mut [f32], threshold: f32) {
    picture.iter_mut().filter(|value| **value >= threshold).for_each(|value| *value = 1.0 - *value);
}

/// Stretches each channel to 0–1; a channel of one value stays.
pub(super) fn autocontrast(picture: &mut [f32], size: PictureSize) {
    for channel in 0..size.channels {
        let values = || picture.iter().skip(channel).step_by(size.channels).copied();
        let (least, most) =
            (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max));
        if most > least {
            let stretched = picture.iter_mut().skip(channel).step_by(size.channels);
            stretched.for_each(|value| *value = (*value - least) / (most - least));
        }
    }
}

/// Evens out the histogram of each channel, over 256 steps.
pub(super) fn equalize(picture: &mut [f32], size: PictureSize) {
    for channel in 0..size.channels {
        let mut histogram = [0_usize; 256];
        for value in picture.iter().skip(channel).step_by(size.channels) {
            histogram[usize::from(byte(*value))] += 1;
        }
        let last = histogram.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
        let step = (size.height * size.width - last) / 255;
        if step == 0 {
            continue;
        }
        let mut below = step / 2;
        let table = histogram.map(|count| {
            let level = (below / step).min(255) as f32 / 255.0;
            below += count;
            level
        });
        for value in picture.iter_mut().skip(channel).step_by(size.channels) {
            *value = table[usize::from(byte(*value))];
        }
    }
}

fn byte(value: f32) -> u8 {
    (value * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: PictureSize = PictureSize { height: 3, width: 3, channels: 3 };

    fn picture() -> Vec<f32> {
        (0..27).map(|index| (index * 7 % 27) as f32 / 255.0 * 9.0).collect()
    }

    #[test]
    fn factor_one_changes_nothing() {
        let operations: [fn(&mut [f32]); 4] = [
            |picture| brightness(picture, 1.0),
            |picture| contrast(picture, SIZE, 1.0),
            |picture| colour(picture, SIZE, 1.0),
            |picture| sharpness(picture, SIZE, 1.0),
        ];
        for operation in operations {
            let mut changed = picture();
            operation(&mut changed);
            let most = changed.iter().zip(picture()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(most < 1e-6, "{most}");
        }
    }

    #[test]
    fn levels_and_thresholds() {
        let mut bits = [0.0, 127.0 / 255.0, 1.0];
        posterize(&mut bits, 1);
        assert_eq!(bits, [0.0, 0.0, 128.0 / 255.0]);
        let mut same = picture();
        posterize(&mut same, 8);
        assert_eq!(same, picture());
        let mut inverted = [0.25, 0.75];
        solarize(&mut inverted, 0.5);
        assert_eq!(inverted, [0.25, 0.25]);
    }

    #[test]
    fn stretching_reaches_both_ends_and_keeps_flat_channels() {
        let size = PictureSize { height: 1, width: 3, channels: 1 };
        let mut values = [0.25, 0.5, 0.75];
        autocontrast(&mut values, size);
        assert_eq!(values, [0.0, 0.5, 1.0]);
        let mut flat = [0.5; 3];
        autocontrast(&mut flat, size);
        equalize(&mut flat, size);
        assert_eq!(flat, [0.5; 3]);
    }
}
