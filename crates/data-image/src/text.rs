//! Text on a picture, in a bitmap font.

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_6X10;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::DrawTarget;
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};

/// Pixels from one line to the next.
pub(crate) const LINE_HEIGHT: u32 = 12;

const LETTER_WIDTH: u32 = 6;
const INK: Rgb<u8> = Rgb([0; 3]);

/// Draws one line from its upper left corner, cut to `width` pixels; letters outside Latin-1 become `?`.
pub(crate) fn draw(picture: &mut RgbImage, left: u32, top: u32, width: u32, line: &str) {
    let shown: String = line.chars().take((width / LETTER_WIDTH) as usize).collect();
    let style = MonoTextStyle::new(&FONT_6X10, BinaryColor::On);
    let place = Point::new(left as i32, top as i32 + 1);
    let Ok(_) = Text::with_baseline(&shown, place, style, Baseline::Top).draw(&mut Canvas(picture));
}

struct Canvas<'a>(&'a mut RgbImage);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        for Pixel(place, colour) in pixels {
            let inside = u32::try_from(place.x).ok().zip(u32::try_from(place.y).ok());
            let pixel = inside.and_then(|(x, y)| self.0.get_pixel_mut_checked(x, y));
            if let (Some(pixel), BinaryColor::On) = (pixel, colour) {
                *pixel = INK;
            }
        }
        Ok(())
    }
}
