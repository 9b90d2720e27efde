//! Maximum over windows.

use burn::tensor::Tensor;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;

/// The largest value under each window, channel by channel:
/// `y[n, c, i, j] = max_{k,l} x[n, c, s·i + k − p, s·j + l − p]` with stride s and padding p, nothing outside
/// the picture counting.
///
/// The fast form keeps one byte for each output, the place of its maximum in the window, instead of an
/// index, and neither input nor output. Of equal values the first wins.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`
/// - result: `[batch, channels, …]`, as large as the windows that fit
pub fn max_pool(x: Tensor<4>, options: MaxPoolOptions<2>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::max_pool(&x, &options) {
        return y;
    }
    max_pool2d(x, options)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, random};
    use burn::tensor::Device;

    fn windows(kernel: usize, stride: usize, padding: usize) -> MaxPoolOptions<2> {
        MaxPoolOptions {
            kernel_size: [kernel; 2],
            stride: [stride; 2],
            padding: [(padding, padding); 2],
            dilation: [1, 1],
            ceil_mode: false,
        }
    }

    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for (shape, [kernel, stride, padding]) in [
            ([2, 3, 8, 8], [2, 2, 0]),
            ([1, 1, 7, 9], [2, 2, 0]),
            ([3, 40, 9, 7], [3, 2, 1]),
            ([2, 2, 6, 5], [3, 1, 1]),
            ([2, 2, 11, 13], [3, 3, 0]),
            ([1, 2, 5, 5], [4, 1, 2]),
        ] {
            let case = format!("{shape:?} kernel {kernel} stride {stride} padding {padding}");
            let x = random(shape, &device).require_grad();
            let fast = max_pool(x.clone(), windows(kernel, stride, padding));
            let slow = max_pool2d(x.clone(), windows(kernel, stride, padding));
            assert_close(&fast, &slow, &case);
            let upstream = random(slow.dims(), &device);
            let grads = [fast, slow].map(|y| x.grad(&gradient(y, &upstream)).expect("tracked"));
            assert_close(&grads[0], &grads[1], &format!("{case} gradient"));
        }
    }

    #[test]
    fn the_first_of_equal_values_takes_the_gradient() {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::zeros([1, 1, 2, 2], &device).require_grad();
        let grads = max_pool(x.clone(), windows(2, 2, 0)).sum().backward();
        let expected = Tensor::<4>::from_floats([[[[1.0, 0.0], [0.0, 0.0]]]], &Device::flex());
        assert_close(&x.grad(&grads).expect("tracked"), &expected, "gradient");
    }

    #[test]
    fn windows_without_a_number_show_it() {
        let device = Device::flex();
        let x = Tensor::<4>::from_floats([[[[1.0, f32::NAN], [3.0, 2.0]]]], &device);
        assert!(max_pool(x, windows(2, 2, 0)).into_scalar::<f32>().is_nan());
    }
}
