//! Many pictures with their labels in one PNG, for a person to look at.

use std::io::Cursor;

use ansatz_core::{Error, Exhibit, OpenData, Part, Result, Target, Targets};
use ansatz_data::{Purpose, stream};
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};
use rand::seq::SliceRandom;

use crate::pictures::PictureSize;
use crate::text::{self, LINE_HEIGHT};

/// One picture of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// A PNG file, as [`OpenData::exhibit`] gives it.
    pub png: Vec<u8>,
    /// Lines under the picture; what does not fit into the width is cut.
    pub lines: Vec<String>,
}

/// Side of the square that a picture is fitted into, in pixels.
const SIDE: u32 = 96;
const GAP: u32 = 8;
const PAPER: Rgb<u8> = Rgb([255; 3]);

/// Draws cards in rows of `columns` (at least 1) into one PNG file.
///
/// # Errors
/// When a card holds no PNG, or there are none.
pub fn contact_sheet(cards: &[Card], columns: usize) -> Result<Vec<u8>> {
    draw(&cards.chunks(columns.max(1)).collect::<Vec<_>>())
}

fn draw(rows: &[&[Card]]) -> Result<Vec<u8>> {
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0) as u32;
    if columns == 0 {
        return Err(Error::input(
            "a contact sheet",
            "no pictures",
            "at least one",
            "name a part that has examples",
        ));
    }
    let lines = rows.iter().copied().flatten().map(|card| card.lines.len()).max().unwrap_or(0) as u32;
    let (wide, high) = (SIDE + GAP, SIDE + lines * LINE_HEIGHT + GAP);
    let mut sheet = RgbImage::from_pixel(columns * wide + GAP, rows.len() as u32 * high + GAP, PAPER);
    for (top, row) in (0..).map(|row| row * high + GAP).zip(rows) {
        for (left, card) in (0..).map(|column| column * wide + GAP).zip(*row) {
            draw_card(&mut sheet, left, top, card)?;
        }
    }
    to_png(&sheet)
}

fn draw_card(sheet: &mut RgbImage, left: u32, top: u32, card: &Card) -> Result<()> {
    let picture = image::load_from_memory_with_format(&card.png, ImageFormat::Png)
        .map_err(|error| Error::Failed(format!("a card of a contact sheet: no PNG: {error}")))?;
    let picture = fit(picture.into_rgb8());
    let (spare_x, spare_y) = ((SIDE - picture.width()) / 2, (SIDE - picture.height()) / 2);
    imageops::replace(sheet, &picture, i64::from(left + spare_x), i64::from(top + spare_y));
    for (line_top, line) in (0..).map(|line| top + SIDE + line * LINE_HEIGHT).zip(&card.lines) {
        text::draw(sheet, left, line_top, SIDE, line);
    }
    Ok(())
}

/// Draws `per_class` examples of each class of a part, chosen by `seed`, a class per row. A class that
/// has fewer shows all it has.
///
/// # Errors
/// When the data has no classes, or an example cannot be drawn.
pub fn sample_sheet(data: &dyn OpenData, part: Part, per_class: usize, seed: u64) -> Result<Vec<u8>> {
    let Target::Classes { names } = data.encoder().target() else { return draw(&[]) };
    let mut order: Vec<usize> = (0..data.examples(part)).collect();
    order.shuffle(&mut stream(seed, Purpose::Sample, 0, 0));
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    for indices in order.chunks(256) {
        if chosen.iter().all(|of_class| of_class.len() >= per_class) {
            break;
        }
        let Targets::Classes(labels) = data.batch(part, indices, None)?.targets else { continue };
        for (&index, label) in indices.iter().zip(labels) {
            if chosen[label].len() < per_class {
                chosen[label].push(index);
            }
        }
    }
    let mut rows: Vec<Vec<Card>> = Vec::new();
    for (name, indices) in names.iter().zip(&chosen) {
        let mut row = Vec::new();
        for &index in indices {
            let Exhibit::Png(png) = data.exhibit(part, index)? else { continue };
            row.push(Card { png, lines: vec![name.clone()] });
        }
        rows.push(row);
    }
    draw(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Larger by a whole factor with hard pixels, or smaller with blended ones.
fn fit(picture: RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let longer = width.max(height);
    if longer <= SIDE {
        let factor = SIDE / longer;
        return imageops::resize(&picture, width * factor, height * factor, FilterType::Nearest);
    }
    let scaled = |pixels: u32| (u64::from(pixels) * u64::from(SIDE) / u64::from(longer)).max(1) as u32;
    imageops::resize(&picture, scaled(width), scaled(height), FilterType::Triangle)
}

/// A picture of bytes in 0–255, enlarged so that its pixels can be seen.
pub(crate) fn enlarge(bytes: &[u8], size: PictureSize) -> RgbImage {
    let (width, height) = (size.width as u32, size.height as u32);
    let picture = match size.channels {
        1 => GrayImage::from_raw(width, height, bytes.to_vec()).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, bytes.to_vec()).map(DynamicImage::ImageRgb8),
    };
    let picture = picture.unwrap_or_default().into_rgb8();
    let factor = (SIDE / width.max(height).max(1)).max(1);
    imageops::resize(&picture, width * factor, height * factor, FilterType::Nearest)
}

/// Pictures of one size side by side.
pub(crate) fn beside(pictures: &[RgbImage]) -> RgbImage {
    let (width, height) = pictures.first().map_or((0, 0), RgbImage::dimensions);
    let mut whole = RgbImage::from_pixel((width + GAP) * pictures.len() as u32, height, PAPER);
    for (left, picture) in (0..).map(|column| column * (width + GAP) + GAP / 2).zip(pictures) {
        imageops::replace(&mut whole, picture, i64::from(left), 0);
    }
    whole
}

pub(crate) fn to_png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| Error::Failed(format!("a picture cannot be written as PNG: {error}")))?;
    Ok(bytes.into_inner())
}
