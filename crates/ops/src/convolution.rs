//! Two-dimensional convolution.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, assert_shape};

use crate::byte_rounding::Range;
use crate::fake_quantization::FakeQuantization;
#[cfg(feature = "flex")]
use crate::flex::integer::Finish;
use crate::input_range::InputRange;
use crate::observe::{Observed, observe};
use crate::quantized::dense;
#[cfg(feature = "flex")]
use crate::zero_points::ZeroPoints;

/// Two-dimensional convolution (cross-correlation, as usual in networks):
/// `y[n, o, i, j] = bias[o] + Σ_{c,k,l} weight[o, c, k, l] · x[n, c, s·i + d·k − p, s·j + d·l − p]`
/// with stride s, dilation d, padding p and zeros outside the picture.
///
/// The fast form, for one group and equal padding on both sides, lays the picture out as zero-padded rows
/// one behind another, in which each kernel tap is a fixed shift: the sum over taps then runs over whole
/// rows, without the copies of im2col (compare Chellapilla et al. 2006, "High performance convolutional
/// neural networks for document processing").
///
/// There, a weight that is quantized with one scale, or one per output, is multiplied as it is, from three inputs on: each
/// picture becomes bytes with a scale and a zero of its own, found from the picture, as the rows of
/// [`linear`](crate::linear()) do, and the sums are those of whole numbers. A picture with a value that is not finite
/// gives NaN. Elsewhere, and where gradients are asked for, the weight is first made floats.
///
/// # Shapes
/// - `x`: `[batch, inputs, height, width]`
/// - `weight`: `[outputs, inputs / groups, kernel height, kernel width]`
/// - `bias`: `[outputs]`
/// - result: `[batch, outputs, …]`, as large as the windows that fit
///
/// # Panics
/// When the shapes do not fit each other.
pub fn convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    convolution_within(x, weight, bias, options, Range::OfEachRow)
}

fn convolution_within(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    range: Range,
) -> Tensor<4> {
    let [_, inputs, _, _] = x.dims();
    let (outputs, group) = (weight.dims()[0], inputs / options.groups.max(1));
    assert_shape!(weight, [outputs, group, _, _]);
    if let Some(bias) = &bias {
        assert_shape!(bias, [outputs]);
    }
    let bias = bias.map(dense);
    #[cfg(feature = "flex")]
    if crate::is_quantized(&weight) {
        let finish = Finish { range, factor: None, shift: bias.as_ref(), residual: None, rectify: false };
        if let Some(y) = crate::flex::integer::convolution(&x, &weight, &options, &finish) {
            return y;
        }
    }
    let (x, weight) = (range.seen(x, 1), dense(weight));
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::convolution(&x, &weight, &options) {
        return match bias {
            Some(bias) => y + bias.reshape([1, outputs, 1, 1]),
            None => y,
        };
    }
    conv2d(x, weight, bias, options)
}

