//! xLSTM's scalar memory as an operation of burn's backends, with its gradient as a step of the backward pass.

use super::extension::{tensor, values};
use super::scalar_memory::{Kept, STATES, ScalarMemory};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::Shape;
use std::sync::Arc;

/// Operations that only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
pub(super) trait ScalarMemoryExtension: Backend {
    /// See [`crate::scalar_memory`]: the outputs and behind them the last cell, normalizer and maximum,
    /// `[heads, length + 3, batch, size]`.
    fn scalar_memory(
        gates: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        before: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Calls `with` on the values of gates, R and the memory before.
fn run<R>(inputs: &[FloatTensor<Flex>; 3], with: impl FnOnce(ScalarMemory<'_>) -> R) -> R {
    let [heads, length, batch, _] = inputs[0].shape().dims();
    let [_, size, _] = inputs[1].shape().dims();
    let [gates, recurrent, before] = inputs.each_ref().map(values);
    let sizes = [heads, length, batch, size];
    with(ScalarMemory { gates: &gates, recurrent: &recurrent, before: &before, sizes })
}

fn forward(inputs: &[FloatTensor<Flex>; 3]) -> (FloatTensor<Flex>, Kept) {
    run(inputs, |memory| {
        let [heads, length, batch, size] = memory.sizes;
        let (rows, kept) = memory.forward();
        (tensor(rows, Shape::new([heads, length + STATES - 1, batch, size])), kept)
    })
}

impl ScalarMemoryExtension for Flex {
    fn scalar_memory(
        gates: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        before: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        forward(&[gates, recurrent, before]).0
    }
}

#[derive(Debug)]
struct ScalarMemoryBackward;

impl Backward<Flex, 3> for ScalarMemoryBackward {
    type State = ([FloatTensor<Flex>; 3], Arc<Kept>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (inputs, kept) = ops.state;
        let made = run(&inputs, |memory| memory.backward(&kept, &values(&gradient)));
        let made = [made.gates, made.recurrent, made.before];
        for ((parent, input), made) in ops.parents.into_iter().zip(&inputs).zip(made) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(made, input.shape()));
            }
        }
    }
}

impl<C: CheckpointStrategy> ScalarMemoryExtension for Autodiff<Flex, C> {
    fn scalar_memory(
        gates: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        before: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [gates.node(), recurrent.node(), before.node()];
        let prepared = ScalarMemoryBackward.prepare::<C>(nodes).compute_bound().stateful();
        let inputs = [gates, recurrent, before].map(|tensor| tensor.into_primitive());
        let (rows, kept) = forward(&inputs);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((inputs, Arc::new(kept)), rows),
            OpsKind::UnTracked(prepared) => prepared.finish(rows),
        }
    }
}
