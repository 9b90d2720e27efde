//! PNG and JPEG files to the size and channels that a network was trained on.
//!
//! What happens, in this order:
//! 1. Pictures of more than 2²⁴ pixels and animations are refused; nothing is allocated before.
//! 2. Palettes are looked up, 16-bit values rounded to 8 bits, CMYK converted to RGB, and the
//!    orientation that a camera noted (Exif) is applied.
//! 3. With `invert`, colours are inverted: for photos of dark ink on light paper where the network was
//!    trained on light strokes on black. It is never done unasked.
//! 4. Transparent pixels are laid over the background.
//! 5. The picture is brought to the largest size of its own proportions that fits into the trained
//!    size, with a triangle filter (bilinear; when shrinking, over all pixels that fall together), and
//!    centred on the background. With the box filter it is centred on a square of its longer side
//!    first, and each pixel of the result is the mean of the whole pixels that fall into it.
//! 6. Colour becomes grey by the luminance weights of Rec. 709, where one channel is wanted.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageResult, Limits, RgbImage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pictures::PictureSize;

/// Pixels in a picture at most: 4096 × 4096.
pub const MOST_PIXELS: u64 = 1 << 24;

/// Bytes that decoding one picture may allocate.
const MOST_BYTES: u64 = 1 << 28;

/// How a picture is brought to another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Weights that fall linearly with the distance.
    #[default]
    Triangle,
    /// The mean of the pixels that fall into one.
    Box,
}

/// How files become pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoder {
    /// The trained size.
    pub size: PictureSize,
    /// Brightness in 0–1 behind transparent pixels and beside narrow pictures.
    pub background: f64,
    /// Whether colours are inverted.
    pub invert: bool,
    /// How they are brought to the trained size.
    pub filter: Filter,
}

impl Decoder {
    /// Reads a file as bytes `[height, width, channels]`, 255 for full brightness.
    ///
    /// # Errors
    /// When the file cannot be read, is neither PNG nor JPEG, is damaged, animated or too large.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
        self.read_bytes(path, &bytes)
    }

    /// The same for what the file at `path` holds.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    pub fn read_bytes(&self, path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(self.fit(decode(path, bytes)?))
    }

    /// Steps 3 to 6.
    fn fit(&self, picture: DynamicImage) -> Vec<u8> {
        let opaque = self.flatten(picture);
        let fitted = match self.filter {
            Filter::Triangle => self.centre(opaque),
            Filter::Box => self.means(&opaque),
        };
        match self.size.channels {
            1 => DynamicImage::ImageRgb8(fitted).into_luma8().into_raw(),
            _ => fitted.into_raw(),
        }
    }

    /// The byte behind transparent pixels and beside narrow pictures.
    pub(crate) fn background(&self) -> u8 {
        (self.background * 255.0).round() as u8
    }

    /// Steps 3 and 4. What is left of a colour and of the background is a share in 255ths, rounded to the nearest byte.
    fn flatten(&self, picture: DynamicImage) -> RgbImage {
        let (behind, inversion) = (u32::from(self.background()), if self.invert { 255 } else { 0 });
        let rgba = picture.into_rgba8();
        let mut opaque = RgbImage::new(rgba.width(), rgba.height());
        let (layered, _) = rgba.as_raw().as_chunks::<4>();
        for ([colours @ .., alpha], over) in layered.iter().zip(opaque.as_chunks_mut::<3>().0) {
            let alpha = u32::from(*alpha);
            for (colour, over) in colours.iter().zip(over) {
                let sum = u32::from(colour ^ inversion) * alpha + behind * (255 - alpha);
                *over = ((sum + 127) / 255) as u8;
            }
        }
        opaque
    }

    /// Step 5. Shrinking comes first: a canvas around a picture of one row would be its width squared.
    fn centre(&self, picture: RgbImage) -> RgbImage {
        let (width, height) = (self.size.width as u32, self.size.height as u32);
        let ratio = f64::from(width) / f64::from(picture.width());
        let ratio = ratio.min(f64::from(height) / f64::from(picture.height()));
        let scaled = |pixels: u32, most: u32| ((f64::from(pixels) * ratio).round() as u32).clamp(1, most);
        let (wide, high) = (scaled(picture.width(), width), scaled(picture.height(), height));
        let shrunk = if picture.dimensions() == (wide, high) {
            picture
        } else {
            imageops::resize(&picture, wide, high, FilterType::Triangle)
        };
        if (wide, high) == (width, height) {
            return shrunk;
        }
        let mut canvas = RgbImage::from_pixel(width, height, image::Rgb([self.background(); 3]));
        let (left, top) = ((width - wide) / 2, (height - high) / 2);
        imageops::replace(&mut canvas, &shrunk, i64::from(left), i64::from(top));
        canvas
    }
}

