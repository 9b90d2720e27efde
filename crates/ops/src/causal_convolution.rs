//! The short causal convolution that stands in front of most recurrences.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::quantized::dense;

/// Convolves each channel for itself with the tokens before:
///
/// ```text
/// y_t = b + Σ_{j=0}^{w−1} W_j ⊙ x_{t−w+1+j}
/// ```
///
/// (Gu and Dao, Mamba, 2023, arXiv:2312.00752, section 3.4; Fu et al., H3, 2022, arXiv:2212.14052, section 3).
/// What stands before the first token is `window`, or zeros. Returned beside y is the window behind the last
/// token, from which the next tokens go on; there is none when the width is 1.
///
/// # Shapes
/// - `x`: `[batch, length, channels]`
/// - `weight`: `[channels, width]`, `bias`: `[channels]`
/// - `window`: `[batch, width − 1, channels]`
/// - result: `[batch, length, channels]` and a window
///
/// # Panics
/// When the shapes do not fit each other.
pub fn causal_convolution(
    x: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    window: Option<Tensor<3>>,
) -> (Tensor<3>, Option<Tensor<3>>) {
    let [batch, _, channels] = x.dims();
    let [_, width] = weight.dims();
    assert_shape!(weight, [channels, width]);
    if width == 1 {
        return (under_window(x, weight, bias, None), None);
    }
    let window =
        window.unwrap_or_else(|| Tensor::zeros([batch, width - 1, channels], (&x.device(), x.dtype())));
    assert_shape!(window, [batch, width - 1, channels]);
    let behind = last_tokens(&window, &x);
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::causal_convolution(&x, &weight, bias.as_ref(), &window) {
        return (y, Some(behind));
    }
    (under_window(x, weight, bias, Some(window)), Some(behind))
}

/// As many tokens as the window holds, up to the last.
fn last_tokens(window: &Tensor<3>, x: &Tensor<3>) -> Tensor<3> {
    let ([_, length, _], [_, before, _]) = (x.dims(), window.dims());
    match before.checked_sub(length) {
        None | Some(0) => x.clone().narrow(1, length - before, before),
        Some(kept) => Tensor::cat(vec![window.clone().narrow(1, length, kept), x.clone()], 1),
    }
}

