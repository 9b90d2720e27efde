//! The recurrent form of a stack whose mixers all have one.

use ansatz_core::{Context, Recurrent, State};
use burn::tensor::{Device, Tensor};

use crate::Stack;

/// Where a block's state stands inside the stack's.
fn part(index: usize) -> String {
    format!("blocks.{index}")
}

impl Recurrent for Stack {
    fn state(&self, batch: usize, device: &Device) -> State {
        let mut state = State::new();
        for (index, block) in self.blocks.iter().enumerate() {
            state.set_part(&part(index), block.state(batch, device));
        }
        state
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let mut tokens = self.enter(tokens, state.position, context);
        for (index, block) in self.blocks.iter().enumerate() {
            tokens = block.step(tokens, state.part(&part(index)), context);
        }
        state.position += length;
        self.leave(tokens, context)
    }

    fn constant_state(&self) -> bool {
        self.blocks.iter().all(|block| block.constant_state())
    }
}
