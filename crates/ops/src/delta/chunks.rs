//! Sequences in chunks, and the recurrence from chunk to chunk.

use burn::tensor::{Device, Tensor};

/// Tokens of a chunk, a power of two. Longer chunks put more of the work into matrix products inside a chunk, which
/// grow with its length; shorter ones into the recurrence between chunks.
const LONGEST: usize = 64;

/// How sequences `[batch, heads, length, width]` are cut into chunks of equal length, the last one filled up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks {
    batch: usize,
    heads: usize,
    length: usize,
    /// Tokens of each chunk, a power of two.
    size: usize,
}

impl Chunks {
    pub(super) fn new([batch, heads, length]: [usize; 3]) -> Self {
        Self { batch, heads, length, size: length.next_power_of_two().min(LONGEST) }
    }

    /// Chunks of one head of one example.
    fn count(self) -> usize {
        self.length.div_ceil(self.size)
    }

    /// `[batch, heads, length, width]` → `[batch × heads × chunks, size, width]`; behind the last token stands `fill`.
    pub(super) fn split(self, sequence: Tensor<4>, fill: f32) -> Tensor<3> {
        let [batch, heads, length, width] = sequence.dims();
        let missing = self.count() * self.size - length;
        let whole = if missing == 0 {
            sequence
        } else {
            let filling =
                Tensor::full([batch, heads, missing, width], fill, (&sequence.device(), sequence.dtype()));
            Tensor::cat(vec![sequence, filling], 2)
        };
        whole.reshape([batch * heads * self.count(), self.size, width])
    }

    /// Undoes [`Chunks::split`].
    fn join(self, chunks: Tensor<3>) -> Tensor<4> {
        let [_, _, width] = chunks.dims();
        let whole = chunks.reshape([self.batch, self.heads, self.count() * self.size, width]);
        if self.count() * self.size == self.length { whole } else { whole.narrow(2, 0, self.length) }
    }
}

/// What each chunk makes of the state S `[key, value]` before it, one matrix per chunk:
///
/// ```text
/// outputs = read S + outputs without a state
/// S      ← transition S + addition
/// ```
#[derive(Debug)]
pub(super) struct Affine {
    /// `[chunks, size, key]`.
    pub(super) read: Tensor<3>,
    /// `[chunks, size, value]`.
    pub(super) outputs: Tensor<3>,
    /// `[chunks, key, key]`.
    pub(super) transition: Tensor<3>,
    /// `[chunks, key, value]`.
    pub(super) addition: Tensor<3>,
}

impl Affine {
    /// Runs from chunk to chunk: all outputs `[batch, heads, length, value]`, and the state behind the last token.
    pub(super) fn run(self, chunks: Chunks, state: Option<Tensor<4>>) -> (Tensor<4>, Tensor<4>) {
        let [_, key, value] = self.addition.dims();
        let Chunks { batch, heads, .. } = chunks;
        let (rows, count) = (batch * heads, chunks.count());
        let outer = [batch, heads, key, value];
        let Some(state) = state.or_else(|| (count > 1).then(|| zeros(outer, &self.addition))) else {
            return (chunks.join(self.outputs), self.addition.reshape(outer));
        };
        let mut state = state.reshape([rows, key, value]);
        let transitions = pieces(self.transition.reshape([rows, count, key, key]));
        let additions = pieces(self.addition.reshape([rows, count, key, value]));
        let mut before = Vec::with_capacity(count);
        for (transition, addition) in transitions.into_iter().zip(additions) {
            before.push(state.clone());
            state = transition.matmul(state) + addition;
        }
        let before = Tensor::stack::<4>(before, 1).reshape([rows * count, key, value]);
        let outputs = self.outputs + self.read.matmul(before);
        (chunks.join(outputs), state.reshape(outer))
    }
}

/// A state before the first token, of the type and on the device of `like`.
pub(super) fn zeros(shape: [usize; 4], like: &Tensor<3>) -> Tensor<4> {
    let device: Device = like.device();
    Tensor::zeros(shape, (&device, like.dtype()))
}

/// `[rows, count, a, b]` as `count` tensors `[rows, a, b]`.
///
/// Cut in halves again and again: the gradient of a cut is a tensor as large as what was cut, so that cutting one
/// piece after the other from the whole would cost the square of the length.
fn pieces(whole: Tensor<4>) -> Vec<Tensor<3>> {
    let [rows, count, a, b] = whole.dims();
    if count == 1 {
        return vec![whole.reshape([rows, a, b])];
    }
    let half = count / 2;
    let mut all = pieces(whole.clone().narrow(1, 0, half));
    all.extend(pieces(whole.narrow(1, half, count - half)));
    all
}