impl Decoder {
    /// Step 5 with the box filter. The square is never made: what lies outside the picture is background.
    fn means(&self, picture: &RgbImage) -> RgbImage {
        let (width, height) = picture.dimensions();
        let side = width.max(height);
        let (left, top) = ((side - width) / 2, (side - height) / 2);
        let behind = u64::from(self.background());
        // The whole pixels of the square whose middles fall into each of `count` equal spans; at least one.
        let span = |index: u32, count: u32| {
            let scale = f64::from(side) / f64::from(count);
            let (middle, half) = ((f64::from(index) + 0.5) * scale, 0.5 * scale.max(1.0));
            let first = (middle - half + 0.5).max(0.0) as u32;
            first..((middle + half + 0.5) as u32).clamp(first + 1, side.max(first + 1))
        };
        let inside = |span: &std::ops::Range<u32>, before: u32, length: u32| {
            span.start.max(before)..span.end.min(before + length)
        };
        let (wide, high) = (self.size.width as u32, self.size.height as u32);
        RgbImage::from_fn(wide, high, |x, y| {
            let (columns, rows) = (span(x, wide), span(y, high));
            let count = u64::from(columns.end - columns.start) * u64::from(rows.end - rows.start);
            let (columns, rows) = (inside(&columns, left, width), inside(&rows, top, height));
            let (mut sums, mut seen) = ([0u64; 3], 0);
            for row in rows.filter(|_| !columns.is_empty()) {
                let line = &picture.as_raw()[3 * (row - top) as usize * width as usize..];
                let place = |column: u32| 3 * (column - left) as usize;
                let (pixels, _) = line[place(columns.start)..place(columns.end)].as_chunks::<3>();
                for pixel in pixels {
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
                }
                seen += pixels.len() as u64;
            }
            image::Rgb(sums.map(|sum| ((sum + behind * (count - seen) + count / 2) / count) as u8))
        })
    }
}

/// Steps 1 and 2.
pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<DynamicImage> {
    let wrong = |problem: String, expected: &str, remedy: &str| {
        Error::input(path.display(), problem, expected, remedy)
    };
    let damaged = |error: image::ImageError| {
        wrong(format!("cannot be decoded: {error}"), "a whole PNG or JPEG file", "replace or remove the file")
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits.clone()).map_err(damaged)?;
            if decoder.is_apng().map_err(damaged)? {
                return Err(wrong(
                    "is an animation".to_owned(),
                    "a single picture",
                    "export one of its frames",
                ));
            }
            check_pixels(path, &decoder)?;
            finish(decoder, limits).map_err(damaged)
        }
        Ok(ImageFormat::Jpeg) => {
            let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
            check_pixels(path, &decoder)?;
            finish(decoder, limits).map_err(damaged)
        }
        _ => Err(wrong(
            "is neither PNG nor JPEG".to_owned(),
            "a PNG or JPEG file",
            "convert or remove the file",
        )),
    }
}

fn check_pixels(path: &Path, decoder: &impl ImageDecoder) -> Result<()> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels <= MOST_PIXELS && pixels > 0 {
        return Ok(());
    }
    Err(Error::input(
        path.display(),
        format!("has {width}×{height} pixels"),
        format!("1 to {MOST_PIXELS} pixels in all"),
        "scale it down, or remove the file",
    ))
}

fn finish(mut decoder: impl ImageDecoder, limits: Limits) -> ImageResult<DynamicImage> {
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// The PNG and JPEG files at a path: itself, or those directly inside a folder, sorted by their bytes.
///
/// # Errors
/// When there is nothing at the path, or the folder holds none.
pub fn picture_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        std::fs::metadata(path).map_err(Error::file(path, "read"))?;
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::file(path, "read"))? {
        let file = entry.map_err(Error::file(path, "read"))?.path();
        let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg")) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::input(
            path.display(),
            "holds no pictures",
            "files that end in .png, .jpg or .jpeg",
            "put pictures there, or name another folder",
        ));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(height: usize, width: usize) -> Decoder {
        let size = PictureSize { height, width, channels: 3 };
        Decoder { size, background: 1.0, invert: false, filter: Filter::Box }
    }

    #[test]
    fn a_box_is_the_mean_of_the_pixels_in_it_and_of_the_background() {
        // A bar of 4×2 pixels stands in the middle of a white square of 4×4.
        let bar = RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8 * 10, y as u8 * 100, 0]));
        let found = decoder(2, 2).means(&bar);
        let mean = |values: [u32; 4]| ((values.iter().sum::<u32>() + 2) / 4) as u8;
        assert_eq!(found.get_pixel(0, 0).0, [mean([0, 10, 255, 255]), mean([0, 0, 255, 255]), 128]);
        assert_eq!(found.get_pixel(1, 1).0, [mean([20, 30, 255, 255]), mean([100, 100, 255, 255]), 128]);
        let same = decoder(4, 4).means(&bar);
        assert_eq!(same.get_pixel(3, 0).0, [255; 3]);
        assert_eq!(same.get_pixel(3, 2).0, [30, 100, 0]);
        let enlarged = decoder(8, 8).means(&bar);
        assert_eq!(enlarged.get_pixel(7, 5).0, [30, 100, 0]);
    }

    #[test]
    fn transparent_pixels_are_laid_over_the_background() {
        for (background, invert) in [(1.0, false), (0.2, false), (0.6, true)] {
            let decoder = Decoder { background, invert, ..decoder(2, 2) };
            // Every colour under every opacity.
            let layered =
                image::RgbaImage::from_fn(256, 256, |x, y| image::Rgba([x as u8, 255 - x as u8, 7, y as u8]));
            let opaque = decoder.flatten(layered.clone().into());
            let behind = f64::from(decoder.background());
            for (image::Rgba([red, green, blue, alpha]), found) in layered.pixels().zip(opaque.pixels()) {
                let expected = [red, green, blue].map(|colour| {
                    let colour = f64::from(if invert { 255 - colour } else { *colour });
                    let opacity = f64::from(*alpha) / 255.0;
                    (colour * opacity + behind * (1.0 - opacity)).round() as u8
                });
                assert_eq!(found.0, expected);
            }
        }
    }

    #[test]
    fn boxes_that_do_not_divide_the_picture_share_no_pixel() {
        let row = RgbImage::from_fn(5, 5, |x, _| image::Rgb([x as u8 * 50; 3]));
        let found = decoder(2, 2).means(&row);
        // Middles 1.25 and 3.75: the pixels 0 to 2, and 3 and 4.
        assert_eq!([found.get_pixel(0, 0).0[0], found.get_pixel(1, 0).0[0]], [50, 175]);
    }
}
