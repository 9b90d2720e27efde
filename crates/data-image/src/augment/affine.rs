//! Shift, rotation, scale and shear in one pass with bilinear blending.

use crate::pictures::PictureSize;

/// An affine map of a picture: its content is shifted, then sheared, scaled and rotated about the centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Pixels down and to the right.
    pub shift: [f32; 2],
    /// Radians, counter-clockwise as seen.
    pub rotation: f32,
    /// Factor.
    pub scale: f32,
    /// Radians by which rows slide along the row, and columns along the column.
    pub shear: [f32; 2],
}

impl Affine {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self { shift: [0.0; 2], rotation: 0.0, scale: 1.0, shear: [0.0; 2] };

    /// From output to source: `source = matrix · (output − centre) + centre − shift`, in (x, y).
    fn inverse(&self) -> [[f32; 2]; 2] {
        let (sine, cosine) = self.rotation.sin_cos();
        let [along_row, along_column] = self.shear.map(f32::tan);
        // The y axis points down, so a counter-clockwise turn has its sine below the diagonal negated.
        let turn = [[cosine, sine], [-sine, cosine]];
        let slant = [[1.0, along_row], [along_column, 1.0]];
        let forward = multiply(turn, slant).map(|row| row.map(|value| value * self.scale));
        let [[a, b], [c, d]] = forward;
        let determinant = a * d - b * c;
        [[d / determinant, -b / determinant], [-c / determinant, a / determinant]]
    }
}

fn multiply(left: [[f32; 2]; 2], right: [[f32; 2]; 2]) -> [[f32; 2]; 2] {
    left.map(|[first, second]| {
        [first * right[0][0] + second * right[1][0], first * right[0][1] + second * right[1][1]]
    })
}

/// Applies affine maps; keeps a buffer from picture to picture.
#[derive(Debug, Default)]
pub struct Warp {
    padded: Vec<f32>,
}

impl Warp {
    /// Replaces a picture `[height, width, channels]` by its image under a map. A source position between
    /// pixels blends its four neighbours; one outside the picture has the value `fill`.
    pub fn apply(&mut self, picture: &mut [f32], size: PictureSize, affine: &Affine, fill: f32) {
        self.pad(picture, size, fill);
        // A copy of the loop for each usual number of channels, which the compiler then unrolls.
        match size.channels {
            1 => self.blend(picture, size, 1, affine),
            3 => self.blend(picture, size, 3, affine),
            other => self.blend(picture, size, other, affine),
        }
    }

    /// Copies the picture into a frame of `fill`: one pixel before, two behind. Positions held to
    /// −1..size then have all four neighbours, so that the loop over pixels needs no cases.
    fn pad(&mut self, picture: &[f32], size: PictureSize, fill: f32) {
        let PictureSize { height, width, channels } = size;
        let (row, padded_row) = (width * channels, (width + 3) * channels);
        self.padded.clear();
        self.padded.resize((height + 3) * padded_row, fill);
        for (from, to) in picture.chunks_exact(row).zip(self.padded.chunks_exact_mut(padded_row).skip(1)) {
            to[channels..channels + row].copy_from_slice(from);
        }
    }

