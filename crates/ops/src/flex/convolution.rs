//! Two-dimensional convolution and its gradients over plain slices.

#![expect(unsafe_code, reason = "results are made without being zeroed first")]

use super::accumulate::Accumulate;
use super::buffer::{Aligned, Pool, fill_chunks};
use super::correlate::{Correlate, ROWS, pack};
use super::layout::Layout;
use super::plane::{Gradient, Run, Window};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Positions that a sweep of the kernels should have: enough to spread the cost of its ends, few enough
/// for eight rows to stay in the first-level cache.
const SWEEP: usize = 1024;

/// Floats of planes that should stay in the second-level cache.
const CACHE: usize = 320 * 1024;

/// Parts of a batch whose weight gradients are summed apart, whatever the number of threads, so that the
/// sum has the same bits on every machine.
const PARTS: usize = 16;

/// Shapes of a convolution of `[batch, inputs, height, width]` with `[outputs, inputs, kernel, kernel]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution {
    pub(super) batch: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) size: [usize; 2],
    pub(super) windows: [Window; 2],
}

/// One phase of the input's gradient: the input pixels that the same taps reach.
struct Phase {
    layout: Layout,
    offsets: Vec<usize>,
    weight: Vec<f32>,
    rows: Run,
    columns: Run,
}

impl Phase {
    fn new(shape: &Convolution, row: &Gradient, column: &Gradient, images: usize, weight: &[f32]) -> Self {
        let layout = Layout { rows: row.axis.clone(), columns: column.axis.clone(), images };
        let (across, taps) = (column.kernel.len(), row.kernel.len() * column.kernel.len());
        let weight = pack(shape.inputs, shape.outputs * taps, |input, tap| {
            let (output, tap) = (tap / taps, tap % taps);
            let (k, l) = (row.kernel[tap / across], column.kernel[tap % across]);
            let plane = (output * shape.inputs + input) * shape.windows[0].kernel;
            weight[(plane + k) * shape.windows[1].kernel + l]
        });
        let offsets = layout.offsets(shape.outputs);
        Self { layout, offsets, weight, rows: row.target, columns: column.target }
    }
}

