//! A series as a person would look at it: a line for each channel.

use std::io::Cursor;

use ansatz_core::{Error, Result};
use image::{ImageFormat, Rgb, RgbImage};

const WIDTH: u32 = 288;
const HEIGHT: u32 = 216;
/// Pixels left free on each side.
const MARGIN: u32 = 6;
/// Pixels of a line across.
const STROKE: u32 = 3;
const PAPER: Rgb<u8> = Rgb([0xF6, 0xF7, 0xF9]);
/// Colours that people with any colour vision tell apart (Okabe and Ito 2008); channels beyond begin again.
const COLOURS: [Rgb<u8>; 7] = [
    Rgb([0x00, 0x72, 0xB2]),
    Rgb([0xD5, 0x5E, 0x00]),
    Rgb([0x00, 0x9E, 0x73]),
    Rgb([0xCC, 0x79, 0xA7]),
    Rgb([0xE6, 0x9F, 0x00]),
    Rgb([0x56, 0xB4, 0xE9]),
    Rgb([0x33, 0x3D, 0x48]),
];

/// Draws the values `[steps × channels]` of a series, at least one, as a PNG file; all channels share one axis.
///
/// # Errors
/// When the picture cannot be written.
pub(super) fn drawing(values: &[f32], channels: usize) -> Result<Vec<u8>> {
    let mut picture = RgbImage::from_pixel(WIDTH, HEIGHT, PAPER);
    let lowest = values.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (steps, span) = (values.len() / channels, (highest - lowest).max(f32::MIN_POSITIVE));
    let (wide, high) = (WIDTH - 2 * MARGIN - 1, HEIGHT - 2 * MARGIN - STROKE);
    for channel in 0..channels {
        let colour = COLOURS[channel % COLOURS.len()];
        let row = |step: usize| {
            let share = (highest - values[step * channels + channel]) / span;
            share.clamp(0.0, 1.0) * high as f32
        };
        let mut before = None;
        for column in 0..=wide {
            let place = column as f32 / wide as f32 * (steps - 1) as f32;
            let step = place as usize;
            let next = row((step + 1).min(steps - 1));
            let here = (row(step) + (next - row(step)) * place.fract()).round() as u32;
            // Down or up to the column before, so that steep lines do not break.
            let last = before.unwrap_or(here);
            for y in here.min(last)..=here.max(last) + STROKE - 1 {
                picture.put_pixel(MARGIN + column, MARGIN + y, colour);
            }
            before = Some(here);
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| Error::Failed(format!("a series cannot be drawn: {error}")))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_run_from_edge_to_edge_without_a_break() {
        let png = drawing(&[0.0, 5.0, 1.0, 5.0, 0.0, 5.0], 2).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), (WIDTH, HEIGHT));
        for x in MARGIN..WIDTH - MARGIN {
            let colours: Vec<_> = (0..HEIGHT).map(|y| *picture.get_pixel(x, y)).collect();
            assert!(colours.contains(&COLOURS[0]) && colours.contains(&COLOURS[1]), "column {x}");
        }
        assert_eq!(picture.get_pixel(MARGIN, MARGIN), &COLOURS[1]);
    }

    #[test]
    fn a_single_step_and_a_flat_line_can_be_drawn() {
        for values in [&[3.0][..], &[2.0; 5]] {
            assert!(drawing(values, 1).unwrap().starts_with(b"\x89PNG"));
        }
    }
}
