//! Layer norm and root-mean-square norm as single operations.

mod kernel;

use super::extension::{owned, tensor, values};
use super::takes;
use crate::{NormConfig, NormKind};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use kernel::TokenNorm;

/// The norm of the last dimension of x, where the kernel takes these tensors.
pub(crate) fn token_norm<const D: usize>(
    x: &Tensor<D>,
    scale: &Tensor<1>,
    shift: Option<&Tensor<1>>,
    config: NormConfig,
) -> Option<Tensor<D>> {
    if !(takes(x) && takes(scale) && shift.is_none_or(takes)) {
        return None;
    }
    let norm = TokenNorm { centre: config.kind == NormKind::Layer, epsilon: config.epsilon as f32 };
    let [x, scale] = [x.clone().into_dispatch(), scale.clone().into_dispatch()];
    Some(Tensor::from_dispatch(match shift {
        Some(shift) => {
            <Dispatch as Extension>::token_norm_shift(x, scale, shift.clone().into_dispatch(), norm)
        }
        None => <Dispatch as Extension>::token_norm(x, scale, norm),
    }))
}

/// The operations, which only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
trait Extension: Backend {
    /// The norm of `x` `[.., width]`, times `scale` `[width]`.
    fn token_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>, norm: TokenNorm) -> FloatTensor<Self>;

    /// The same with `shift` `[width]` added.
    fn token_norm_shift(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        norm: TokenNorm,
    ) -> FloatTensor<Self>;
}

impl Extension for Flex {
    fn token_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>, norm: TokenNorm) -> FloatTensor<Self> {
        tensor(norm.forward(&values(&x), &values(&scale), None), x.shape())
    }

    fn token_norm_shift(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        norm: TokenNorm,
    ) -> FloatTensor<Self> {
        tensor(norm.forward(&values(&x), &values(&scale), Some(&values(&shift))), x.shape())
    }
}

/// The norm of x with a scale and, where `N` is 3, a shift.
#[derive(Debug)]
struct TokenNormBackward;

impl<const N: usize> Backward<Flex, N> for TokenNormBackward {
    type State = ([FloatTensor<Flex>; 2], TokenNorm);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let ([x, scale], norm) = ops.state;
        let made = norm.backward(&values(&x), &values(&scale), owned(gradient));
        let shapes = [x.shape(), scale.shape(), scale.shape()];
        for (parent, (made, shape)) in ops.parents.into_iter().zip(made.into_iter().zip(shapes)) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(made, shape));
            }
        }
    }
}

impl<C: CheckpointStrategy> Extension for Autodiff<Flex, C> {
    fn token_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>, norm: TokenNorm) -> FloatTensor<Self> {
        let prepared = TokenNormBackward.prepare::<C>([x.node(), scale.node()]);
        let [x, scale] = [x, scale].map(|tensor| tensor.into_primitive());
        let output = Flex::token_norm(x.clone(), scale.clone(), norm);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(([x, scale], norm), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn token_norm_shift(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        norm: TokenNorm,
    ) -> FloatTensor<Self> {
        let prepared = TokenNormBackward.prepare::<C>([x.node(), scale.node(), shift.node()]);
        let [x, scale, shift] = [x, scale, shift].map(|tensor| tensor.into_primitive());
        let output = Flex::token_norm_shift(x.clone(), scale.clone(), shift, norm);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(([x, scale], norm), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
