//! Convolutions one behind the other, between which activations stay bytes.

#![expect(unsafe_code, reason = "results are made without being zeroed first, bytes are read out of cells")]

use super::super::buffer::{Pool, fill_chunks};
use super::super::layout::Layout;
use super::super::plane::{Run, Window};
use super::super::vectorized::vectorized;
use super::activations::Affine;
use super::convolve::quantize;
use super::correlate::{Correlate, Output};
use super::packed::Packed;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// One convolution of a [`Chain`].
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) channels: [usize; 2],
    pub(super) windows: [Window; 2],
    /// How its input becomes bytes.
    pub(super) input: Affine,
    pub(super) weight: Arc<Packed>,
    /// What the whole numbers of each output are multiplied with, once multiplied with the input's scale.
    pub(super) factor: Vec<f32>,
    /// What is added to each output then.
    pub(super) shift: Vec<f32>,
    /// Whether negative results become zero at last.
    pub(crate) rectify: bool,
    /// Side of the squares whose maximum goes on; 1: all goes on.
    pub(crate) pool: usize,
}

/// Convolutions of pictures `[batch, channels, height, width]` one behind the other. The last gives floats, and its squares
/// are left as they are.
pub(super) struct Chain<'a> {
    pub(super) batch: usize,
    pub(super) size: [usize; 2],
    pub(super) links: &'a [Link],
}

/// A link over pictures of a given size.
struct Step<'a> {
    link: &'a Link,
    layout: Layout,
    offsets: Vec<usize>,
    quads: usize,
    /// Of the picture that comes in, and of what the convolution makes of it.
    sizes: [[usize; 2]; 2],
    /// `−zero · Σ weights`.
    start: Vec<i32>,
    factor: Vec<f32>,
}

impl<'a> Step<'a> {
    fn new(link: &'a Link, size: [usize; 2]) -> Self {
        let [rows, columns] = [0, 1].map(|axis| link.windows[axis].reading(size[axis]));
        let output = [0, 1].map(|axis| link.windows[axis].outputs(size[axis]));
        let layout = Layout { rows, columns, images: 1 };
        let quads = link.channels[0].div_ceil(4);
        let Affine { scale, zero } = link.input;
        let rows = link.weight.sums.len();
        let mut factor = vec![0.0; rows];
        factor.iter_mut().zip(&link.factor).for_each(|(factor, output)| *factor = scale * output);
        Self {
            link,
            offsets: layout.offsets(quads),
            layout,
            quads,
            sizes: [size, output],
            start: link.weight.sums.iter().map(|sum| -zero * sum).collect(),
            factor,
        }
    }

    /// Height and width of what goes on.
    fn left(&self) -> [usize; 2] {
        self.sizes[1].map(|side| side / self.link.pool)
    }
}

/// What one picture is computed in.
struct Scratch {
    /// The padded planes of each link, whose padding stays as it is.
    cells: Vec<Vec<u32>>,
    /// Four channels per pixel: what goes into a link.
    pixels: Vec<u32>,
    /// Four channels per position: what comes out.
    bytes: Vec<u32>,
    /// What comes out of the last link.
    results: Vec<f32>,
}

