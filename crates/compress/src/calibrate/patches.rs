//! What each output of a weight is a product with: rows, or the windows of a picture.

use ansatz_ops::Observed;
use burn::tensor::ops::PadMode;
use burn::tensor::{Slice, Tensor};

/// Numbers that are made at once, unless a single picture has more: 64 MiB.
const PIECE: usize = 1 << 24;

/// Gives `take` the matrix X `[groups, inputs, columns]` of what a weight meets, in pieces along its columns.
///
/// A column is what one output value is the product of a weight's row with: a row of a linear layer's inputs, or a window
/// of a picture, zeros around it counted, in the order of a kernel `[outputs, inputs, height, width]` (im2col, Chellapilla
/// et al. 2006). The outputs of a group see the inputs of that group.
pub fn columns(inputs: &Observed, mut take: impl FnMut(Tensor<3>)) {
    match inputs {
        Observed::Rows(rows) => take(rows.clone().transpose().unsqueeze_dim(0)),
        Observed::Picture { picture, kernel, options } => {
            let [batch, channels, height, width] = picture.dims();
            let windows: [usize; 2] = std::array::from_fn(|axis| {
                let (before, behind) = options.padding[axis];
                let reach = options.dilation[axis] * (kernel[axis] - 1) + 1;
                let side = [height, width][axis] + before + behind;
                (side.saturating_sub(reach)) / options.stride[axis] + 1
            });
            let each = channels * kernel[0] * kernel[1] * windows[0] * windows[1];
            let together = (PIECE / each.max(1)).max(1);
            for first in (0..batch).step_by(together) {
                let some = picture.clone().narrow(0, first, together.min(batch - first));
                let padded = match options.padding {
                    [(0, 0), (0, 0)] => some,
                    padding => some.pad(padding, PadMode::Constant(0.0)),
                };
                // The pixels that one place of the kernel meets, as it goes over the picture.
                let tap = |place: usize| {
                    let along = |axis: usize, place: usize| {
                        let start = place * options.dilation[axis];
                        let end = start + (windows[axis] - 1) * options.stride[axis] + 1;
                        Slice::new(start as isize, Some(end as isize), options.stride[axis] as isize)
                    };
                    let [down, across] = [along(0, place / kernel[1]), along(1, place % kernel[1])];
                    padded.clone().slice([Slice::full(), Slice::full(), down, across])
                };
                let taps: Vec<_> = (0..kernel[0] * kernel[1]).map(tap).collect();
                let [batch, places] = [taps[0].dims()[0], taps.len()];
                let groups = options.groups;
                // [batch, channels, places, …] → [groups, channels of a group × places, batch × …].
                let x = Tensor::stack::<5>(taps, 2).reshape([
                    batch,
                    groups,
                    channels / groups * places,
                    windows[0] * windows[1],
                ]);
                let x = x.permute([1, 2, 0, 3]);
                take(x.reshape([groups, channels / groups * places, batch * windows[0] * windows[1]]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, Tolerance};

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
    }

    #[test]
    fn a_kernel_times_its_columns_is_the_convolution() {
        let device = ansatz_device::open("cpu").unwrap();
        for (options, kernel, groups) in [
            (ConvOptions::new([1, 1], [0, 0], [1, 1], 1), [1, 1], 1),
            (ConvOptions::new([2, 1], [1, 2], [1, 1], 1), [3, 2], 1),
            (ConvOptions::new([1, 3], [2, 0], [2, 1], 2), [3, 4], 2),
            (ConvOptions::new_with_padding([1, 1], [(0, 1), (2, 0)], [1, 1], 4), [2, 2], 4),
        ] {
            let picture = random([3, 4, 8, 7], &device);
            let weight = random([8, 4 / groups, kernel[0], kernel[1]], &device);
            let expected = conv2d(picture.clone(), weight.clone(), None, options.clone());
            let [batch, outputs, height, width] = expected.dims();
            let expected =
                expected.swap_dims(0, 1).reshape([groups, outputs / groups, batch * height * width]);
            let mut found = None;
            columns(&Observed::Picture { picture, kernel, options }, |x| {
                let [_, inputs, _] = x.dims();
                found = Some(weight.clone().reshape([groups, outputs / groups, inputs]).matmul(x));
            });
            let found = found.expect("one piece").into_data();
            found.assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
        }
    }

    #[test]
    fn rows_become_columns() {
        let device = ansatz_device::open("cpu").unwrap();
        let rows = random([5, 3], &device);
        let mut found = None;
        columns(&Observed::Rows(rows.clone()), |x| found = Some(x));
        assert_eq!(found.expect("one piece").into_data(), rows.transpose().unsqueeze::<3>().into_data());
    }
}
