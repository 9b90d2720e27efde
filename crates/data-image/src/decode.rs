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
//!    centred on the background.
//! 6. Colour becomes grey by the luminance weights of Rec. 709, where one channel is wanted.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageResult, Limits, RgbImage, Rgba};

use crate::pictures::PictureSize;

/// Pixels in a picture at most: 4096 × 4096.
pub const MOST_PIXELS: u64 = 1 << 24;

/// Bytes that decoding one picture may allocate.
const MOST_BYTES: u64 = 1 << 28;

/// How files become pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoder {
    /// The trained size.
    pub size: PictureSize,
    /// Brightness in 0–1 behind transparent pixels and beside narrow pictures.
    pub background: f64,
    /// Whether colours are inverted.
    pub invert: bool,
}

impl Decoder {
    /// Reads a file as bytes `[height, width, channels]`, 255 for full brightness.
    ///
    /// # Errors
    /// When the file cannot be read, is neither PNG nor JPEG, is damaged, animated or too large.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
        let picture = decode(path, &bytes)?;
        Ok(self.fit(&picture))
    }

    /// Steps 3 to 6.
    fn fit(&self, picture: &DynamicImage) -> Vec<u8> {
        let opaque = self.flatten(picture);
        let fitted = self.centre(opaque);
        match self.size.channels {
            1 => DynamicImage::ImageRgb8(fitted).into_luma8().into_raw(),
            _ => fitted.into_raw(),
        }
    }

    fn background(&self) -> u8 {
        (self.background * 255.0).round() as u8
    }

    fn flatten(&self, picture: &DynamicImage) -> RgbImage {
        let behind = f32::from(self.background());
        let over = |Rgba([red, green, blue, alpha]): Rgba<u8>| {
            let opacity = f32::from(alpha) / 255.0;
            let value = |value: u8| {
                let value = if self.invert { 255 - value } else { value };
                (f32::from(value) * opacity + behind * (1.0 - opacity)).round() as u8
            };
            image::Rgb([red, green, blue].map(value))
        };
        let rgba = picture.to_rgba8();
        RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| over(*rgba.get_pixel(x, y)))
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
