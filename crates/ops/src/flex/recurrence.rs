//! Recurrent cells along the time, forward and back, over plain slices.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::extension::{tensor, values};
use super::squash::{sigmoid, tanh};
use super::vectorized::vectorized;
use crate::Cell;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use std::sync::Arc;

/// A cell with its sizes, and which times of which examples are real, `[length, batch]`.
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    pub(super) cell: Cell,
    pub(super) length: usize,
    pub(super) batch: usize,
    pub(super) hidden: usize,
    pub(super) real: Option<Arc<Vec<bool>>>,
}

/// What going back through time needs.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    initial: FloatTensor<Flex>,
    weight: FloatTensor<Flex>,
    outputs: FloatTensor<Flex>,
    /// The gates' values, `[length, batch, gates × hidden]`.
    gates: Arc<Vec<f32>>,
    /// What else each time left, `[length, batch, hidden]`: the LSTM's cell, the GRU's hidden projection of the
    /// candidate; nothing for the others.
    extra: Arc<Vec<f32>>,
}

/// The gradients.
pub(super) struct Gradients {
    pub(super) inputs: FloatTensor<Flex>,
    pub(super) weight: FloatTensor<Flex>,
    pub(super) bias: FloatTensor<Flex>,
    pub(super) initial: FloatTensor<Flex>,
}

