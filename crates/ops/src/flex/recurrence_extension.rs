//! Recurrent cells as an operation of burn's backends, with its gradient as a step of the backward pass.

use super::recurrence::{Kept, Recurrence};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

/// Operations that only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
pub(super) trait RecurrenceExtension: Backend {
    /// See [`crate::recurrence`].
    fn recurrence(
        inputs: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        initial: FloatTensor<Self>,
        shape: Recurrence,
    ) -> FloatTensor<Self>;
}

impl RecurrenceExtension for Flex {
    fn recurrence(
        inputs: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        initial: FloatTensor<Self>,
        shape: Recurrence,
    ) -> FloatTensor<Self> {
        shape.forward(&inputs, &weight, &bias, initial, false).0
    }
}

#[derive(Debug)]
struct RecurrenceBackward;

impl Backward<Flex, 4> for RecurrenceBackward {
    type State = (Recurrence, Kept);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (shape, kept) = ops.state;
        let made = shape.backward(&kept, &gradient);
        let made = [made.inputs, made.weight, made.bias, made.initial];
        for (parent, gradient) in ops.parents.into_iter().zip(made) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> RecurrenceExtension for Autodiff<Flex, C> {
    fn recurrence(
        inputs: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        initial: FloatTensor<Self>,
        shape: Recurrence,
    ) -> FloatTensor<Self> {
        let nodes = [inputs.node(), weight.node(), bias.node(), initial.node()];
        let prepared = RecurrenceBackward.prepare::<C>(nodes).compute_bound().stateful();
        let [inputs, weight, bias, initial] =
            [inputs, weight, bias, initial].map(|tensor| tensor.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => {
                let (output, kept) = shape.forward(&inputs, &weight, &bias, initial, true);
                let kept = kept.expect("what going back needs was asked for");
                prepared.finish((shape, kept), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(shape.forward(&inputs, &weight, &bias, initial, false).0)
            }
        }
    }
}
