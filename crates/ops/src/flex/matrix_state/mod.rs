//! Recurrences whose state is a matrix for each head, over plain slices: linear attention, the delta rule, and
//! transitions that are diagonal plus rank one.
//!
//! ```text
//! addition     S_t = Diag(d_t) S_{t−1} + k_t v_tᵀ
//! correction   S_t = S'_t + k_t (β_t (v_t − S'_tᵀ k_t))ᵀ       S'_t = Diag(d_t) S_{t−1}
//! rank one     S_t = Diag(d_t) S_{t−1} + b_t (S_{t−1}ᵀ a_t)ᵀ + k_t v_tᵀ
//! output       o_t = S_tᵀ q_t, or S_{t−1}ᵀ q_t
//! ```
//!
//! A token costs a few passes over the state, which stays in the nearest cache. For the widths of heads that are in
//! use this is less arithmetic than the products of chunks, by which a processor of thousands of lanes does it, and
//! the tokens are read and written once.

mod backward;
mod forward;
mod passes;

use super::columns::{LANES, Lanes};
use super::squash::exp;

/// How a token changes the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is added.
    Addition,
    /// The state's answer to its key is corrected.
    Correction,
    /// Rank one is taken from the state and put elsewhere, and the token is added.
    RankOne,
}

/// What a state keeps from token to token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// All of it.
    All,
    /// Shares, one for a head or one for each of its key channels.
    Shares,
    /// Shares that are given as logarithms.
    Logarithms,
}

/// What kind of recurrence it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) change: Change,
    pub(crate) keeps: Keeps,
    /// Whether a query reads the state before its own token; with [`Change::Addition`] alone.
    pub(crate) reads_before: bool,
}

/// Tokens `[batch, heads, length, width]` that lie in memory in any order, the values of one token side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a> {
    pub(super) values: &'a [f32],
    pub(super) offset: usize,
    /// From one example, head and token to the next.
    pub(super) strides: [usize; 3],
    pub(super) width: usize,
}

impl<'a> Tokens<'a> {
    #[inline(always)]
    fn at(&self, row: Row, token: usize) -> &'a [f32] {
        let [of_example, of_head, of_token] = self.strides;
        let first = self.offset + row.example * of_example + row.head * of_head + token * of_token;
        &self.values[first..first + self.width]
    }
}

/// What is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    /// q.
    pub(super) query: Tokens<'a>,
    /// k.
    pub(super) key: Tokens<'a>,
    /// v.
    pub(super) value: Tokens<'a>,
    /// d or its logarithm, of width 1 or the key's; not looked at where all is kept.
    pub(super) decay: Tokens<'a>,
    /// β, of width 1, for corrections; a for rank one.
    pub(super) first: Tokens<'a>,
    /// b for rank one.
    pub(super) second: Tokens<'a>,
    /// S before the first token, `[batch, heads, key, value]` in order.
    pub(super) state: &'a [f32],
}

/// The sizes of the tensors.
#[derive(Debug, Clone, Copy)]
pub(super) struct MatrixState {
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) length: usize,
    /// Values of a key.
    pub(super) key: usize,
    /// Values of a value.
    pub(super) value: usize,
    pub(super) rule: Rule,
}

/// A head of an example.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    example: usize,
    head: usize,
}

/// A block of value channels of one head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    row: Row,
    /// The row's place among all rows.
    index: usize,
    /// The first value channel.
    first: usize,
    /// Value channels, up to [`LANES`].
    count: usize,
}

/// Tokens between two states that are kept for the gradient.
const CHUNK: usize = 32;

/// What the gradient needs besides what was given.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// For each row, chunk and block of value channels the state before, `[key]` lanes.
    states: Vec<Vec<Lanes>>,
    /// For each row the answers that were wrong by so much, or what was taken, `[length, value]`.
    inner: Vec<f32>,
}

impl MatrixState {
    fn rows(&self) -> usize {
        self.batch * self.heads
    }

    /// Blocks of value channels.
    fn blocks(&self) -> usize {
        self.value.div_ceil(LANES)
    }

    /// Block `number` of row `index`.
    fn block(&self, index: usize, number: usize) -> Block {
        let row = Row { example: index / self.heads, head: index % self.heads };
        let first = number * LANES;
        Block { row, index, first, count: LANES.min(self.value - first) }
    }
}

/// d of a token for each key channel.
#[inline(always)]
fn shares(keeps: Keeps, given: &[f32], into: &mut [f32]) {
    if let ([head], Keeps::Shares | Keeps::Logarithms) = (given, keeps) {
        into.fill(if keeps == Keeps::Logarithms { exp(*head) } else { *head });
        return;
    }
    match keeps {
        Keeps::All => into.fill(1.0),
        Keeps::Shares => into.iter_mut().zip(given).for_each(|(share, given)| *share = *given),
        Keeps::Logarithms => into.iter_mut().zip(given).for_each(|(share, given)| *share = exp(*given)),
    }
}