impl Scratch {
    fn new(steps: &[Step<'_>]) -> Self {
        let cells = |step: &Step<'_>| {
            let zero = step.link.input.zero.cast_unsigned() * 0x0101_0101;
            vec![zero; step.layout.cells(step.quads)]
        };
        let largest = |of: fn(&Step<'_>) -> usize| steps.iter().map(of).max().unwrap_or(0);
        let positions = |step: &Step<'_>| step.start.len() * step.layout.positions();
        Self {
            cells: steps.iter().map(cells).collect(),
            pixels: vec![0; largest(|step| step.quads * step.sizes[0][0] * step.sizes[0][1])],
            bytes: vec![0; largest(|step| step.start.len() / 4 * step.layout.positions())],
            results: vec![0.0; steps.last().map_or(0, positions)],
        }
    }
}

impl Chain<'_> {
    /// The outputs of the last convolution `[batch, outputs, height, width]`, and their height and width; none where a
    /// link has nothing left of the picture. A picture that is not finite is no number.
    ///
    /// Every byte is that which [`Convolve`](super::convolve::Convolve) makes of the floats of the link before by the same
    /// range: the maximum of bytes is the byte of the maximum.
    pub(super) fn compute(&self, input: &[f32]) -> Option<(Vec<f32>, [usize; 2])> {
        let mut steps: Vec<Step<'_>> = Vec::with_capacity(self.links.len());
        for link in self.links {
            let size = steps.last().map_or(self.size, Step::left);
            let fits = |axis: usize| size[axis] > 0 && link.windows[axis].fits(size[axis]);
            if !(fits(0) && fits(1)) {
                return None;
            }
            steps.push(Step::new(link, size));
        }
        let (first, last) = (steps.first()?, steps.last()?);
        let read = first.link.channels[0] * self.size[0] * self.size[1];
        let [_, [height, width]] = last.sizes;
        let write = last.link.channels[1] * height * width;
        let pool = Pool::new(|| Scratch::new(&steps));
        let fill = |image: usize, target: &mut [MaybeUninit<f32>]| {
            pool.with(|scratch| picture(&steps, &input[image * read..][..read], scratch, target));
        };
        if self.batch == 1 {
            let mut output = Vec::with_capacity(write);
            fill(0, &mut output.spare_capacity_mut()[..write]);
            // SAFETY: `picture` writes all of the output.
            unsafe { output.set_len(write) };
            return Some((output, [height, width]));
        }
        // SAFETY: the same.
        Some((unsafe { fill_chunks(self.batch * write, write, fill) }, [height, width]))
    }
}

