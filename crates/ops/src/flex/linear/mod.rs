//! The linear map of floats as one operation.

mod matrix;

use super::extension::{tensor, values};
use super::takes;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};
use matrix::{Matrix, Weight, sum_of_rows};

/// `x W + b`, where the kernel takes these tensors.
pub(crate) fn linear<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Option<Tensor<D>> {
    if !(takes(x) && takes(weight) && bias.is_none_or(takes)) {
        return None;
    }
    let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
    Some(Tensor::from_dispatch(match bias {
        Some(bias) => <Dispatch as Extension>::linear_bias(x, weight, bias.clone().into_dispatch()),
        None => <Dispatch as Extension>::linear(x, weight),
    }))
}

/// The operations, which only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
trait Extension: Backend {
    /// `x` `[.., inputs]` times `weight` `[inputs, outputs]`.
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The same with `bias` `[outputs]` added.
    fn linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// `x W + b`.
fn forward(
    x: &FloatTensor<Flex>,
    weight: &FloatTensor<Flex>,
    bias: Option<&FloatTensor<Flex>>,
) -> FloatTensor<Flex> {
    let [inputs, outputs] = weight.shape().dims();
    let (rows, weight, bias) = (values(x), Weight::new(weight), bias.map(values));
    let rows = Matrix::new(&rows, [rows.len() / inputs, inputs]);
    tensor(rows.times(weight.matrix(), bias.as_deref()), with_width(x.shape(), outputs))
}

/// The shape with another last dimension.
fn with_width(mut shape: Shape, width: usize) -> Shape {
    let last = shape.num_dims() - 1;
    shape[last] = width;
    shape
}

impl Extension for Flex {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        forward(&x, &weight, None)
    }

    fn linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        forward(&x, &weight, Some(&bias))
    }
}

/// Of x, W and, where `N` is 3, b. With `G = ∂L/∂y`, a row per example:
/// `∂L/∂x = G Wᵀ`, `∂L/∂W = xᵀ G`, `∂L/∂b = Σ G` over the rows.
#[derive(Debug)]
struct LinearBackward;

impl<const N: usize> Backward<Flex, N> for LinearBackward {
    type State = [FloatTensor<Flex>; 2];

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let [x, weight] = ops.state;
        let [inputs, outputs] = weight.shape().dims();
        let upstream = values(&gradient);
        let above = Matrix::new(&upstream, [upstream.len() / outputs, outputs]);
        for (parent, node) in ops.parents.into_iter().enumerate() {
            let Some(node) = node else { continue };
            let made = match parent {
                0 => tensor(above.times(Weight::new(&weight).matrix().transposed(), None), x.shape()),
                1 => {
                    let rows = values(&x);
                    let rows = Matrix::new(&rows, [rows.len() / inputs, inputs]);
                    tensor(rows.transposed().times(above, None), weight.shape())
                }
                _ => tensor(sum_of_rows(&upstream, outputs), Shape::new([outputs])),
            };
            grads.register::<Flex>(node.id, made);
        }
    }
}

impl<C: CheckpointStrategy> Extension for Autodiff<Flex, C> {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = LinearBackward.prepare::<C>([x.node(), weight.node()]);
        let [x, weight] = [x, weight].map(|tensor| tensor.into_primitive());
        let output = forward(&x, &weight, None);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, weight], output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let prepared = LinearBackward.prepare::<C>([x.node(), weight.node(), bias.node()]);
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive());
        let output = forward(&x, &weight, Some(&bias));
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, weight], output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
