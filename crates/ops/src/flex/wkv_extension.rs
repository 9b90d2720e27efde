//! The recurrence of RWKV-4 as an operation of burn's backends, with its gradient as a step of the backward pass.

use super::extension::{tensor, values};
use super::wkv::{ROWS, Wkv};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::Shape;

/// Operations that only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
pub(super) trait WkvExtension: Backend {
    /// See [`crate::wkv`]: the outputs and behind them the last state, `[batch, length + 3, channels]`.
    fn wkv(
        decay: FloatTensor<Self>,
        bonus: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        state: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Calls `with` on the values of decay, bonus, key, value and state.
fn run<R>(inputs: &[FloatTensor<Flex>; 5], with: impl FnOnce(Wkv<'_>) -> R) -> R {
    let length = inputs[2].shape()[1];
    let [decay, bonus, key, value, state] = inputs.each_ref().map(values);
    with(Wkv { decay: &decay, bonus: &bonus, key: &key, value: &value, state: &state, length })
}

impl WkvExtension for Flex {
    fn wkv(
        decay: FloatTensor<Self>,
        bonus: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        state: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [batch, length, channels] = key.shape().dims();
        let output = run(&[decay, bonus, key, value, state], |wkv| wkv.forward());
        tensor(output, Shape::new([batch, length + ROWS, channels]))
    }
}

#[derive(Debug)]
struct WkvBackward;

impl Backward<Flex, 5> for WkvBackward {
    type State = [FloatTensor<Flex>; 5];

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let made = run(&ops.state, |wkv| wkv.backward(&values(&gradient)));
        let made = [made.decay, made.bonus, made.key, made.value, made.state];
        for ((parent, input), made) in ops.parents.into_iter().zip(&ops.state).zip(made) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(made, input.shape()));
            }
        }
    }
}

impl<C: CheckpointStrategy> WkvExtension for Autodiff<Flex, C> {
    fn wkv(
        decay: FloatTensor<Self>,
        bonus: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        state: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [decay.node(), bonus.node(), key.node(), value.node(), state.node()];
        let prepared = WkvBackward.prepare::<C>(nodes).compute_bound().stateful();
        let inputs = [decay, bonus, key, value, state].map(|tensor| tensor.into_primitive());
        let [decay, bonus, key, value, state] = inputs.clone();
        let output = Flex::wkv(decay, bonus, key, value, state);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(inputs, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