/// One picture through all steps; all of `target` is written.
fn picture(steps: &[Step<'_>], picture: &[f32], scratch: &mut Scratch, target: &mut [MaybeUninit<f32>]) {
    let Scratch { cells, pixels, bytes, results } = scratch;
    let Some(first) = steps.first() else { return };
    let area = first.sizes[0][0] * first.sizes[0][1];
    let mut are_finite = true;
    for (pixels, planes) in pixels.chunks_exact_mut(area).zip(picture.chunks(4 * area)) {
        are_finite &= quantize(planes, first.link.input, pixels);
    }
    if !are_finite {
        target.fill(MaybeUninit::new(f32::NAN));
        return;
    }
    for (index, (step, cells)) in steps.iter().zip(cells).enumerate() {
        let [size, output] = step.sizes;
        let (positions, rows) = (step.layout.positions(), step.start.len());
        step.layout.fill(cells, &pixels[..step.quads * size[0] * size[1]], step.quads, size);
        let next = steps.get(index + 1).map(|step| step.link.input);
        let results_of = match next {
            Some(Affine { scale, zero }) => {
                Output::Bytes { cells: &mut bytes[..rows / 4 * positions], inverse: 1.0 / scale, zero }
            }
            None => Output::Floats(results),
        };
        Correlate {
            source: cells,
            offsets: &step.offsets,
            weight: &step.link.weight.quads,
            start: &step.start,
            factor: &step.factor,
            shift: &step.link.shift,
            rectify: step.link.rectify,
            output: results_of,
            pitch: positions,
            positions: step.layout.plane(),
        }
        .compute();
        if let Some(next) = steps.get(index + 1) {
            let area = next.sizes[0][0] * next.sizes[0][1];
            let planes = bytes.chunks_exact(positions).zip(pixels.chunks_exact_mut(area));
            for (plane, pixels) in planes.take(next.quads) {
                largest(plane, step.layout.columns.pitch, step.link.pool, next.sizes[0][1], pixels);
            }
        } else {
            let [rows, columns] = output.map(|count| Run { start: 0, count, first: 0, step: 1 });
            step.layout.take(results, target, step.link.channels[1], output, [&rows, &columns]);
        }
    }
}

/// The larger of each two bytes.
#[inline(always)]
fn larger(one: u32, other: u32) -> u32 {
    let (one, other) = (one.to_ne_bytes(), other.to_ne_bytes());
    u32::from_ne_bytes([
        if one[0] > other[0] { one[0] } else { other[0] },
        if one[1] > other[1] { one[1] } else { other[1] },
        if one[2] > other[2] { one[2] } else { other[2] },
        if one[3] > other[3] { one[3] } else { other[3] },
    ])
}

vectorized! {
    /// Byte by byte the largest of each square of `pool` cells a side, of rows `pitch` apart, to `pixels` of `width` a row.
    fn largest(plane: &[u32], pitch: usize, pool: usize, width: usize, pixels: &mut [u32]) {
        for (row, pixels) in pixels.chunks_exact_mut(width).enumerate() {
            let first = &plane[row * pool * pitch..];
            if pool == 1 {
                pixels.copy_from_slice(&first[..width]);
                continue;
            }
            pixels.fill(0);
            for below in 0..pool {
                let row = &first[below * pitch..][..width * pool];
                if pool == 2 {
                    for (pixel, pair) in pixels.iter_mut().zip(row.as_chunks::<2>().0) {
                        *pixel = larger(*pixel, larger(pair[0], pair[1]));
                    }
                } else {
                    for (pixel, square) in pixels.iter_mut().zip(row.chunks_exact(pool)) {
                        for cell in square {
                            *pixel = larger(*pixel, *cell);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::convolve::Convolve;
    use super::*;
    use crate::byte_rounding::Range;

    fn floats(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    /// The largest of each square, plane by plane.
    fn pooled(x: &[f32], [height, width]: [usize; 2], pool: usize) -> Vec<f32> {
        let mut y = Vec::new();
        for plane in x.chunks_exact(height * width) {
            for (row, column) in
                (0..height / pool).flat_map(|row| (0..width / pool).map(move |column| (row, column)))
            {
                let cells = (0..pool * pool)
                    .map(|cell| plane[(row * pool + cell / pool) * width + column * pool + cell % pool]);
                y.push(cells.fold(f32::NEG_INFINITY, f32::max));
            }
        }
        y
    }

    /// Channels behind each link, stride, padding and pool of each, and a range of its input.
    const LINKS: [(usize, usize, usize, usize, [f32; 2]); 4] = [
        (9, 1, 1, 2, [-1.0, 1.0]),
        (8, 1, 1, 1, [-0.5, 2.5]),
        (13, 2, 2, 3, [0.0, 3.0]),
        (5, 1, 1, 2, [-2.0, 1.5]),
    ];

    #[test]
    fn a_chain_is_its_convolutions_one_by_one() {
        let (batch, mut size, mut channels) = (3, [23, 30], 2);
        let pictures = floats(batch * channels * size[0] * size[1], 1);
        let mut links = Vec::new();
        let mut expected = pictures.clone();
        let whole = size;
        for (index, (outputs, stride, padding, pool, bounds)) in LINKS.into_iter().enumerate() {
            let windows = [Window { kernel: 3, stride, padding, dilation: 1 }; 2];
            let weight: Vec<i8> = (0..outputs * channels * 9)
                .map(|index| ((index * 7919 + index / 251) % 256) as u8)
                .map(u8::cast_signed)
                .collect();
            let factor: Vec<f32> = floats(outputs, 2 + index).iter().map(|factor| factor / 300.0).collect();
            let shift = floats(outputs, 7 + index);
            let rectify = index != 3;
            let convolve = Convolve {
                batch,
                inputs: channels,
                outputs,
                size,
                windows,
                range: Range::Given(bounds),
                factor: &factor,
                shift: &shift,
                residual: None,
                rectify,
            };
            expected = convolve.compute(&expected, &weight);
            size = convolve.output_size();
            if index + 1 < LINKS.len() {
                expected = pooled(&expected, size, pool);
                size = size.map(|side| side / pool);
            }
            let weight = Arc::new(Packed::new(&weight, [outputs, channels, 9]));
            let input = Affine::within(bounds);
            links.push(Link {
                channels: [channels, outputs],
                windows,
                input,
                weight,
                factor,
                shift,
                rectify,
                pool,
            });
            channels = outputs;
        }
        let chain = Chain { batch, size: whole, links: &links };
        let (found, left) = chain.compute(&pictures).expect("something is left");
        assert_eq!((left, found == expected), (size, true));
        let one = Chain { batch: 1, ..chain };
        assert_eq!(one.compute(&pictures).expect("something is left").0, expected[..expected.len() / 3]);
        // The second picture is not finite, and its neighbours are untouched.
        let mut spoiled = pictures;
        spoiled[2 * 23 * 30 + 5] = f32::INFINITY;
        let chain = Chain { batch, size: whole, links: &links };
        let (found, _) = chain.compute(&spoiled).expect("something is left");
        let picture = expected.len() / 3;
        assert!(found[..picture] == expected[..picture] && found[2 * picture..] == expected[2 * picture..]);
        assert!(found[picture..2 * picture].iter().all(|value| value.is_nan()));
        assert!(Chain { batch, size: [3, 3], links: &links }.compute(&floats(batch * 18, 1)).is_none());
    }
}
