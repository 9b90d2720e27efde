//! Maximum over windows, over plain slices.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::plane::Window;
use super::vectorized::vectorized;
use rayon::prelude::*;

/// `planes × height × width` values under windows of at most 256 taps, each of which holds a real value.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxPool {
    pub(super) planes: usize,
    pub(super) size: [usize; 2],
    pub(super) windows: [Window; 2],
}

/// Planes that one task takes.
const PLANES: usize = 64;

impl MaxPool {
    /// Height and width of the output.
    pub(super) fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.windows[axis].outputs(self.size[axis]))
    }

    /// For one tap along one axis: the outputs under which it lies inside the picture, and where the first
    /// of them reads.
    fn inside(&self, axis: usize, tap: usize) -> (std::ops::Range<usize>, usize) {
        let window = &self.windows[axis];
        let (distance, size) = (window.dilation * tap, self.size[axis]);
        let first = window.padding.saturating_sub(distance).div_ceil(window.stride);
        let end = (size + window.padding).saturating_sub(distance).div_ceil(window.stride);
        let end = end.min(window.outputs(size)).max(first);
        (first..end, window.stride * first + distance - window.padding)
    }

    /// The first tap along one axis that lies inside the picture under the given output.
    fn first(&self, axis: usize, output: usize) -> usize {
        let window = &self.windows[axis];
        window.padding.saturating_sub(output * window.stride).div_ceil(window.dilation)
    }

    /// The largest value under each window, and which tap it lies under.
    pub(super) fn forward(&self, x: &[f32]) -> (Vec<f32>, Vec<u8>) {
        let [height, width] = self.output_size();
        let (area, outputs) = (self.size[0] * self.size[1], height * width);
        let mut taps = vec![0; self.planes * outputs];
        let mut y = vec![0.0; self.planes * outputs];
        let across: Vec<u32> = (0..width).map(|column| self.first(1, column) as u32).collect();
        let tasks = y.par_chunks_mut(PLANES * outputs).zip(taps.par_chunks_mut(PLANES * outputs));
        tasks.zip(x.par_chunks(PLANES * area)).for_each(|((y, taps), x)| {
            let mut chosen = vec![0; width];
            let planes = y.chunks_exact_mut(outputs).zip(taps.chunks_exact_mut(outputs));
            for ((y, taps), x) in planes.zip(x.chunks_exact(area)) {
                let rows = y.chunks_exact_mut(width).zip(taps.chunks_exact_mut(width));
                for (row, (best, taps)) in rows.enumerate() {
                    let down = (self.first(0, row) * self.windows[1].kernel) as u32;
                    chosen.iter_mut().zip(&across).for_each(|(tap, across)| *tap = across + down);
                    best.fill(f32::NEG_INFINITY);
                    self.row(row, x, best, &mut chosen);
                    taps.iter_mut().zip(&chosen).for_each(|(tap, &chosen)| *tap = chosen as u8);
                }
            }
        });
        (y, taps)
    }

    /// The largest value and its tap for one row of outputs.
    fn row(&self, row: usize, x: &[f32], best: &mut [f32], chosen: &mut [u32]) {
        let across = self.windows[1].kernel;
        for k in 0..self.windows[0].kernel {
            let (rows, first) = self.inside(0, k);
            if !rows.contains(&row) {
                continue;
            }
            let source = (first + (row - rows.start) * self.windows[0].stride) * self.size[1];
            let source = &x[source..source + self.size[1]];
            for l in 0..across {
                let (columns, first) = self.inside(1, l);
                if columns.is_empty() {
                    continue;
                }
                let tap = (k * across + l) as u32;
                let (best, chosen) = (&mut best[columns.clone()], &mut chosen[columns]);
                match self.windows[1].stride {
                    1 => larger_beside(&source[first..], best, chosen, tap),
                    2 => larger_of_pairs(&source[first..], best, chosen, tap),
                    stride => larger(source[first..].iter().step_by(stride), best, chosen, tap),
                }
            }
        }
    }

    /// Each output's gradient, at the tap that gave the output.
    pub(super) fn backward(&self, taps: &[u8], gradient: &[f32]) -> Vec<f32> {
        let [height, width] = self.output_size();
        let area = self.size[0] * self.size[1];
        let [rows, columns] = self.windows;
        let offsets: Vec<isize> = (0..rows.kernel * columns.kernel)
            .map(|tap| [tap / columns.kernel * rows.dilation, tap % columns.kernel * columns.dilation])
            .map(|[row, column]| {
                [row as isize - rows.padding as isize, column as isize - columns.padding as isize]
            })
            .map(|[row, column]| row * self.size[1] as isize + column)
            .collect();
        let mut x = vec![0.0; self.planes * area];
        x.par_chunks_mut(PLANES * area).enumerate().for_each(|(index, target)| {
            let start = index * PLANES * height * width;
            let planes = gradient[start..].chunks_exact(height * width);
            let planes = planes.zip(taps[start..].chunks_exact(height * width));
            for (target, (gradient, taps)) in target.chunks_exact_mut(area).zip(planes) {
                for row in 0..height {
                    let base = row * rows.stride * self.size[1];
                    let outputs = gradient[row * width..][..width].iter().zip(&taps[row * width..][..width]);
                    for (column, (gradient, &tap)) in outputs.enumerate() {
                        let at = (base + column * columns.stride) as isize + offsets[usize::from(tap)];
                        target[at as usize] += gradient;
                    }
                }
            }
        });
        x
    }
}

/// Keeps the larger of `best` and `values`, and the tap that it lies under.
#[inline(always)]
fn larger<'a>(values: impl Iterator<Item = &'a f32>, best: &mut [f32], chosen: &mut [u32], tap: u32) {
    for ((best, chosen), &value) in best.iter_mut().zip(chosen).zip(values) {
        // A value that is no number wins, so that it shows.
        let wins = value > *best || value.is_nan();
        *best = if wins { value } else { *best };
        *chosen = if wins { tap } else { *chosen };
    }
}

vectorized! {
    /// Values that lie side by side.
    fn larger_beside(values: &[f32], best: &mut [f32], chosen: &mut [u32], tap: u32) {
        larger(values.iter(), best, chosen, tap);
    }

    /// The first of each pair of values; the last may stand alone.
    fn larger_of_pairs(values: &[f32], best: &mut [f32], chosen: &mut [u32], tap: u32) {
        let (pairs, rest) = values.as_chunks::<2>();
        let whole = pairs.len().min(best.len());
        larger(pairs.iter().map(|pair| &pair[0]), &mut best[..whole], &mut chosen[..whole], tap);
        larger(rest.iter(), &mut best[whole..], &mut chosen[whole..], tap);
    }
}