impl Convolution {
    /// Height and width of the output.
    pub(super) fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.windows[axis].outputs(self.size[axis]))
    }

    fn taps(&self) -> usize {
        self.windows[0].kernel * self.windows[1].kernel
    }

    /// Pictures per group for planes of `plane` cells.
    fn images(&self, plane: usize) -> usize {
        let cached = CACHE / ((self.inputs + self.outputs) * plane);
        (SWEEP / plane).min(cached).min(self.batch.div_ceil(PARTS / 2)).max(1)
    }

    fn reading(&self) -> Layout {
        let [rows, columns] = [0, 1].map(|axis| self.windows[axis].reading(self.size[axis]));
        let images = self.images(rows.pitch * columns.pitch);
        Layout { rows, columns, images }
    }

    /// `y[n, o, i, j] = Σ_{c,k,l} w[o, c, k, l] · x[n, c, s·i + d·k − p, s·j + d·l − p]`.
    pub(super) fn forward(&self, input: &[f32], weight: &[f32]) -> Vec<f32> {
        let layout = self.reading();
        let taps = self.inputs * self.taps();
        let weight = pack(self.outputs, taps, |row, tap| weight[row * taps + tap]);
        let offsets = layout.offsets(self.inputs);
        let padded = self.outputs.next_multiple_of(ROWS);
        let [height, width] = self.output_size();
        let read = self.inputs * self.size[0] * self.size[1];
        let write = self.outputs * height * width;
        let pool = Pool::new(|| {
            (Aligned::zeros(layout.cells(self.inputs)), Aligned::zeros(padded * layout.positions()))
        });
        let fill = |group: usize, target: &mut [MaybeUninit<f32>]| {
            let images = target.len() / write;
            let source = &input[group * layout.images * read..][..images * read];
            pool.with(|(cells, sums)| {
                layout.fill(cells, source, self.inputs, self.size);
                Correlate {
                    source: cells,
                    offsets: &offsets,
                    weight: &weight,
                    output: sums,
                    pitch: layout.positions(),
                    positions: images * layout.plane(),
                }
                .compute();
                let [rows, columns] = [height, width].map(|count| Run { start: 0, count, first: 0, step: 1 });
                layout.take(sums, target, self.outputs, [height, width], [&rows, &columns]);
            });
        };
        // SAFETY: `rows` and `columns` are all of the output.
        unsafe { fill_chunks(self.batch * write, layout.images * write, fill) }
    }

    /// `dx[n, c, u, v] = Σ_{o,k,l} w[o, c, k, l] · dy[n, o, (u + p − d·k) / s, (v + p − d·l) / s]` over the
    /// taps where both quotients are whole.
    pub(super) fn input_gradient(&self, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
        let [rows, columns] = [0, 1].map(|axis| self.windows[axis].gradients(self.size[axis]));
        let images = self.images(rows[0].axis.pitch * columns[0].axis.pitch);
        let phases: Vec<Phase> = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (row, column)))
            .map(|(row, column)| Phase::new(self, row, column, images, weight))
            .collect();
        let layout = &phases[0].layout;
        let [height, width] = self.output_size();
        let read = self.outputs * height * width;
        let write = self.inputs * self.size[0] * self.size[1];
        let padded = self.inputs.next_multiple_of(ROWS);
        let pool = Pool::new(|| {
            (Aligned::zeros(layout.cells(self.outputs)), Aligned::zeros(padded * layout.positions()))
        });
        let fill = |group: usize, target: &mut [MaybeUninit<f32>]| {
            let here = target.len() / write;
            let source = &gradient[group * images * read..][..here * read];
            pool.with(|(cells, sums)| {
                layout.fill(cells, source, self.outputs, [height, width]);
                for phase in &phases {
                    Correlate {
                        source: cells,
                        offsets: &phase.offsets,
                        weight: &phase.weight,
                        output: sums,
                        pitch: layout.positions(),
                        positions: here * layout.plane(),
                    }
                    .compute();
                    phase.layout.take(sums, target, self.inputs, self.size, [&phase.rows, &phase.columns]);
                }
            });
        };
        // SAFETY: the phases' targets are all rows and columns of the input.
        unsafe { fill_chunks(self.batch * write, images * write, fill) }
    }

    /// `dw[o, c, k, l] = Σ_{n,i,j} dy[n, o, i, j] · x[n, c, s·i + d·k − p, s·j + d·l − p]`.
    pub(super) fn weight_gradient(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        let layout = self.reading();
        let taps = self.inputs * self.taps();
        let offsets = layout.offsets(self.inputs);
        let [height, width] = self.output_size();
        let read = self.inputs * self.size[0] * self.size[1];
        let grads = self.outputs * height * width;
        let group = layout.images;
        let part = self.batch.div_ceil(group).div_ceil(PARTS) * group;
        let pool = Pool::new(|| {
            (Aligned::zeros(layout.cells(self.inputs)), Aligned::zeros(self.outputs * layout.positions()))
        });
        let parts: Vec<Vec<f32>> = input
            .par_chunks(part * read)
            .zip(gradient.par_chunks(part * grads))
            .map(|(input, gradient)| {
                let mut sums = vec![0.0; self.outputs * taps];
                pool.with(|(cells, outputs)| {
                    for (input, gradient) in input.chunks(group * read).zip(gradient.chunks(group * grads)) {
                        let images = input.len() / read;
                        layout.fill(cells, input, self.inputs, self.size);
                        layout.fill_outputs(outputs, gradient, self.outputs);
                        layout.clear_outputs(outputs, images);
                        Accumulate {
                            left: outputs,
                            pitch: layout.positions(),
                            right: cells,
                            offsets: &offsets,
                            sums: &mut sums,
                            positions: images * layout.plane(),
                        }
                        .compute();
                    }
                });
                sums
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut total = parts.next().unwrap_or_else(|| vec![0.0; self.outputs * taps]);
        for part in parts {
            for (sum, value) in total.iter_mut().zip(part) {
                *sum += value;
            }
        }
        total
    }
}
