//! Softmax attention as one operation.

mod kernel;
mod rows;

use super::extension::{tensor, values};
use super::takes;
use crate::Visible;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};
use kernel::{Attention, Sight, Sums};
use std::sync::Arc;

/// `softmax(scale · Q Kᵀ) V`, where the kernel takes these tensors.
pub(crate) fn attention(
    query: &Tensor<4>,
    key: &Tensor<4>,
    value: &Tensor<4>,
    scale: f64,
    visible: &Visible,
) -> Option<Tensor<4>> {
    if ![query, key, value].into_iter().all(takes) {
        return None;
    }
    let [ahead, back] = visible.reach();
    let real = match &visible.real {
        Some(real) => Some(Arc::new(real.to_data().try_into_vec_as::<bool>().ok()?)),
        None => None,
    };
    let sight = Sight { ahead, back, groups: visible.groups.max(1), real };
    let ([_, _, queries, _], [_, _, keys, _]) = (query.dims(), key.dims());
    let stands = ahead.is_some() || back.is_some();
    assert!(
        !stands || queries / sight.groups <= keys,
        "{queries} queries that stand somewhere, but {keys} keys"
    );
    let [query, key, value] = [query, key, value].map(|tensor| tensor.clone().into_dispatch());
    Some(Tensor::from_dispatch(<Dispatch as Extension>::attention(query, key, value, scale as f32, sight)))
}

/// The operation, which only `flex` has, on float32 tensors that are not empty.
#[backend_extension(Flex, Autodiff)]
trait Extension: Backend {
    /// `query` `[batch, heads, queries, width]`, `key` `[batch, heads, keys, width]`, `value`
    /// `[batch, heads, keys, value width]`.
    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        scale: f32,
        sight: Sight,
    ) -> FloatTensor<Self>;
}

impl Extension for Flex {
    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        scale: f32,
        sight: Sight,
    ) -> FloatTensor<Self> {
        attend(&query, &key, &value, scale, sight).0
    }
}

fn attend(
    query: &FloatTensor<Flex>,
    key: &FloatTensor<Flex>,
    value: &FloatTensor<Flex>,
    scale: f32,
    sight: Sight,
) -> (FloatTensor<Flex>, Attention, Sums) {
    let [batch, heads, queries, width] = query.shape().dims();
    let [_, _, keys, value_width] = value.shape().dims();
    let shapes = Attention { batch, heads, queries, keys, width, value_width, scale, sight };
    let (output, sums) = shapes.forward(&values(query), &values(key), &values(value));
    (tensor(output, Shape::new([batch, heads, queries, value_width])), shapes, sums)
}

#[derive(Debug)]
struct AttentionBackward;

impl Backward<Flex, 3> for AttentionBackward {
    type State = ([FloatTensor<Flex>; 3], Attention, Arc<Sums>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (inputs, shapes, sums) = ops.state;
        let [query, key, value] = inputs.each_ref().map(values);
        let made = shapes.backward([&query, &key, &value], &sums, &values(&gradient));
        for ((parent, made), input) in ops.parents.into_iter().zip(made).zip(&inputs) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(made, input.shape()));
            }
        }
    }
}

impl<C: CheckpointStrategy> Extension for Autodiff<Flex, C> {
    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        scale: f32,
        sight: Sight,
    ) -> FloatTensor<Self> {
        let prepared = AttentionBackward.prepare::<C>([query.node(), key.node(), value.node()]);
        let inputs = [query, key, value].map(|tensor| tensor.into_primitive());
        let [query, key, value] = &inputs;
        let (output, shapes, sums) = attend(query, key, value, scale, sight);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((inputs, shapes, Arc::new(sums)), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
