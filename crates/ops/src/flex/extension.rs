//! The kernels as operations of burn's backends.

use super::convolution::Convolution;
use super::elementwise::Affine;
use super::normalize::{Gradients, Moments, Normalize};
use super::plane::Window;
use super::pool::MaxPool;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, TensorData};
use std::borrow::Cow;

/// Operations that only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
pub(super) trait Extension: Backend {
    /// Convolution of `x` `[batch, inputs, height, width]` with `weight`
    /// `[outputs, inputs, height, width]`.
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        windows: [Window; 2],
    ) -> FloatTensor<Self>;

    /// Batch normalisation of `x` `[batch, channels, …]` with the batch's own moments: the output, the
    /// means and the biased variances.
    fn batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        rectify: bool,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The same with `residual` added to the output before the rectifier.
    fn batch_norm_sum(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        rectify: bool,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The maximum of `x` `[batch, channels, height, width]` under each window.
    fn max_pool(x: FloatTensor<Self>, windows: [Window; 2]) -> FloatTensor<Self>;
}

impl Extension for Flex {
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        windows: [Window; 2],
    ) -> FloatTensor<Self> {
        let shapes = convolution_shapes(&x, &weight, windows);
        let [height, width] = shapes.output_size();
        let output = shapes.forward(&values(&x), &values(&weight));
        tensor(output, Shape::new([shapes.batch, shapes.outputs, height, width]))
    }

    fn batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        rectify: bool,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let ([output, mean, variance], _) = normalize(x, &gamma, &beta, None, rectify, epsilon);
        (output, mean, variance)
    }

    fn batch_norm_sum(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        rectify: bool,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let ([output, mean, variance], _) = normalize(x, &gamma, &beta, Some(&residual), rectify, epsilon);
        (output, mean, variance)
    }

    fn max_pool(x: FloatTensor<Self>, windows: [Window; 2]) -> FloatTensor<Self> {
        pool(&x, windows).0
    }
}

/// The values of a tensor, copied only where they are not in order.
pub(super) fn values(tensor: &FloatTensor<Flex>) -> Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(owned(tensor.to_contiguous())),
    }
}

/// The values of a float32 tensor, taken over where nobody else holds it.
pub(super) fn owned(tensor: FloatTensor<Flex>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("callers checked that the tensor is float32")
}

/// A tensor of the given values.
pub(super) fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}

pub(super) fn convolution_shapes(
    x: &FloatTensor<Flex>,
    weight: &FloatTensor<Flex>,
    windows: [Window; 2],
) -> Convolution {
    let [batch, inputs, height, width] = x.shape().dims();
    Convolution { batch, inputs, outputs: weight.shape()[0], size: [height, width], windows }
}

/// What the gradient of a batch normalisation needs.
#[derive(Debug, Clone)]
pub(super) struct Normalized {
    pub(super) x: FloatTensor<Flex>,
    shapes: Normalize,
    channels: Vec<Affine>,
    moments: Moments,
    /// The output, where something was added before the rectifier.
    output: Option<FloatTensor<Flex>>,
}

impl Normalized {
    /// The gradients, given that of the output.
    pub(super) fn backward(self, gradient: FloatTensor<Flex>) -> Gradients {
        let (x, output) = (values(&self.x), self.output.as_ref().map(values));
        self.shapes.backward(&x, &self.channels, &self.moments, owned(gradient), output.as_deref())
    }
}

/// Output, means and variances, and what the gradient needs.
pub(super) fn normalize(
    x: FloatTensor<Flex>,
    gamma: &FloatTensor<Flex>,
    beta: &FloatTensor<Flex>,
    residual: Option<&FloatTensor<Flex>>,
    rectify: bool,
    epsilon: f32,
) -> ([FloatTensor<Flex>; 3], Normalized) {
    let shape = x.shape();
    let [batch, channels] = [shape[0], shape[1]];
    let area = shape.num_elements() / (batch * channels);
    let shapes = Normalize { batch, channels, area, rectify, epsilon };
    let input = values(&x);
    let moments = shapes.moments(&input);
    let affine = shapes.channels(&moments, &values(gamma), &values(beta));
    let added = residual.map(values);
    let output = tensor(shapes.forward(&input, &affine, added.as_deref()), shape);
    drop(input);
    let [mean, variance] =
        [&moments.mean, &moments.variance].map(|values| tensor(values.clone(), Shape::new([channels])));
    let kept = residual.map(|_| output.clone());
    ([output, mean, variance], Normalized { x, shapes, channels: affine, moments, output: kept })
}

/// The maxima, and what their gradient needs.
pub(super) fn pool(x: &FloatTensor<Flex>, windows: [Window; 2]) -> (FloatTensor<Flex>, MaxPool, Vec<u8>) {
    let [batch, channels, height, width] = x.shape().dims();
    let pool = MaxPool { planes: batch * channels, size: [height, width], windows };
    let (y, taps) = pool.forward(&values(x));
    let [height, width] = pool.output_size();
    (tensor(y, Shape::new([batch, channels, height, width])), pool, taps)
}
