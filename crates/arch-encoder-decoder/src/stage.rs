//! An encoder or a decoder: positions, blocks, and norms at both ends.

use ansatz_core::{Context, Layer, State};
use ansatz_ops::{Norm, Visible};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use crate::block::{CHANNEL, View};
use crate::{Block, LearnedPositions, MemoryAttention, RelativePositions};

/// One half of an encoder–decoder.
#[derive(Module, Debug)]
pub struct Stage {
    /// Added to the tokens, where positions are learned.
    pub learned: Option<LearnedPositions>,
    /// The bias of the scores that all blocks share, where positions are relative.
    pub relative: Option<RelativePositions>,
    /// Before the first block, where wanted.
    pub first_norm: Option<Norm>,
    /// From the first to the last.
    pub blocks: Vec<Block>,
    /// Behind the last block, where wanted.
    pub norm: Option<Norm>,
    pub(crate) causal: bool,
}

/// What the encoder made of the source.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// `[batch, memory, width]`.
    pub(crate) tokens: Tensor<3>,
    /// `[batch, memory]`, true where a token is real.
    pub(crate) real: Option<Tensor<2, Bool>>,
}

/// In a decoder's state: `[batch, memory]`, 1 where the source is real and 0 where it is padding.
const MEMORY_MASK: &str = "memory-mask";

fn part(index: usize) -> String {
    format!("blocks.{index}")
}

impl Stage {
    /// The state before the first token.
    pub(crate) fn state(&self, batch: usize, device: &Device) -> State {
        let mut state = State::new();
        for (index, block) in self.blocks.iter().enumerate() {
            if let Some(form) = block.channel.recurrent() {
                state.part(&part(index)).set_part(CHANNEL, form.state(batch, device));
            }
        }
        state
    }

    /// `[batch, length, width]` → the same. With a state the tokens come behind those that it has seen, and a memory
    /// is needed once. `between` sees the tokens before every block and behind
    /// the last.
    ///
    /// # Panics
    /// When positions are learned and there are fewer of them than tokens.
    pub(crate) fn pass(
        &self,
        tokens: Tensor<3>,
        memory: Option<Memory>,
        mut state: Option<&mut State>,
        context: &Context,
        mut between: impl FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let first = state.as_ref().map_or(0, |state| state.position);
        let view = self.view([first, length], memory, state.as_deref_mut(), context);
        let mut tokens = self.enter(tokens, first);
        for (index, block) in self.blocks.iter().enumerate() {
            between(&tokens);
            let state = state.as_deref_mut().map(|state| state.part(&part(index)));
            tokens = block.pass(tokens, &view, state, context);
        }
        between(&tokens);
        if let Some(state) = state {
            for index in 0..self.blocks.len() {
                state.part(&part(index)).position += length;
            }
            state.position += length;
        }
        let tokens = match &self.norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        };
        assert_shape!(tokens, [batch, length, width]);
        tokens
    }

    /// The tokens of which the first stands at position `first`, on their way into the first block.
    fn enter(&self, tokens: Tensor<3>, first: usize) -> Tensor<3> {
        let tokens = match &self.learned {
            Some(positions) => positions.forward(tokens, first),
            None => tokens,
        };
        match &self.first_norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }

    /// What `length` tokens from position `first` on see.
    fn view(
        &self,
        [first, length]: [usize; 2],
        memory: Option<Memory>,
        state: Option<&mut State>,
        context: &Context,
    ) -> View {
        let keys = first + length;
        // All tokens of a step are real.
        let real = if state.is_some() { None } else { context.mask.as_ref() };
        let visible = Visible { causal: self.causal, real: real.cloned(), ..Visible::default() };
        let (memory, remembered) = match memory {
            Some(memory) => (Some(memory.tokens), memory.real),
            None => (None, None),
        };
        let remembered = match (remembered, state) {
            (Some(real), Some(state)) => {
                state.set(MEMORY_MASK, real.clone().float());
                Some(real)
            }
            (None, Some(state)) => state.take::<2>(MEMORY_MASK).map(|real| {
                state.set(MEMORY_MASK, real.clone());
                real.equal_elem(1)
            }),
            (real, None) => real,
        };
        View {
            bias: self.relative.as_ref().map(|relative| relative.bias(first, [length, keys])),
            visible,
            memory,
            memory_visible: Visible { real: remembered, ..Visible::default() },
        }
    }

    /// Learned positions; `None` where there is no limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.learned.as_ref().map(LearnedPositions::count)
    }

    /// The rows of the table of layers, for `length` tokens that look at as many of the memory.
    pub(crate) fn layers(&self, length: usize, width: usize) -> Vec<Layer> {
        let row = |name: String, parameters: usize, flops: u64| Layer {
            name,
            output: format!("{length} tokens of {width}"),
            parameters,
            flops,
            activations: length * width,
        };
        let tokens = length as u64;
        let norm = |name: String, norm: &Norm| row(name, norm.num_trainable(), tokens * norm.flops());
        // Each branch ends in an addition.
        let addition = tokens * width as u64;
        let attention = |name: String, attention: &MemoryAttention| {
            row(name, attention.num_params(), attention.flops(length, length) + addition)
        };
        let mut layers = Vec::new();
        if let Some(learned) = &self.learned {
            layers.push(row("positions".to_owned(), learned.num_params(), addition));
        }
        if let Some(relative) = &self.relative {
            let [_, heads] = relative.table.lazy_shape().dims();
            let additions = (heads * length * length * self.blocks.len()) as u64;
            layers.push(row("positions".to_owned(), relative.num_params(), additions));
        }
        layers.extend(self.first_norm.as_ref().map(|first| norm("first_norm".to_owned(), first)));
        for (index, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{index}.{part}");
            layers.push(norm(name("attention_norm"), &block.attention_norm));
            layers.push(attention(name("attention"), &block.attention));
            layers.extend(block.cross_norm.as_ref().map(|cross| norm(name("cross_norm"), cross)));
            layers.extend(block.cross.as_ref().map(|cross| attention(name("cross"), cross)));
            layers.push(norm(name("channel_norm"), &block.channel_norm));
            let flops = tokens * block.channel.flops() + addition;
            layers.push(row(name("channel"), block.channel.num_params(), flops));
        }
        layers.extend(self.norm.as_ref().map(|last| norm("norm".to_owned(), last)));
        layers
    }
}
