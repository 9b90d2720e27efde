//! The recurrences as operations of burn's backends, with their gradients.

use super::causal::Causal;
use super::columns::Lanes;
use super::extension::{tensor, values};
use super::scan::DiagonalScan;
use super::selective::{Given, Selective};
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
pub(super) trait ScanExtension: Backend {
    /// The outputs of [`causal_convolution`](crate::causal_convolution), of a width of 2 or more.
    fn causal_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// The states `[batch, length, channels]` of [`diagonal_scan`](crate::diagonal_scan).
    fn diagonal_scan(
        decay: FloatTensor<Self>,
        input: FloatTensor<Self>,
        initial: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// The values of y, then those of the last state, of a [`SelectiveScan`](crate::SelectiveScan), in one row.
    fn selective_scan(
        x: FloatTensor<Self>,
        step: FloatTensor<Self>,
        rate: FloatTensor<Self>,
        input: FloatTensor<Self>,
        output: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        initial: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

fn causal(x: &FloatTensor<Flex>, weight: &FloatTensor<Flex>) -> Causal {
    let [batch, length, channels] = x.shape().dims();
    Causal { batch, length, channels, width: weight.shape()[1] }
}

fn diagonal(input: &FloatTensor<Flex>) -> DiagonalScan {
    let [batch, length, channels] = input.shape().dims();
    DiagonalScan { batch, length, channels }
}

/// x, step, rate, input, output, skip and the initial state.
type Selection = [FloatTensor<Flex>; 7];

/// Runs `with` on the shapes and values of a selective scan.
fn selective<R>(tensors: &Selection, with: impl FnOnce(Selective, &Given<'_>) -> R) -> R {
    let [batch, length, channels] = tensors[0].shape().dims();
    let state = tensors[2].shape()[1];
    let [x, step, rate, input, output, skip, initial] = tensors.each_ref().map(values);
    let given = Given {
        x: &x,
        step: &step,
        rate: &rate,
        input: &input,
        output: &output,
        skip: &skip,
        initial: &initial,
    };
    with(Selective { batch, length, channels, state }, &given)
}

fn row(values: Vec<f32>) -> FloatTensor<Flex> {
    let count = values.len();
    tensor(values, Shape::new([count]))
}

impl ScanExtension for Flex {
    fn causal_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shapes = causal(&x, &weight);
        tensor(shapes.forward(&values(&x), &values(&weight), &values(&bias), &values(&window)), x.shape())
    }

    fn diagonal_scan(
        decay: FloatTensor<Self>,
        input: FloatTensor<Self>,
        initial: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let states = diagonal(&input).forward(&values(&decay), &values(&input), &values(&initial));
        tensor(states, input.shape())
    }

    fn selective_scan(
        x: FloatTensor<Self>,
        step: FloatTensor<Self>,
        rate: FloatTensor<Self>,
        input: FloatTensor<Self>,
        output: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        initial: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let tensors = [x, step, rate, input, output, skip, initial];
        row(selective(&tensors, |shapes, given| shapes.forward(given, false).0))
    }
}

#[derive(Debug)]
struct CausalBackward;

impl Backward<Flex, 4> for CausalBackward {
    /// x, the weight and the window.
    type State = [FloatTensor<Flex>; 3];

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let [x, weight, window] = ops.state;
        let shapes = causal(&x, &weight);
        let made = shapes.backward(&values(&x), &values(&weight), &values(&window), &values(&gradient));
        let made = [
            (made.x, x.shape()),
            (made.weight, weight.shape()),
            (made.bias, Shape::new([shapes.channels])),
            (made.window, window.shape()),
        ];
        for (parent, (values, shape)) in ops.parents.into_iter().zip(made) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
    }
}

#[derive(Debug)]
struct DiagonalBackward;

impl Backward<Flex, 3> for DiagonalBackward {
    /// Decays, the initial state and all states.
    type State = [FloatTensor<Flex>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let [decay, initial, states] = ops.state;
        let shapes = diagonal(&states);
        let made = shapes.backward(&values(&decay), &values(&initial), &values(&states), &values(&gradient));
        let whole = || states.shape();
        let made = [(made.decay, whole()), (made.input, whole()), (made.initial, initial.shape())];
        for (parent, (values, shape)) in ops.parents.into_iter().zip(made) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
    }
}

#[derive(Debug)]
struct SelectiveBackward;

impl Backward<Flex, 7> for SelectiveBackward {
    /// What was given, and the states that were kept.
    type State = (Selection, Arc<Vec<Vec<Lanes>>>);

    fn backward(self, ops: Ops<Self::State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (tensors, kept) = ops.state;
        let made = selective(&tensors, |shapes, given| shapes.backward(given, &kept, &values(&gradient)));
        let made = [made.x, made.step, made.rate, made.input, made.output, made.skip, made.initial];
        for ((parent, values), given) in ops.parents.into_iter().zip(made).zip(tensors) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(values, given.shape()));
            }
        }
    }
}

impl<C: CheckpointStrategy> ScanExtension for Autodiff<Flex, C> {
    fn causal_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node(), window.node()];
        let prepared = CausalBackward.prepare::<C>(nodes);
        let [x, weight, bias, window] = [x, weight, bias, window].map(|tensor| tensor.into_primitive());
        let y = Flex::causal_convolution(x.clone(), weight.clone(), bias, window.clone());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, weight, window], y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn diagonal_scan(
        decay: FloatTensor<Self>,
        input: FloatTensor<Self>,
        initial: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let prepared = DiagonalBackward.prepare::<C>([decay.node(), input.node(), initial.node()]);
        let [decay, input, initial] = [decay, input, initial].map(|tensor| tensor.into_primitive());
        let states = Flex::diagonal_scan(decay.clone(), input, initial.clone());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([decay, initial, states.clone()], states),
            OpsKind::UnTracked(prepared) => prepared.finish(states),
        }
    }

    fn selective_scan(
        x: FloatTensor<Self>,
        step: FloatTensor<Self>,
        rate: FloatTensor<Self>,
        input: FloatTensor<Self>,
        output: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        initial: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let tensors = [x, step, rate, input, output, skip, initial];
        let prepared = SelectiveBackward.prepare::<C>(tensors.each_ref().map(|tensor| tensor.node()));
        let tensors = tensors.map(|tensor| tensor.into_primitive());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (made, kept) = selective(&tensors, |shapes, given| shapes.forward(given, true));
                prepared.finish((tensors, Arc::new(kept)), row(made))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(row(selective(&tensors, |shapes, given| shapes.forward(given, false).0)))
            }
        }
    }
}