    #[inline(always)]
    fn blend(&self, picture: &mut [f32], size: PictureSize, channels: usize, affine: &Affine) {
        let PictureSize { height, width, .. } = size;
        let [[xx, xy], [yx, yy]] = affine.inverse();
        let [down, right] = affine.shift;
        let (wide, high) = (width as f32, height as f32);
        let (centre_x, centre_y) = ((wide - 1.0) / 2.0, (high - 1.0) / 2.0);
        let padded_row = (width + 3) * channels;
        for (row, pixels) in picture.chunks_exact_mut(width * channels).enumerate() {
            let y = row as f32 - centre_y;
            // One is added for the frame.
            let start_x = xy * y + centre_x - right + 1.0;
            let start_y = yy * y + centre_y - down + 1.0;
            for (column, pixel) in pixels.chunks_exact_mut(channels).enumerate() {
                let x = column as f32 - centre_x;
                let source_x = (xx * x + start_x).clamp(0.0, wide + 1.0);
                let source_y = (yx * x + start_y).clamp(0.0, high + 1.0);
                let (left, top) = (source_x as u32, source_y as u32);
                let (part_x, part_y) = (source_x - left as f32, source_y - top as f32);
                let at = top as usize * padded_row + left as usize * channels;
                let upper = &self.padded[at..at + 2 * channels];
                let lower = &self.padded[at + padded_row..at + padded_row + 2 * channels];
                for channel in 0..channels {
                    let between =
                        |row: &[f32]| row[channel] + part_x * (row[channel + channels] - row[channel]);
                    let (above, below) = (between(upper), between(lower));
                    pixel[channel] = above + part_y * (below - above);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, pixel by pixel, in float64.
    fn naive(picture: &[f32], size: PictureSize, affine: &Affine, fill: f32) -> Vec<f32> {
        let PictureSize { height, width, channels } = size;
        let at = |y: i64, x: i64, channel: usize| {
            let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
            let index = |y: i64, x: i64| (y as usize * width + x as usize) * channels + channel;
            f64::from(if inside { picture[index(y, x)] } else { fill })
        };
        let matrix = affine.inverse().map(|row| row.map(f64::from));
        let [down, right] = affine.shift.map(f64::from);
        let centre = [(width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0];
        let mut output = Vec::new();
        for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
            let (x, y) = (column as f64 - centre[0], row as f64 - centre[1]);
            let source_x = matrix[0][0] * x + matrix[0][1] * y + centre[0] - right;
            let source_y = matrix[1][0] * x + matrix[1][1] * y + centre[1] - down;
            let (left, top) = (source_x.floor(), source_y.floor());
            let (part_x, part_y) = (source_x - left, source_y - top);
            for channel in 0..channels {
                let value = |dy, dx| at(top as i64 + dy, left as i64 + dx, channel);
                let above = value(0, 0) * (1.0 - part_x) + value(0, 1) * part_x;
                let below = value(1, 0) * (1.0 - part_x) + value(1, 1) * part_x;
                output.push((above * (1.0 - part_y) + below * part_y) as f32);
            }
        }
        output
    }

    fn ramp(size: PictureSize) -> Vec<f32> {
        (0..size.values()).map(|index| (index * 37 % 101) as f32 / 100.0).collect()
    }

    fn warped(size: PictureSize, affine: &Affine, fill: f32) -> Vec<f32> {
        let mut picture = ramp(size);
        Warp::default().apply(&mut picture, size, affine, fill);
        picture
    }

    proptest! {
        #[test]
        fn fast_equals_naive(
            height in 1usize..12, width in 1usize..12, channels in 1usize..5, down in -3f32..3.0, right in -3f32..3.0,
            rotation in -3f32..3.0, scale in 0.3f32..2.0, shear in -0.8f32..0.8, fill in 0f32..1.0,
        ) {
            let size = PictureSize { height, width, channels };
            let affine = Affine { shift: [down, right], rotation, scale, shear: [shear, 0.0] };
            let expected = naive(&ramp(size), size, &affine, fill);
            for (fast, naive) in warped(size, &affine, fill).into_iter().zip(expected) {
                // Source positions in float32 are off by up to about 1e-5 pixels at these sizes.
                prop_assert!((fast - naive).abs() < 5e-5, "{} instead of {}", fast, naive);
            }
        }
    }

    #[test]
    fn whole_shifts_are_exact() {
        let size = PictureSize { height: 2, width: 3, channels: 1 };
        assert_eq!(warped(size, &Affine::IDENTITY, 0.5), ramp(size));
        let affine = Affine { shift: [1.0, -1.0], ..Affine::IDENTITY };
        let given = ramp(size);
        assert_eq!(warped(size, &affine, 0.5), [0.5, 0.5, 0.5, given[1], given[2], 0.5]);
    }

    #[test]
    fn a_positive_angle_turns_counter_clockwise() {
        let size = PictureSize { height: 3, width: 3, channels: 1 };
        let mut picture = vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let affine = Affine { rotation: std::f32::consts::FRAC_PI_2, ..Affine::IDENTITY };
        Warp::default().apply(&mut picture, size, &affine, 0.0);
        let brightest = (0..9).max_by(|&a, &b| picture[a].total_cmp(&picture[b])).unwrap();
        assert_eq!(brightest, 1, "right goes to the top: {picture:?}");
    }
}
