//! Smooth rectifiers as single operations.

mod kernel;

use super::extension::{tensor, values};
use super::takes;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
pub(crate) use kernel::Gate;

/// `x · gate(x)`, where the kernel takes this tensor.
pub(crate) fn gated<const D: usize>(x: &Tensor<D>, gate: Gate) -> Option<Tensor<D>> {
    takes(x).then(|| Tensor::from_dispatch(<Dispatch as Extension>::gated(x.clone().into_dispatch(), gate)))
}

/// The operation, which only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
trait Extension: Backend {
    /// `x · gate(x)`, of any shape.
    fn gated(x: FloatTensor<Self>, gate: Gate) -> FloatTensor<Self>;
}

impl Extension for Flex {
    fn gated(x: FloatTensor<Self>, gate: Gate) -> FloatTensor<Self> {
        tensor(gate.forward(&values(&x)), x.shape())
    }
}

#[derive(Debug)]
struct GatedBackward;

impl Backward<Flex, 1> for GatedBackward {
    type State = (FloatTensor<Flex>, Gate);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (x, gate) = ops.state;
        if let [Some(node)] = ops.parents {
            let made = gate.backward(&values(&x), &values(&gradient));
            grads.register::<Flex>(node.id, tensor(made, x.shape()));
        }
    }
}

impl<C: CheckpointStrategy> Extension for Autodiff<Flex, C> {
    fn gated(x: FloatTensor<Self>, gate: Gate) -> FloatTensor<Self> {
        let prepared = GatedBackward.prepare::<C>([x.node()]);
        let x = x.into_primitive();
        let output = Flex::gated(x.clone(), gate);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, gate), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
