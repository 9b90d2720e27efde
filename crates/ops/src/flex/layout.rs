//! Several pictures of several channels as padded planes, one behind the other.

use super::correlate::POSITIONS;
use super::plane::{Axis, Run};
use std::mem::MaybeUninit;

/// The padded planes of a group of pictures: `[channel, row phase, column phase, picture × plane + slack]`.
///
/// The pictures of a group lie behind one another so that the kernels run over all of them in one sweep.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) rows: Axis,
    pub(super) columns: Axis,
    /// Pictures in a full group.
    pub(super) images: usize,
}

impl Layout {
    /// Cells per picture and phase.
    pub(super) fn plane(&self) -> usize {
        self.rows.pitch * self.columns.pitch
    }

    /// Positions of a full group, in whole tiles.
    pub(super) fn positions(&self) -> usize {
        (self.images * self.plane()).div_ceil(POSITIONS) * POSITIONS
    }

    /// Cells per channel and phase: the positions and as far as the taps reach behind them.
    fn span(&self) -> usize {
        self.positions() + self.rows.reach * self.columns.pitch + self.columns.reach
    }

    /// Cells of `channels` channels.
    pub(super) fn cells(&self, channels: usize) -> usize {
        channels * self.rows.phases.len() * self.columns.phases.len() * self.span()
    }

    /// Where the row of each tap `(channel, row tap, column tap)` begins.
    pub(super) fn offsets(&self, channels: usize) -> Vec<usize> {
        let mut offsets = Vec::with_capacity(channels * self.rows.taps.len() * self.columns.taps.len());
        for channel in 0..channels {
            for row in &self.rows.taps {
                for column in &self.columns.taps {
                    let phase = (channel * self.rows.phases.len() + row.phase) * self.columns.phases.len()
                        + column.phase;
                    offsets.push(phase * self.span() + row.offset * self.columns.pitch + column.offset);
                }
            }
        }
        offsets
    }

    /// Lays pictures `[image, channel, height, width]` into `cells`, whose padding stays as it is.
    pub(super) fn fill<T: Copy>(&self, cells: &mut [T], pictures: &[T], channels: usize, size: [usize; 2]) {
        let [height, width] = size;
        let (plane, pitch, span) = (self.plane(), self.columns.pitch, self.span());
        let mut target = 0;
        for channel in 0..channels {
            for rows in &self.rows.phases {
                for columns in &self.columns.phases {
                    for (image, picture) in pictures.chunks_exact(channels * height * width).enumerate() {
                        let source = &picture[channel * height * width..][..height * width];
                        let target = &mut cells[target + image * plane..][..plane];
                        for row in 0..rows.count {
                            let source = &source[(rows.first + row * rows.step) * width..][..width];
                            let target =
                                &mut target[(rows.start + row) * pitch + columns.start..][..columns.count];
                            copy(target, source, columns);
                        }
                    }
                    target += span;
                }
            }
        }
    }

    /// Takes the outputs of pictures from `sums` `[channel, positions]` into `pictures`
    /// `[image, channel, height, width]`, rows and columns to where `rows` and `columns` say.
    pub(super) fn take(
        &self,
        sums: &[f32],
        pictures: &mut [MaybeUninit<f32>],
        channels: usize,
        size: [usize; 2],
        [rows, columns]: [&Run; 2],
    ) {
        let [height, width] = size;
        let positions = self.positions();
        for (image, picture) in pictures.chunks_exact_mut(channels * height * width).enumerate() {
            for (channel, target) in picture.chunks_exact_mut(height * width).enumerate() {
                let source = &sums[channel * positions + image * self.plane()..][..self.plane()];
                for row in 0..rows.count {
                    let source = &source[row * self.columns.pitch..][..columns.count];
                    let target = &mut target[(rows.first + row * rows.step) * width..][..width];
                    if columns.step == 1 {
                        target[columns.first..][..columns.count].write_copy_of_slice(source);
                    } else {
                        let target = target[columns.first..].iter_mut().step_by(columns.step);
                        for (target, &value) in target.zip(source) {
                            target.write(value);
                        }
                    }
                }
            }
        }
    }

    /// Lays the gradient `[image, channel, outputs]` at the output positions of `cells` `[channel, positions]`,
    /// whose other cells stay as they are (zero).
    pub(super) fn fill_outputs(&self, cells: &mut [f32], gradient: &[f32], channels: usize) {
        let (height, width) = (self.rows.outputs, self.columns.outputs);
        let positions = self.positions();
        for (image, picture) in gradient.chunks_exact(channels * height * width).enumerate() {
            for (channel, source) in picture.chunks_exact(height * width).enumerate() {
                let target = &mut cells[channel * positions + image * self.plane()..][..self.plane()];
                for (source, target) in source.chunks_exact(width).zip(target.chunks_mut(self.columns.pitch))
                {
                    target[..width].copy_from_slice(source);
                }
            }
        }
    }

    /// Zeroes what an earlier, larger group left behind the first `images` pictures of `cells`
    /// `[channel, positions]`.
    pub(super) fn clear_outputs(&self, cells: &mut [f32], images: usize) {
        if images < self.images {
            for row in cells.chunks_exact_mut(self.positions()) {
                row[images * self.plane()..].fill(0.0);
            }
        }
    }
}

fn copy<T: Copy>(target: &mut [T], source: &[T], run: &Run) {
    match run.step {
        1 => target.copy_from_slice(&source[run.first..][..run.count]),
        2 => {
            // The last value may stand alone.
            let source = source.get(run.first..).unwrap_or_default();
            let (pairs, rest) = source.as_chunks::<2>();
            for (target, pair) in target.iter_mut().zip(pairs) {
                *target = pair[0];
            }
            for (target, &value) in target.iter_mut().skip(pairs.len()).zip(rest) {
                *target = value;
            }
        }
        step => {
            let source = source.get(run.first..).unwrap_or_default();
            for (target, &value) in target.iter_mut().zip(source.iter().step_by(step)) {
                *target = value;
            }
        }
    }
}
