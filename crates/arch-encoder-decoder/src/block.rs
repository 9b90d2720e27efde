//! One block: attention among the tokens, to the memory, and a channel mixer.

use ansatz_core::{BoxedChannel, Context, State};
use ansatz_ops::{Norm, Visible, dropout};
use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::Tensor;

use crate::MemoryAttention;
use crate::attention::Keys;

/// One block: the tokens look at each other, then at the memory, then each is changed for itself.
///
/// ```text
/// norm first: x ← x + f(norm(x))        Xiong et al. 2020, arXiv:2002.04745
/// norm last:  x ← norm(x + f(x))        Vaswani et al. 2017, arXiv:1706.03762, section 3.1
/// ```
#[derive(Module, Debug)]
pub struct Block {
    /// The norm of the attention among the tokens.
    pub attention_norm: Norm,
    /// Tokens look at each other.
    pub attention: MemoryAttention,
    /// The norm of the cross-attention; a decoder's block has one.
    pub cross_norm: Option<Norm>,
    /// Tokens look at the memory; a decoder's block does.
    pub cross: Option<MemoryAttention>,
    /// The norm of the channel mixer.
    pub channel_norm: Norm,
    /// Works on the values of each token.
    pub channel: BoxedChannel,
    pub(crate) dropout: Dropout,
    pub(crate) norm_first: bool,
}

/// What the tokens of a pass see, alike for all blocks.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// What is added to the scores among the tokens.
    pub(crate) bias: Option<Tensor<4>>,
    /// Which tokens are seen.
    pub(crate) visible: Visible,
    /// What the encoder made of the source, `[batch, memory, width]`; a state holds its keys already behind the
    /// first step.
    pub(crate) memory: Option<Tensor<3>>,
    /// Which of the memory's tokens are seen.
    pub(crate) memory_visible: Visible,
}

/// Names of the parts of a block's state: keys and values of the tokens seen and of the memory, and the channel
/// mixer's own state.
const TOKENS: &str = "tokens";
const MEMORY: &str = "memory";
pub(crate) const CHANNEL: &str = "channel";
/// Names inside the first two, `[batch, heads, tokens, head_width]` each. Before the first token there are none,
/// since not every device can hold an empty tensor.
const KEYS: &str = "keys";
const VALUES: &str = "values";

/// Reads the keys that `state` holds.
fn held(state: &mut State) -> Option<Keys> {
    let keys = state.take::<4>(KEYS)?;
    let values = state.take::<4>(VALUES)?;
    let held = Keys { keys, values };
    hold(state, &held);
    Some(held)
}

fn hold(state: &mut State, keys: &Keys) {
    state.set(KEYS, keys.keys.clone());
    state.set(VALUES, keys.values.clone());
}

impl Block {
    /// `[batch, length, width]` → the same. With a state the tokens come behind those that it has seen.
    pub(crate) fn pass(
        &self,
        tokens: Tensor<3>,
        view: &View,
        mut state: Option<&mut State>,
        context: &Context,
    ) -> Tensor<3> {
        let tokens = self.join(tokens, &self.attention_norm, |tokens| {
            let new = self.attention.keys(tokens.clone());
            let seen = match state.as_deref_mut() {
                Some(state) => behind(state.part(TOKENS), new),
                None => new,
            };
            self.attention.look(tokens, seen, view.bias.clone(), &view.visible)
        });
        let tokens = match (&self.cross, &self.cross_norm) {
            (Some(cross), Some(norm)) => match remembered(cross, view, state.as_deref_mut()) {
                Some(memory) => {
                    self.join(tokens, norm, |tokens| cross.look(tokens, memory, None, &view.memory_visible))
                }
                None => tokens,
            },
            _ => tokens,
        };
        self.join(tokens, &self.channel_norm, |tokens| match (state, self.channel.recurrent()) {
            (Some(state), Some(form)) => form.step(tokens, state.part(CHANNEL), context),
            _ => self.channel.forward(tokens, context),
        })
    }

    /// The tokens with a branch.
    fn join(&self, tokens: Tensor<3>, norm: &Norm, branch: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        if self.norm_first {
            tokens.clone() + dropout(&self.dropout, branch(norm.forward(tokens)))
        } else {
            norm.forward(tokens.clone() + dropout(&self.dropout, branch(tokens)))
        }
    }
}

/// The keys that `state` holds with `new` behind them, which it holds from now on.
fn behind(state: &mut State, new: Keys) -> Keys {
    let all = match held(state) {
        Some(old) => Keys {
            keys: Tensor::cat(vec![old.keys, new.keys], 2),
            values: Tensor::cat(vec![old.values, new.values], 2),
        },
        None => new,
    };
    hold(state, &all);
    all
}

/// The keys of the memory: made once, and found in the state from then on.
fn remembered(cross: &MemoryAttention, view: &View, state: Option<&mut State>) -> Option<Keys> {
    let Some(memory) = &view.memory else {
        return state.and_then(|state| held(state.part(MEMORY)));
    };
    let keys = cross.keys(memory.clone());
    if let Some(state) = state {
        hold(state.part(MEMORY), &keys);
    }
    Some(keys)
}