impl Recurrence {
    /// Values of all gates of one example at one time.
    fn gates(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    fn is_real(&self, time: usize, example: usize) -> bool {
        self.real.as_ref().is_none_or(|real| real[time * self.batch + example])
    }

    /// Values that a time leaves besides the gates and the hidden state.
    fn extra(&self) -> usize {
        if matches!(self.cell, Cell::Lstm | Cell::Gru) { self.hidden } else { 0 }
    }

    /// The hidden states of all times and the last cell; with `keep`, what going back needs.
    pub(super) fn forward(
        &self,
        inputs: &FloatTensor<Flex>,
        weight: &FloatTensor<Flex>,
        bias: &FloatTensor<Flex>,
        initial: FloatTensor<Flex>,
        keep: bool,
    ) -> (FloatTensor<Flex>, Option<Kept>) {
        let (batch, hidden, gates) = (self.batch, self.hidden, self.gates());
        let (x, bias) = (values(inputs), values(bias));
        let before = values(&initial);
        let (first, cell) = before.split_at(batch * hidden);
        let mut cell = cell.to_vec();
        let kept = if keep { self.length } else { 1 };
        let mut activated = vec![0.0; kept * batch * gates];
        let mut extra = vec![0.0; kept * batch * self.extra()];
        let rows = self.length + self.cell.states() - 1;
        let mut outputs = Vec::with_capacity(rows * batch * hidden);
        outputs.extend_from_slice(first);
        for time in 0..self.length {
            let place = if keep { time } else { 0 };
            let old = outputs[outputs.len() - batch * hidden..].to_vec();
            let projected = Flex::float_matmul(tensor(old, Shape::new([batch, hidden])), weight.clone());
            let projected = values(&projected);
            let start = outputs.len();
            outputs.extend_from_within(start - batch * hidden..);
            let (old, new) = outputs.split_at_mut(start);
            let old = &old[start - batch * hidden..];
            for example in 0..batch {
                let of = |width: usize| example * width..(example + 1) * width;
                let at = place * batch + example;
                let extra = &mut extra[at * self.extra()..(at + 1) * self.extra()];
                if !self.is_real(time, example) {
                    if self.cell == Cell::Lstm {
                        extra.copy_from_slice(&cell[of(hidden)]);
                    }
                    continue;
                }
                let x = &x[(time * batch + example) * gates..][..gates];
                let activated = &mut activated[at * gates..][..gates];
                let (r, new) = (&projected[of(gates)], &mut new[of(hidden)]);
                match self.cell {
                    Cell::Tanh => add_tanh(x, r, &bias, new),
                    Cell::Relu => add_relu(x, r, &bias, new),
                    Cell::Lstm => {
                        let cell = &mut cell[of(hidden)];
                        lstm(x, r, &bias, activated, cell, new);
                        extra.copy_from_slice(cell);
                    }
                    Cell::Gru => gru(x, r, &bias, activated, extra, &old[of(hidden)], new),
                }
            }
        }
        outputs.drain(..batch * hidden);
        outputs.extend_from_slice(&cell);
        let outputs = tensor(outputs, Shape::new([rows, batch, hidden]));
        drop(before);
        let kept = keep.then(|| Kept {
            initial,
            weight: weight.clone(),
            outputs: outputs.clone(),
            gates: Arc::new(activated),
            extra: Arc::new(extra),
        });
        (outputs, kept)
    }

    /// Back through time (Werbos 1990): the gradients, given that of the result.
    pub(super) fn backward(&self, kept: &Kept, gradient: &FloatTensor<Flex>) -> Gradients {
        let (batch, hidden, gates) = (self.batch, self.hidden, self.gates());
        let (upstream, outputs, initial) = (values(gradient), values(&kept.outputs), values(&kept.initial));
        let area = batch * hidden;
        // One behind the other: the states that each time began with.
        let mut before = Vec::with_capacity(self.length * area);
        before.extend_from_slice(&initial[..area]);
        before.extend_from_slice(&outputs[..(self.length - 1) * area]);
        let turned = kept.weight.transpose(0, 1).to_contiguous();
        let mut of_inputs = vec![0.0; self.length * batch * gates];
        // The gradient of the hidden projection; only the GRU's is another than that of the inputs.
        let mut of_projection = vec![0.0; if self.cell == Cell::Gru { of_inputs.len() } else { 0 }];
        let mut of_state = vec![0.0; area];
        let mut of_cell = upstream[self.length * area..].to_vec();
        for time in (0..self.length).rev() {
            add(&mut of_state, &upstream[time * area..][..area]);
            // What reaches the state before without the hidden projection.
            let mut direct = vec![0.0; area];
            for example in 0..batch {
                let at = time * batch + example;
                let own = example * hidden..(example + 1) * hidden;
                let all = at * hidden..(at + 1) * hidden;
                let (of_state, direct) = (&of_state[own.clone()], &mut direct[own.clone()]);
                if !self.is_real(time, example) {
                    direct.copy_from_slice(of_state);
                    continue;
                }
                let (old, new) = (&before[all.clone()], &outputs[all.clone()]);
                let activated = &kept.gates[at * gates..][..gates];
                let target = &mut of_inputs[at * gates..][..gates];
                match self.cell {
                    Cell::Tanh => tanh_back(of_state, new, target),
                    Cell::Relu => relu_back(of_state, new, target),
                    Cell::Lstm => {
                        let old_cell = match time {
                            0 => &initial[area..][own.clone()],
                            _ => &kept.extra[all.start - area..all.end - area],
                        };
                        let cells = [old_cell, &kept.extra[all]];
                        lstm_back(of_state, activated, cells, &mut of_cell[own], target);
                    }
                    Cell::Gru => {
                        let projected = &mut of_projection[at * gates..][..gates];
                        let candidate = &kept.extra[all];
                        gru_back(of_state, activated, candidate, old, target, projected, direct);
                    }
                }
            }
            let made = if self.cell == Cell::Gru { &of_projection } else { &of_inputs };
            let made = made[time * batch * gates..][..batch * gates].to_vec();
            let through = Flex::float_matmul(tensor(made, Shape::new([batch, gates])), turned.clone());
            of_state = direct;
            add(&mut of_state, &values(&through));
        }
        let rows = self.length * batch;
        let of_inputs = tensor(of_inputs, Shape::new([self.length, batch, gates]));
        let of_projection = match self.cell {
            Cell::Gru => tensor(of_projection, Shape::new([rows, gates])),
            _ => of_inputs.reshape(Shape::new([rows, gates])),
        };
        let mut of_bias = vec![0.0; gates];
        for row in values(&of_projection).chunks_exact(gates) {
            add(&mut of_bias, row);
        }
        of_state.extend_from_slice(&of_cell);
        let before = tensor(before, Shape::new([rows, hidden])).transpose(0, 1);
        Gradients {
            inputs: of_inputs,
            weight: Flex::float_matmul(before, of_projection),
            bias: tensor(of_bias, Shape::new([gates])),
            initial: tensor(of_state, kept.initial.shape()),
        }
    }
}

/// The equal parts of a row of gates.
#[inline(always)]
fn parts<const N: usize>(row: &[f32]) -> [&[f32]; N] {
    let size = row.len() / N;
    std::array::from_fn(|index| &row[index * size..(index + 1) * size])
}

/// The same, to be written.
#[inline(always)]
fn parts_mut<const N: usize>(mut row: &mut [f32]) -> [&mut [f32]; N] {
    let size = row.len() / N;
    std::array::from_fn(|_| {
        let (part, rest) = std::mem::take(&mut row).split_at_mut(size);
        row = rest;
        part
    })
}

vectorized! {
    /// `sum += values`.
    fn add(sum: &mut [f32], values: &[f32]) {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// `h = tanh(x + r + b)`.
    fn add_tanh(x: &[f32], r: &[f32], bias: &[f32], new: &mut [f32]) {
        for (((new, x), r), bias) in new.iter_mut().zip(x).zip(r).zip(bias) {
            *new = tanh(x + (r + bias));
        }
    }

    /// `h = max(x + r + b, 0)`.
    fn add_relu(x: &[f32], r: &[f32], bias: &[f32], new: &mut [f32]) {
        for (((new, x), r), bias) in new.iter_mut().zip(x).zip(r).zip(bias) {
            let sum = x + (r + bias);
            // What is no number shows.
            *new = if sum <= 0.0 { 0.0 } else { sum };
        }
    }

    /// Gates, cell and hidden state of an LSTM.
    fn lstm(x: &[f32], r: &[f32], bias: &[f32], gates: &mut [f32], cell: &mut [f32], new: &mut [f32]) {
        let size = new.len();
        for (((gate, x), r), bias) in gates.iter_mut().zip(x).zip(r).zip(bias) {
            *gate = x + (r + bias);
        }
        gates[..2 * size].iter_mut().for_each(|gate| *gate = sigmoid(*gate));
        gates[2 * size..3 * size].iter_mut().for_each(|gate| *gate = tanh(*gate));
        gates[3 * size..].iter_mut().for_each(|gate| *gate = sigmoid(*gate));
        let [input, forget, candidate, output] = parts(gates);
        let gates = input.iter().zip(forget).zip(candidate).zip(output);
        for ((((input, forget), candidate), output), (cell, new)) in gates.zip(cell.iter_mut().zip(new)) {
            *cell = forget * *cell + input * candidate;
            *new = output * tanh(*cell);
        }
    }

    /// Gates, the candidate's hidden projection and hidden state of a GRU.
    fn gru(
        x: &[f32], r: &[f32], bias: &[f32], gates: &mut [f32], projected: &mut [f32], old: &[f32], new: &mut [f32],
    ) {
        let size = new.len();
        let sums = x[..2 * size].iter().zip(&r[..2 * size]).zip(&bias[..2 * size]);
        for (gate, ((x, r), bias)) in gates[..2 * size].iter_mut().zip(sums) {
            *gate = sigmoid(x + (r + bias));
        }
        for ((projected, r), bias) in projected.iter_mut().zip(&r[2 * size..]).zip(&bias[2 * size..]) {
            *projected = r + bias;
        }
        let [reset, update, candidate] = parts_mut(gates);
        let places = x[2 * size..].iter().zip(reset).zip(projected).zip(candidate);
        for ((((x, reset), projected), candidate), ((update, old), new)) in
            places.zip(update.iter().zip(old).zip(new))
        {
            *candidate = tanh(x + *reset * *projected);
            *new = (1.0 - *update) * *candidate + *update * old;
        }
    }

    /// `∂x = ∂h (1 − h²)`.
    fn tanh_back(upstream: &[f32], new: &[f32], target: &mut [f32]) {
        for ((target, upstream), new) in target.iter_mut().zip(upstream).zip(new) {
            *target = upstream * (1.0 - new * new);
        }
    }

    /// `∂x = ∂h` where h is positive.
    fn relu_back(upstream: &[f32], new: &[f32], target: &mut [f32]) {
        for ((target, upstream), new) in target.iter_mut().zip(upstream).zip(new) {
            *target = if *new <= 0.0 { 0.0 } else { *upstream };
        }
    }

    /// The gradients of an LSTM's gates before they were squashed, and of the cell before, in its own place.
    fn lstm_back(upstream: &[f32], gates: &[f32], cells: [&[f32]; 2], of_cell: &mut [f32], target: &mut [f32]) {
        let [old, new] = cells;
        let [input, forget, candidate, output] = parts(gates);
        let [of_input, of_forget, of_candidate, of_output] = parts_mut(target);
        let gates = input.iter().zip(forget).zip(candidate).zip(output);
        let targets = of_input.iter_mut().zip(of_forget).zip(of_candidate).zip(of_output);
        let states = upstream.iter().zip(old).zip(new).zip(of_cell);
        for (((((i, f), g), o), (((of_i, of_f), of_g), of_o)), (((upstream, old), new), of_cell)) in
            gates.zip(targets).zip(states)
        {
            let squashed = tanh(*new);
            let carried = *of_cell + upstream * o * (1.0 - squashed * squashed);
            *of_i = carried * g * (i * (1.0 - i));
            *of_f = carried * old * (f * (1.0 - f));
            *of_g = carried * i * (1.0 - g * g);
            *of_o = upstream * squashed * (o * (1.0 - o));
            *of_cell = carried * f;
        }
    }

    /// The gradients of a GRU's gates before they were squashed, as the inputs and as the hidden projection see
    /// them, and what goes to the state before directly.
    fn gru_back(
        upstream: &[f32], gates: &[f32], candidate: &[f32], old: &[f32], target: &mut [f32], projected: &mut [f32],
        direct: &mut [f32],
    ) {
        let size = old.len();
        let [reset, update, new] = parts(gates);
        let [of_reset, of_update, of_new] = parts_mut(target);
        let [r, z, n] = parts_mut(projected);
        let gates = reset.iter().zip(update).zip(new).zip(candidate);
        let targets = of_reset.iter_mut().zip(of_update.iter_mut()).zip(of_new).zip(n);
        let states = upstream.iter().zip(old).zip(direct);
        for (((((reset, update), new), candidate), (((of_reset, of_update), of_new), n)), ((upstream, old), direct)) in
            gates.zip(targets).zip(states)
        {
            let inner = upstream * (1.0 - update) * (1.0 - new * new);
            *of_new = inner;
            *n = inner * reset;
            *of_reset = inner * candidate * (reset * (1.0 - reset));
            *of_update = upstream * (old - new) * (update * (1.0 - update));
            *direct = upstream * update;
        }
        r[..size].copy_from_slice(of_reset);
        z[..size].copy_from_slice(of_update);
    }
}
