//! A convolution along time.

use ansatz_ops::{convolution, dense};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, assert_shape};

/// `y[t] = b + Σ_j w[j] · x[t + d (j − k + 1)]` over the `k` taps of a kernel with dilation d; one that looks
/// ahead too is centred, the odd step more of it ahead. Beyond the ends x is 0.
///
/// With a gain g for each output, `w = g v / |v|` (Salimans and Kingma 2016, arXiv:1602.07868, equation 2).
///
/// # Shapes
/// `[batch, inputs, length]` → `[batch, outputs, length]`
#[derive(Module, Debug)]
pub struct TemporalConvolution {
    /// w, or v where there is a gain: `[outputs, inputs, kernel]`.
    pub weight: Param<Tensor<3>>,
    /// g `[outputs]`.
    pub gain: Option<Param<Tensor<1>>>,
    /// b `[outputs]`.
    pub bias: Param<Tensor<1>>,
    dilation: usize,
    causal: bool,
}

impl TemporalConvolution {
    /// A convolution drawn as PyTorch does, uniform up to 1/√(inputs · kernel) either way; a gain begins as
    /// the norm of its weights.
    pub(crate) fn new(
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        dilation: usize,
        causal: bool,
        gained: bool,
        device: &Device,
    ) -> Self {
        let bound = ((inputs * kernel) as f64).sqrt().recip();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        let weight: Param<Tensor<3>> = uniform.init([outputs, inputs, kernel], device);
        let gain = gained.then(|| {
            let gain = norms(weight.val()).reshape([outputs]).detach();
            Param::from_tensor(if device.is_autodiff() { gain.require_grad() } else { gain })
        });
        Self { weight, gain, bias: uniform.init([outputs], device), dilation, causal }
    }

    /// Steps beyond the one itself that are seen.
    pub(crate) fn reach(&self) -> usize {
        (self.weight.lazy_shape()[2] - 1) * self.dilation
    }

    /// Channels in and out.
    pub(crate) fn channels(&self) -> [usize; 2] {
        let [outputs, inputs, _] = self.weight.lazy_shape().dims();
        [inputs, outputs]
    }

    /// All steps at once.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, inputs, length] = x.dims();
        let before = if self.causal { self.reach() } else { self.reach() / 2 };
        let zeros = |steps: usize| Tensor::<3>::zeros([batch, inputs, steps], (&x.device(), x.dtype()));
        let mut parts = vec![zeros(before), x.clone(), zeros(self.reach() - before)];
        parts.retain(|part| part.dims()[2] > 0);
        let y = self.slide(Tensor::cat(parts, 2));
        let [outputs] = self.bias.lazy_shape().dims();
        assert_shape!(y, [batch, outputs, length]);
        y
    }

    /// The next steps behind those of `window`, `[batch, inputs, reach]`, and the window behind them; there
    /// is none for a convolution that sees the step itself alone.
    pub(crate) fn step(&self, x: Tensor<3>, window: Option<Tensor<3>>) -> (Tensor<3>, Option<Tensor<3>>) {
        let Some(window) = window else { return (self.slide(x), None) };
        let seen = Tensor::cat(vec![window, x], 2);
        let length = seen.dims()[2];
        let behind = seen.clone().narrow(2, length - self.reach(), self.reach());
        (self.slide(seen), Some(behind))
    }

    /// The window before the first step, see [`TemporalConvolution::step`].
    pub(crate) fn window(&self, batch: usize, device: &Device) -> Option<Tensor<3>> {
        let [inputs, _] = self.channels();
        let zeros = || Tensor::zeros([batch, inputs, self.reach()], (device, self.bias.val().dtype()));
        (self.reach() > 0).then(zeros)
    }

    /// One output for each place of the kernel.
    fn slide(&self, x: Tensor<3>) -> Tensor<3> {
        let weight = dense(self.weight.val());
        let [outputs, inputs, kernel] = weight.dims();
        let weight = match &self.gain {
            Some(gain) => {
                let norms = norms(weight.clone());
                weight * (gain.val().reshape([outputs, 1, 1]) / norms)
            }
            None => weight,
        };
        let weight = weight.reshape([outputs, inputs, 1, kernel]);
        let options = ConvOptions::new([1, 1], [0, 0], [1, self.dilation], 1);
        let y = convolution(x.unsqueeze_dim::<4>(2), weight, Some(self.bias.val()), options);
        y.squeeze_dim::<3>(2)
    }

    /// Floating-point operations for one step.
    pub(crate) fn flops(&self) -> u64 {
        2 * self.weight.lazy_shape().num_elements() as u64
    }
}

/// |v| of each output, `[outputs, 1, 1]`.
fn norms(weight: Tensor<3>) -> Tensor<3> {
    let [outputs, inputs, kernel] = weight.dims();
    let flat = weight.reshape([outputs, 1, inputs * kernel]);
    (flat.clone() * flat).sum_dim(2).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn the_convolution_is_the_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        let normal = Distribution::Normal(0.0, 1.0);
        for (kernel, dilation, causal, gained) in [
            (3, 1, true, false),
            (2, 3, true, true),
            (4, 2, false, true),
            (1, 5, true, true),
            (3, 2, false, false),
        ] {
            let mut layer = TemporalConvolution::new([2, 3], kernel, dilation, causal, gained, &device);
            layer.gain = layer.gain.map(|_| Param::from_tensor(Tensor::random([3], normal, &device)));
            let x = Tensor::<3>::random([1, 2, 7], normal, &device);
            let values = |data: burn::tensor::TensorData| data.try_to_vec::<f32>().unwrap();
            let [weight, input] = [layer.weight.val(), x.clone()].map(|tensor| values(tensor.into_data()));
            let bias = values(layer.bias.val().into_data());
            let gain = layer.gain.as_ref().map(|gain| values(gain.val().into_data()));
            let reach = ((kernel - 1) * dilation) as i64;
            let before = if causal { reach } else { reach / 2 };
            let mut expected = Vec::new();
            for output in 0..3 {
                let taps = &weight[output * 2 * kernel..(output + 1) * 2 * kernel];
                let norm = taps.iter().map(|tap| tap * tap).sum::<f32>().sqrt();
                let scale = gain.as_ref().map_or(1.0, |gain| gain[output] / norm);
                for step in 0..7_i64 {
                    let mut sum = bias[output];
                    for (at, tap) in taps.iter().enumerate() {
                        let (channel, place) = (at / kernel, (at % kernel) as i64);
                        let seen = step - before + place * dilation as i64;
                        if (0..7).contains(&seen) {
                            sum += scale * tap * input[channel * 7 + seen as usize];
                        }
                    }
                    expected.push(sum);
                }
            }
            let expected = burn::tensor::TensorData::new(expected, [1, 3, 7]);
            let found = layer.forward(x).into_data();
            found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn a_gain_begins_as_the_norm() {
        let device = ansatz_device::open("cpu").unwrap();
        let gained = TemporalConvolution::new([2, 3], 3, 1, true, true, &device);
        let plain = TemporalConvolution { gain: None, ..gained.clone() };
        let x = Tensor::<3>::random([1, 2, 7], Distribution::Default, &device);
        let [gained, plain] = [gained, plain].map(|layer| layer.forward(x.clone()).into_data());
        gained.assert_approx_eq::<f32>(&plain, Tolerance::absolute(1e-6));
    }
}
