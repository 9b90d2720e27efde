//! The kernels' gradients, as steps of burn's backward pass.

use super::extension::{Extension, Normalized, convolution_shapes, normalize, pool, tensor, values};
use super::plane::Window;
use super::pool::MaxPool;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Shape;
use std::sync::Arc;

#[derive(Debug)]
struct ConvolutionBackward;

impl Backward<Flex, 2> for ConvolutionBackward {
    type State = (FloatTensor<Flex>, FloatTensor<Flex>, [Window; 2]);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [of_x, of_weight] = ops.parents;
        let gradient = grads.consume::<Flex>(&ops.node);
        let (x, weight, windows) = ops.state;
        let shapes = convolution_shapes(&x, &weight, windows);
        if let Some(node) = of_weight {
            let made = shapes.weight_gradient(&values(&x), &values(&gradient));
            grads.register::<Flex>(node.id, tensor(made, weight.shape()));
        }
        if let Some(node) = of_x {
            let made = shapes.input_gradient(&values(&weight), &values(&gradient));
            grads.register::<Flex>(node.id, tensor(made, x.shape()));
        }
    }
}

/// Batch normalisation of x with gamma and beta and, where `N` is 4, a residual.
#[derive(Debug)]
struct BatchNormBackward;

impl<const N: usize> Backward<Flex, N> for BatchNormBackward {
    type State = Normalized;

    fn backward(self, ops: Ops<Normalized, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let shape = ops.state.x.shape();
        let channels = Shape::new([shape[1]]);
        let made = ops.state.backward(grads.consume::<Flex>(&ops.node));
        let gradients = [
            Some((made.input, shape.clone())),
            Some((made.gamma, channels.clone())),
            Some((made.beta, channels)),
            made.residual.map(|residual| (residual, shape)),
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(node), Some((values, shape))) = (parent, gradient) {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
    }
}

#[derive(Debug)]
struct MaxPoolBackward;

impl Backward<Flex, 1> for MaxPoolBackward {
    type State = (Shape, MaxPool, Arc<Vec<u8>>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (shape, pool, taps) = ops.state;
        if let [Some(node)] = ops.parents {
            grads.register::<Flex>(node.id, tensor(pool.backward(&taps, &values(&gradient)), shape));
        }
    }
}

impl<C: CheckpointStrategy> Extension for Autodiff<Flex, C> {
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        windows: [Window; 2],
    ) -> FloatTensor<Self> {
        let prepared = ConvolutionBackward.prepare::<C>([x.node(), weight.node()]);
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let output = Flex::convolution(x.clone(), weight.clone(), windows);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, weight, windows), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        rectify: bool,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let prepared = BatchNormBackward.prepare::<C>([x.node(), gamma.node(), beta.node()]);
        let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.into_primitive());
        let ([output, mean, variance], state) = normalize(x, &gamma, &beta, None, rectify, epsilon);
        let output = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (output, FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }

    fn batch_norm_sum(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        rectify: bool,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), gamma.node(), beta.node(), residual.node()];
        let prepared = BatchNormBackward.prepare::<C>(nodes);
        let [x, gamma, beta, residual] = [x, gamma, beta, residual].map(|tensor| tensor.into_primitive());
        let ([output, mean, variance], state) =
            normalize(x, &gamma, &beta, Some(&residual), rectify, epsilon);
        let output = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (output, FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }

    fn max_pool(x: FloatTensor<Self>, windows: [Window; 2]) -> FloatTensor<Self> {
        let prepared = MaxPoolBackward.prepare::<C>([x.node()]);
        let x = x.into_primitive();
        let (output, pool, taps) = pool(&x, windows);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.shape(), pool, Arc::new(taps)), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
