//! Functions of every value by itself as single operations.

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
pub(crate) use kernel::Curve;

/// `curve` of every value, where the kernel takes this tensor.
pub(crate) fn curve<const D: usize>(x: &Tensor<D>, curve: Curve) -> Option<Tensor<D>> {
    takes(x).then(|| Tensor::from_dispatch(<Dispatch as Extension>::curve(x.clone().into_dispatch(), curve)))
}

/// The operation, which only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
trait Extension: Backend {
    /// The function of every value, of any shape.
    fn curve(x: FloatTensor<Self>, curve: Curve) -> FloatTensor<Self>;
}

impl Extension for Flex {
    fn curve(x: FloatTensor<Self>, curve: Curve) -> FloatTensor<Self> {
        tensor(curve.forward(&values(&x)), x.shape())
    }
}

#[derive(Debug)]
struct CurveBackward;

impl Backward<Flex, 1> for CurveBackward {
    type State = (FloatTensor<Flex>, Curve);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (x, curve) = ops.state;
        if let [Some(node)] = ops.parents {
            let made = curve.backward(&values(&x), &values(&gradient));
            grads.register::<Flex>(node.id, tensor(made, x.shape()));
        }
    }
}

impl<C: CheckpointStrategy> Extension for Autodiff<Flex, C> {
    fn curve(x: FloatTensor<Self>, curve: Curve) -> FloatTensor<Self> {
        let prepared = CurveBackward.prepare::<C>([x.node()]);
        let x = x.into_primitive();
        let output = Flex::curve(x.clone(), curve);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, curve), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
