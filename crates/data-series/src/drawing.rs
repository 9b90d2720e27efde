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

/// What is hidden from a network, and only shown to people.
const FAINT: Rgb<u8> = Rgb([0xB4, 0xBC, 0xC4]);

/// A line over all steps, which breaks where a step has no value.
struct Line {
    values: Vec<Option<f32>>,
    colour: Rgb<u8>,
}

/// Draws the values `[steps × channels]` of a series, at least one, as a PNG file; all channels share one axis.
///
/// # Errors
/// When the picture cannot be written.
pub(crate) fn drawing(values: &[f32], channels: usize) -> Result<Vec<u8>> {
    let line = |channel: usize| Line {
        values: values.iter().skip(channel).step_by(channels).copied().map(Some).collect(),
        colour: COLOURS[channel % COLOURS.len()],
    };
    draw(&(0..channels).map(line).collect::<Vec<_>>())
}

/// Draws a channel of which steps are hidden: what was seen of it, what it is where it is hidden, and over that what was
/// `told`, each joined to the steps beside it.
///
/// # Errors
/// When the picture cannot be written.
pub(crate) fn restored(values: &[f32], hidden: &[bool], told: &[f32]) -> Result<Vec<u8>> {
    let steps = values.len();
    let beside = |step: usize| hidden[step.saturating_sub(1)] || hidden[(step + 1).min(steps - 1)];
    let line = |colour, value: &dyn Fn(usize) -> Option<f32>| Line {
        values: (0..steps).map(value).collect(),
        colour,
    };
    draw(&[
        line(FAINT, &|step| (hidden[step] || beside(step)).then_some(values[step])),
        line(COLOURS[0], &|step| (!hidden[step]).then_some(values[step])),
        line(COLOURS[1], &|step| match hidden[step] {
            true => Some(told[step]),
            false => beside(step).then_some(values[step]),
        }),
    ])
}

/// Draws lines of as many steps over one axis.
fn draw(lines: &[Line]) -> Result<Vec<u8>> {
    let mut picture = RgbImage::from_pixel(WIDTH, HEIGHT, PAPER);
    let all = || lines.iter().flat_map(|line| line.values.iter().flatten().copied());
    let (lowest, highest) = (all().fold(f32::INFINITY, f32::min), all().fold(f32::NEG_INFINITY, f32::max));
    let span = (highest - lowest).max(f32::MIN_POSITIVE);
    let (wide, high) = (WIDTH - 2 * MARGIN - 1, HEIGHT - 2 * MARGIN - STROKE);
    for Line { values, colour } in lines {
        let steps = values.len();
        let row = |step: usize| Some(((highest - values[step]?) / span).clamp(0.0, 1.0) * high as f32);
        let mut before = None;
        for column in 0..=wide {
            let place = column as f32 / wide as f32 * (steps - 1) as f32;
            let step = place as usize;
            let ends = row(step).zip(row((step + 1).min(steps - 1)));
            let here = ends.map(|(here, next)| (here + (next - here) * place.fract()).round() as u32);
            if let Some(here) = here {
                // Down or up to the column before, so that steep lines do not break.
                let last: u32 = before.unwrap_or(here);
                for y in here.min(last)..=here.max(last) + STROKE - 1 {
                    picture.put_pixel(MARGIN + column, MARGIN + y, *colour);
                }
            }
            before = here;
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
    fn hidden_steps_show_what_was_told_over_what_is_there() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let hidden = [false, false, true, true, false, false];
        let png = restored(&values, &hidden, &[9.0, 9.0, 5.0, 0.0, 9.0, 9.0]).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_rgb8();
        let colours =
            |column: u32| -> Vec<_> { (0..HEIGHT).map(|y| *picture.get_pixel(column, y)).collect() };
        let (seen, told) = (colours(MARGIN + 2), colours(WIDTH / 2));
        assert!(seen.contains(&COLOURS[0]) && !seen.contains(&COLOURS[1]));
        assert!(told.contains(&COLOURS[1]) && !told.contains(&COLOURS[0]));
        assert!(colours(WIDTH * 2 / 5 + 10).contains(&FAINT));
    }

    #[test]
    fn a_single_step_and_a_flat_line_can_be_drawn() {
        for values in [&[3.0][..], &[2.0; 5]] {
            assert!(drawing(values, 1).unwrap().starts_with(b"\x89PNG"));
        }
    }
}