/// [`convolution`] with the weight and the bias of a module of burn's, in sight of whoever is
/// [`observing`](crate::observing()), and with what stands beside the weight: the range of its inputs
/// ([`InputRange`]), its [`ZeroPoints`](crate::ZeroPoints), or how it is seen in training ([`FakeQuantization`]). The
/// module's own stride, dilation, groups and padding are passed over for `options`.
///
/// # Panics
/// Like [`convolution`].
pub fn convolve(x: Tensor<4>, layer: &Conv2d, options: ConvOptions<2>) -> Tensor<4> {
    let [_, _, height, width] = layer.weight.dims();
    observe(layer.weight.id, || Observed::Picture {
        picture: x.clone(),
        kernel: [height, width],
        options: options.clone(),
    });
    #[cfg(feature = "flex")]
    if let Some(points) = ZeroPoints::of(&layer.weight) {
        let (codes, bias) = (layer.weight.base(), layer.bias.as_ref().map(|bias| dense(bias.val())));
        let range = Range::OfEachRow;
        let finish = Finish { range, factor: None, shift: bias.as_ref(), residual: None, rectify: false };
        if let Some(y) = crate::flex::integer::convolution(&x, &codes, &options, &finish) {
            return y + points.of_pictures(x, codes.dims(), &options);
        }
    }
    let x = FakeQuantization::inputs(&layer.weight, x, 1);
    convolution_within(
        x,
        layer.weight.val(),
        layer.bias.as_ref().map(Param::val),
        options,
        InputRange::of(&layer.weight),
    )
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::quantized::{Granularity, quantized};
    use crate::testing::{assert_close, gradient, random};
    use burn::tensor::{Device, TensorData};

    /// Batch, inputs, outputs, height, width, kernel, stride, padding, dilation.
    const SHAPES: [[usize; 9]; 13] = [
        [1, 1, 1, 5, 5, 3, 1, 1, 1],
        [2, 3, 10, 7, 9, 3, 2, 1, 1],
        [3, 5, 9, 8, 6, 1, 2, 0, 1],
        [5, 4, 24, 11, 13, 5, 2, 2, 1],
        [2, 3, 4, 12, 12, 3, 1, 2, 2],
        [3, 2, 3, 13, 10, 3, 3, 0, 2],
        [33, 2, 3, 6, 6, 4, 2, 1, 1],
        [2, 3, 4, 9, 9, 2, 3, 0, 1],
        [2, 3, 4, 9, 7, 3, 1, 4, 1],
        [1, 2, 2, 1, 17, 3, 1, 1, 1],
        [17, 1, 8, 28, 28, 3, 1, 1, 1],
        [2, 9, 1, 6, 5, 2, 2, 1, 3],
        [1, 1, 2, 65, 70, 7, 4, 3, 1],
    ];

    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for shape in SHAPES {
            let [batch, inputs, outputs, height, width, kernel, stride, padding, dilation] = shape;
            let options = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], 1);
            let x = random([batch, inputs, height, width], &device).require_grad();
            let weight = random([outputs, inputs, kernel, kernel], &device).require_grad();
            let bias = random([1, 1, 1, outputs], &device).reshape([outputs]);
            let fast = convolution(x.clone(), weight.clone(), Some(bias.clone()), options.clone());
            let slow = conv2d(x.clone(), weight.clone(), Some(bias), options);
            let upstream = random(slow.dims(), &device);
            assert_close(&fast, &slow, &format!("{shape:?} output"));
            let (fast, slow) = (gradient(fast, &upstream), gradient(slow, &upstream));
            for (name, tensor) in [("input", &x), ("weight", &weight)] {
                let [fast, slow] = [&fast, &slow].map(|grads| tensor.grad(grads).expect("tracked"));
                assert_close(&fast, &slow, &format!("{shape:?} gradient of the {name}"));
            }
        }
    }

    #[test]
    fn axes_may_differ() {
        let device = Device::flex();
        let options = ConvOptions::new([2, 1], [0, 2], [1, 2], 1);
        let (x, weight) = (random([3, 4, 9, 6], &device), random([5, 4, 2, 3], &device));
        let fast = convolution(x.clone(), weight.clone(), None, options.clone());
        assert_close(&fast, &conv2d(x, weight, None, options), "output");
    }

    #[test]
    fn what_the_fast_form_does_not_know_is_left_to_burn() {
        let device = Device::flex();
        let grouped = ConvOptions::new([1, 1], [1, 1], [1, 1], 2);
        let lopsided = ConvOptions::new_with_padding([1, 1], [(0, 1), (1, 2)], [1, 1], 1);
        for (options, inputs) in [(grouped, 2), (lopsided, 4)] {
            let (x, weight) = (random([2, 4, 5, 5], &device), random([6, inputs, 3, 3], &device));
            let fast = convolution(x.clone(), weight.clone(), None, options.clone());
            assert_close(&fast, &conv2d(x, weight, None, options), "output");
        }
    }

    #[test]
    fn a_view_is_read_in_its_order() {
        let device = Device::flex();
        let x = random([2, 3, 6, 5], &device).swap_dims(2, 3);
        let weight = random([4, 3, 3, 3], &device).flip([2]);
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let fast = convolution(x.clone(), weight.clone(), None, options.clone());
        assert_close(&fast, &conv2d(x, weight, None, options), "output");
    }

    #[test]
    fn gradients_have_the_same_bits_in_every_run() {
        let device = Device::flex().autodiff();
        let x = random([50, 3, 9, 9], &device);
        let weight = random([8, 3, 3, 3], &device).require_grad();
        let run = || {
            let y = convolution(x.clone(), weight.clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
            weight.grad(&y.powi_scalar(2).sum().backward()).expect("tracked").into_data()
        };
        assert_eq!(run(), run());
    }

    #[test]
    #[should_panic(expected = "assert_shape!(weight")]
    fn channels_must_fit() {
        let device = Device::flex();
        let (x, weight) = (random([1, 3, 5, 5], &device), random([4, 2, 3, 3], &device));
        convolution(x, weight, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
    }

    #[test]
    fn a_quantized_weight_is_multiplied_as_it_is_and_gradients_pass_through_it() {
        let options = ConvOptions::new([2, 1], [1, 1], [1, 1], 1);
        let device = Device::flex();
        let values: Vec<i8> = (0..6 * 4 * 9).map(|index| (index * 97 % 255 - 127) as i8).collect();
        let weight = quantized(&values, [6, 4, 3, 3], &[0.01; 6], Granularity::output(4), &device);
        // Whole steps of 255, so that nothing is lost when they become bytes.
        let steps = |index: usize| ((index * 7919) % 256) as f32 / 255.0;
        let x: Vec<f32> = (0..2 * 4 * 30).map(steps).map(|step| step * 2.0).collect();
        let x = Tensor::<4>::from_data(TensorData::new(x, [2, 4, 6, 5]), &device);
        let bias = random([1, 1, 1, 6], &device).reshape([6]);
        let found = convolution(x.clone(), weight.clone(), Some(bias.clone()), options.clone());
        let floats = weight.clone().dequantize();
        let expected = conv2d(x.clone(), floats.clone(), Some(bias.clone()), options.clone());
        let size = expected.clone().abs().max().into_scalar::<f32>();
        let error = (found - expected.clone()).abs().max().into_scalar::<f32>();
        assert!(error < 0.01 * size, "{error} of {size}");
        let device = device.autodiff();
        let x = Tensor::from_inner(x).require_grad();
        let (weight, bias) = (Tensor::from_inner(weight), Tensor::from_inner(bias));
        let y = convolution(x.clone(), weight, Some(bias), options.clone());
        assert_close(&y.clone().inner(), &expected, "output under autodiff");
        let upstream = random(y.dims(), &device);
        let made = x.grad(&gradient(y, &upstream)).expect("tracked");
        let slow = conv2d(x.clone(), Tensor::from_inner(floats), None, options);
        assert_close(&made, &x.grad(&gradient(slow, &upstream)).expect("tracked"), "gradient");
    }
}