/// The form for every device: the sum of as many products as the window has tokens.
fn under_window(
    x: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    window: Option<Tensor<3>>,
) -> Tensor<3> {
    let ([_, length, _], [_, width]) = (x.dims(), weight.dims());
    let seen = match window {
        Some(window) => Tensor::cat(vec![window, x], 1),
        None => x,
    };
    let taps = weight.swap_dims(0, 1);
    let tap = |index: usize| {
        seen.clone().narrow(1, index, length) * taps.clone().narrow(0, index, 1).unsqueeze::<3>()
    };
    let mut y = tap(0);
    for index in 1..width {
        y = y + tap(index);
    }
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

/// The parameters of a [`causal_convolution`].
///
/// # Shapes
/// `[batch, length, channels]` → the same.
#[derive(Module, Debug)]
pub struct CausalConvolution {
    /// W `[channels, width]`; the last column meets the token itself.
    pub weight: Param<Tensor<2>>,
    /// b `[channels]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl CausalConvolution {
    /// A convolution of `width` tokens, at least 1, drawn as PyTorch does: uniform up to 1/√width either way.
    ///
    /// # Panics
    /// When `width` is 0.
    pub fn new(channels: usize, width: usize, bias: bool, device: &Device) -> Self {
        assert!(width > 0, "a convolution sees at least the token itself");
        let bound = (width as f64).sqrt().recip();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Self {
            weight: uniform.init([channels, width], device),
            bias: bias.then(|| uniform.init([channels], device)),
        }
    }

    /// The window before the first token, `[batch, width − 1, channels]` of zeros; none when the width is 1.
    pub fn window(&self, batch: usize, device: &Device) -> Option<Tensor<3>> {
        let weight = dense(self.weight.val());
        let [channels, width] = weight.dims();
        (width > 1).then(|| Tensor::zeros([batch, width - 1, channels], (device, weight.dtype())))
    }

    /// See [`causal_convolution`].
    ///
    /// # Panics
    /// When the shapes do not fit each other.
    pub fn forward(&self, x: Tensor<3>, window: Option<Tensor<3>>) -> (Tensor<3>, Option<Tensor<3>>) {
        causal_convolution(x, dense(self.weight.val()), self.bias.as_ref().map(Param::val), window)
    }

    /// Floating-point operations for one token.
    pub fn flops(&self) -> u64 {
        2 * self.weight.lazy_shape().num_elements() as u64
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random};
    use burn::tensor::Tolerance;

    /// The equation, number by number.
    fn naive(x: &Tensor<3>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Vec<f32> {
        let ([batch, length, channels], [_, width]) = (x.dims(), weight.dims());
        let floats = |data: burn::tensor::TensorData| data.try_to_vec::<f32>().expect("floats");
        let (x, weight) = (floats(x.to_data()), floats(weight.to_data()));
        let bias = bias.map_or(vec![0.0; channels], |bias| floats(bias.to_data()));
        let mut y = Vec::new();
        for (row, token, channel) in places(batch, length, channels) {
            let mut sum = bias[channel];
            for tap in 0..width {
                // Tap j of w meets the token w − 1 − j places before.
                if let Some(seen) = (token + tap + 1).checked_sub(width) {
                    sum += weight[channel * width + tap] * x[(row * length + seen) * channels + channel];
                }
            }
            y.push(sum);
        }
        y
    }

    fn places(batch: usize, length: usize, channels: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..batch).flat_map(move |row| {
            (0..length).flat_map(move |token| (0..channels).map(move |channel| (row, token, channel)))
        })
    }

    #[test]
    fn outputs_are_those_of_the_equation() {
        let device = Device::flex();
        for ([batch, length, channels], width) in
            [([1, 1, 1], 1), ([2, 5, 3], 1), ([1, 2, 3], 4), ([2, 7, 20], 3), ([3, 9, 17], 4), ([1, 4, 2], 7)]
        {
            let x = random([batch, length, channels], &device);
            let weight = random([channels, width], &device);
            for bias in [None, Some(random([channels], &device))] {
                let expected = naive(&x, &weight, bias.as_ref());
                let (y, window) = causal_convolution(x.clone(), weight.clone(), bias, None);
                let expected = burn::tensor::TensorData::new(expected, [batch, length, channels]);
                y.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
                assert_eq!(window.is_none(), width == 1);
            }
        }
    }

    #[test]
    fn tokens_in_pieces_are_tokens_at_once() {
        let device = Device::flex();
        for width in [1, 2, 4] {
            let layer = CausalConvolution::new(3, width, true, &device);
            let x = random([2, 9, 3], &device);
            let (whole, end) = layer.forward(x.clone(), None);
            for split in 1..9 {
                let window = layer.window(2, &device);
                let (first, window) = layer.forward(x.clone().narrow(1, 0, split), window);
                let (second, window) = layer.forward(x.clone().narrow(1, split, 9 - split), window);
                let joined = Tensor::cat(vec![first, second], 1);
                joined.into_data().assert_approx_eq::<f32>(&whole.to_data(), Tolerance::absolute(1e-6));
                assert_eq!(window.is_some(), width > 1);
                if let (Some(window), Some(end)) = (window, &end) {
                    window.into_data().assert_eq(&end.to_data(), true);
                }
            }
        }
    }

    #[test]
    fn outputs_and_gradients_of_both_forms_agree() {
        let device = Device::flex().autodiff();
        for ([batch, length, channels], width) in
            [([1, 1, 1], 2), ([2, 2, 5], 4), ([3, 9, 140], 3), ([2, 40, 17], 7)]
        {
            let case = format!("{batch} × {length} × {channels} under {width}");
            let x = random([batch, length, channels], &device).require_grad();
            let weight = random([channels, width], &device).require_grad();
            let bias = random([channels], &device).require_grad();
            let window = random([batch, width - 1, channels], &device).require_grad();
            let given = || (x.clone(), weight.clone(), Some(bias.clone()), Some(window.clone()));
            let (a, b, c, d) = given();
            let (fast, behind) = causal_convolution(a, b, c, d);
            let (a, b, c, d) = given();
            let slow = under_window(a, b, c, d);
            assert_close(&fast, &slow, &case);
            let seen = Tensor::cat(vec![window.clone(), x.clone()], 1).narrow(1, length, width - 1);
            assert_close(&behind.expect("wider than one token"), &seen, &format!("{case}: window"));
            let upstream = random([batch, length, channels], &device);
            let [fast, slow] = [fast, slow].map(|y| (y * upstream.clone()).sum().backward());
            for (what, tensor) in [("x", &x), ("window", &window)] {
                let [fast, slow] = [&fast, &slow].map(|grads| tensor.grad(grads).expect("tracked"));
                assert_close(&fast, &slow, &format!("{case}: gradient of {what}"));
            }
            let [fast_weight, slow_weight] = [&fast, &slow].map(|grads| weight.grad(grads).expect("tracked"));
            assert_close(&fast_weight, &slow_weight, &format!("{case}: gradient of the weight"));
            let [fast_bias, slow_bias] = [&fast, &slow].map(|grads| bias.grad(grads).expect("tracked"));
            assert_close(&fast_bias, &slow_bias, &format!("{case}: gradient of the bias"));
        }
    }
}
