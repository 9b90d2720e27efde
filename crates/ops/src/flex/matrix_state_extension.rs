//! The recurrences with a matrix of state as operations of burn's backends, with their gradients.

#![allow(clippy::too_many_arguments, reason = "an operation of the backend takes every tensor by itself")]

use super::extension::{tensor, values};
use super::matrix_state::{Given, Kept, MatrixState, Rule, Tokens};
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
pub(super) trait MatrixStateExtension: Backend {
    /// The outputs, then the last state, of a recurrence, in one row. All tensors are `[batch, heads, length, width]`
    /// but the state `[batch, heads, key, value]`; those that the rule does not look at may be of any shape.
    fn matrix_state(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        state: FloatTensor<Self>,
        rule: Rule,
    ) -> FloatTensor<Self>;
}

/// Query, key, value, decay, first, second and state.
type All = [FloatTensor<Flex>; 7];

/// A tensor whose tokens are read where they lie, copied where a token's values are apart.
fn readable(tensor: &FloatTensor<Flex>) -> FloatTensor<Flex> {
    let strides = tensor.layout().strides();
    let side_by_side = tensor.shape()[3] == 1 || strides[3] == 1;
    let forward = strides.iter().all(|stride| *stride >= 0);
    if side_by_side && forward { tensor.clone() } else { tensor.to_contiguous() }
}

/// A dimension of 1 serves every example, head or token.
fn tokens(tensor: &FloatTensor<Flex>) -> Tokens<'_> {
    let layout = tensor.layout();
    let stride = |dimension: usize| match tensor.shape()[dimension] {
        1 => 0,
        _ => layout.strides()[dimension].unsigned_abs(),
    };
    Tokens {
        values: tensor.storage(),
        offset: layout.start_offset(),
        strides: [stride(0), stride(1), stride(2)],
        width: tensor.shape()[3],
    }
}

/// Runs `with` on the shapes and values of a recurrence.
fn given<R>(tensors: &All, rule: Rule, with: impl FnOnce(MatrixState, &Given<'_>) -> R) -> R {
    let [batch, heads, length, key] = tensors[0].shape().dims();
    let value = tensors[2].shape()[3];
    let readable = tensors.each_ref().map(readable);
    let [query, keys, value_tokens, decay, first, second, _] = readable.each_ref().map(tokens);
    let state = values(&tensors[6]);
    let given = Given { query, key: keys, value: value_tokens, decay, first, second, state: &state };
    with(MatrixState { batch, heads, length, key, value, rule }, &given)
}

fn row(values: Vec<f32>) -> FloatTensor<Flex> {
    let count = values.len();
    tensor(values, Shape::new([count]))
}

impl MatrixStateExtension for Flex {
    fn matrix_state(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        state: FloatTensor<Self>,
        rule: Rule,
    ) -> FloatTensor<Self> {
        let tensors = [query, key, value, decay, first, second, state];
        row(given(&tensors, rule, |shapes, given| shapes.forward(given, false).0))
    }
}

#[derive(Debug)]
struct MatrixStateBackward;

impl Backward<Flex, 7> for MatrixStateBackward {
    /// What was given, and what was kept.
    type State = (All, Arc<Kept>, Rule);

    fn backward(self, ops: Ops<Self::State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (tensors, kept, rule) = ops.state;
        let made = given(&tensors, rule, |shapes, given| shapes.backward(given, &kept, &values(&gradient)));
        let made = [made.query, made.key, made.value, made.decay, made.first, made.second, made.state];
        for ((parent, values), given) in ops.parents.into_iter().zip(made).zip(tensors) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(values, given.shape()));
            }
        }
    }
}

impl<C: CheckpointStrategy> MatrixStateExtension for Autodiff<Flex, C> {
    fn matrix_state(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        state: FloatTensor<Self>,
        rule: Rule,
    ) -> FloatTensor<Self> {
        let tensors = [query, key, value, decay, first, second, state];
        let prepared = MatrixStateBackward.prepare::<C>(tensors.each_ref().map(|tensor| tensor.node()));
        let tensors = tensors.map(|tensor| tensor.into_primitive());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (made, kept) = given(&tensors, rule, |shapes, given| shapes.forward(given, true));
                prepared.finish((tensors, Arc::new(kept), rule), row(made))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(row(given(&tensors, rule, |shapes, given| shapes.forward(given, false).0)))
            }
        }
    }
}
