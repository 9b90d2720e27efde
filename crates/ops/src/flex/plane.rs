//! Where a picture's rows and columns lie in a padded plane.
//!
//! A plane is laid out flat, row behind row with a fixed pitch, so that the value that a kernel tap sees
//! from output position `p` lies at `p + offset(tap)`: a convolution becomes a sum of shifted rows, without
//! the k²-fold copy of im2col. A stride s splits the plane in s × s phases, after which every tap again
//! moves by one per output position. The zeros behind one row serve as the zeros before the next.

/// One axis (rows or columns) of a padded plane, in phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    /// Cells per row (or rows per plane), the same in every phase.
    pub(super) pitch: usize,
    /// Output positions along the axis.
    pub(super) outputs: usize,
    /// What lies where in each phase.
    pub(super) phases: Vec<Run>,
    /// Phase and offset of each tap.
    pub(super) taps: Vec<Tap>,
    /// The largest offset that must be readable behind the last output position.
    pub(super) reach: usize,
}

/// The real values in one phase of an axis: cells `start..start + count` hold the source's
/// `first, first + step, …`; the other cells are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) first: usize,
    pub(super) step: usize,
}

/// What a kernel tap reads: cell `output + offset` of its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) phase: usize,
    pub(super) offset: usize,
}

/// Kernel length, stride, zeros before the first value, and distance of taps along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) dilation: usize,
}

impl Window {
    /// Whether at least one window lies over `size` values and the padding around them.
    pub(super) fn fits(&self, size: usize) -> bool {
        self.kernel > 0
            && self.stride > 0
            && self.dilation > 0
            && size + 2 * self.padding > self.dilation * (self.kernel - 1)
    }

    /// Output positions over `size` values, with as many zeros behind as before.
    pub(super) fn outputs(&self, size: usize) -> usize {
        (size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) / self.stride + 1
    }

    /// The axis that a convolution reads: output `o` meets `size` source values at
    /// `stride·o + dilation·tap − padding`.
    pub(super) fn reading(&self, size: usize) -> Axis {
        let outputs = self.outputs(size);
        let phases: Vec<Run> = (0..self.stride)
            .map(|phase| {
                // Cell j is padded coordinate stride·j + phase, hence source stride·j + phase − padding.
                let start = self.padding.saturating_sub(phase).div_ceil(self.stride);
                let first = self.stride * start + phase - self.padding;
                let count = size.saturating_sub(first).div_ceil(self.stride);
                Run { start, count, first, step: self.stride }
            })
            .collect();
        let taps = (0..self.kernel)
            .map(|tap| self.dilation * tap)
            .map(|distance| Tap { phase: distance % self.stride, offset: distance / self.stride })
            .collect();
        Axis::new(outputs, phases, taps)
    }

    /// How the gradient of the source is made from that of the output, one phase of the source at a time.
    ///
    /// Source value u (padded coordinate) is met by tap k at output (u − dilation·k) / stride, where that
    /// is whole. All phases read the same plane: pitch, reach and the place of the real values are common.
    pub(super) fn gradients(&self, size: usize) -> Vec<Gradient> {
        let outputs = self.outputs(size);
        let targets = self.reading(size).phases.into_iter().enumerate().filter(|(_, run)| run.count > 0);
        let phases: Vec<(Run, Vec<usize>)> = targets
            .map(|(phase, run)| {
                (run, (0..self.kernel).filter(move |k| self.dilation * k % self.stride == phase))
            })
            .map(|(run, taps)| (run, taps.collect()))
            .collect();
        let before = |run: &Run, tap: usize| (self.dilation * tap / self.stride).saturating_sub(run.start);
        let start = phases.iter().flat_map(|(run, taps)| taps.iter().map(|&tap| before(run, tap))).max();
        let start = start.unwrap_or(0);
        let real = Run { start, count: outputs, first: 0, step: 1 };
        let mut gradients: Vec<Gradient> = phases
            .into_iter()
            .map(|(target, kernel)| {
                let offset = |tap: usize| start + target.start - self.dilation * tap / self.stride;
                let taps = kernel.iter().map(|&tap| Tap { phase: 0, offset: offset(tap) }).collect();
                Gradient { axis: Axis::new(target.count, vec![real], taps), kernel, target }
            })
            .collect();
        let pitch = gradients.iter().map(|gradient| gradient.axis.pitch).max().unwrap_or(0);
        let reach = gradients.iter().map(|gradient| gradient.axis.reach).max().unwrap_or(0);
        for gradient in &mut gradients {
            (gradient.axis.pitch, gradient.axis.reach) = (pitch, reach);
        }
        gradients
    }
}

/// How one phase of the source's gradient is made along one axis.
#[derive(Debug, Clone)]
pub(super) struct Gradient {
    /// The padded gradient of the output.
    pub(super) axis: Axis,
    /// The kernel taps that take part, in the order of `axis.taps`.
    pub(super) kernel: Vec<usize>,
    /// `first` and `step` of the source values that are made.
    pub(super) target: Run,
}

impl Axis {
    fn new(outputs: usize, phases: Vec<Run>, taps: Vec<Tap>) -> Self {
        // A cell read behind the pitch is a cell of the next row, where only the zeros before its first
        // value may be met.
        let reach = taps.iter().map(|tap| (outputs + tap.offset).saturating_sub(phases[tap.phase].start));
        let held = phases.iter().map(|run| run.start + run.count);
        let pitch = reach.chain(held).chain([outputs]).max().unwrap_or(outputs);
        let reach = taps.iter().map(|tap| tap.offset).max().unwrap_or(0);
        Self { pitch, outputs, phases, taps, reach }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_the_zeros_between_them() {
        let axis = Window { kernel: 3, stride: 1, padding: 1, dilation: 1 }.reading(7);
        assert_eq!((axis.pitch, axis.outputs, axis.reach), (8, 7, 2));
        assert_eq!(axis.phases, [Run { start: 1, count: 7, first: 0, step: 1 }]);
    }

    #[test]
    fn a_stride_splits_the_plane_into_phases() {
        let axis = Window { kernel: 3, stride: 2, padding: 1, dilation: 1 }.reading(6);
        assert_eq!(axis.outputs, 3);
        assert_eq!(axis.phases[0], Run { start: 1, count: 3, first: 1, step: 2 });
        assert_eq!(axis.phases[1], Run { start: 0, count: 3, first: 0, step: 2 });
        assert_eq!(axis.taps[2], Tap { phase: 0, offset: 1 });
    }

    #[test]
    fn every_source_value_has_a_gradient() {
        for window in [
            Window { kernel: 3, stride: 2, padding: 1, dilation: 1 },
            Window { kernel: 1, stride: 3, padding: 0, dilation: 1 },
            Window { kernel: 2, stride: 2, padding: 1, dilation: 3 },
        ] {
            let size = 11;
            let mut made = vec![0; size];
            for gradient in window.gradients(size) {
                let Run { count, first, step, .. } = gradient.target;
                (0..count).for_each(|index| made[first + index * step] += 1);
            }
            assert_eq!(made, vec![1; size], "{window:?}");
        }
    }
}
