//! The recurrent form of a stack whose mixers all have one.

use ansatz_core::{BoxedMixer, Recurrent, State};
use burn::tensor::{Device, Tensor};

use crate::Stack;

/// Where a block's state stands inside the stack's.
fn part(index: usize) -> String {
    format!("blocks.{index}")
}

/// The recurrent form of one mixer.
fn recurrent(mixer: &BoxedMixer) -> &dyn Recurrent {
    mixer.recurrent().expect("`Backbone::recurrent` gives a stack only if every mixer has a recurrent form")
}

impl Recurrent for Stack {
    fn state(&self, batch: usize, device: &Device) -> State {
        let mut state = State::new();
        for (index, block) in self.blocks.iter().enumerate() {
            state.set_part(&part(index), recurrent(&block.mixer).state(batch, device));
        }
        state
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let mut tokens = self.positions.forward(tokens, state.position);
        for (index, block) in self.blocks.iter().enumerate() {
            let state = state.part(&part(index));
            tokens = block.forward(tokens, |mixer, tokens| recurrent(mixer).step(tokens, state));
        }
        state.position += length;
        self.norm.forward(tokens)
    }

    fn constant_state(&self) -> bool {
        self.blocks.iter().all(|block| recurrent(&block.mixer).constant_state())
    }
}
