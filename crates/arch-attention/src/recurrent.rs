//! The recurrent form: keys and values of the tokens seen are kept, and grow with every token.

use ansatz_core::{Context, Recurrent, State};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::Attention;

/// Names of the state's tensors, `[batch, key_value_heads, positions, head_width]` each. Before the first
/// token there are none, since not every device can hold an empty tensor.
const KEYS: &str = "keys";
const VALUES: &str = "values";

/// Puts `new` behind what the state holds under `name`, along the positions.
fn append(state: &mut State, name: &str, new: Tensor<4>) -> Tensor<4> {
    let all = match state.take::<4>(name) {
        Some(old) => Tensor::cat(vec![old, new], 2),
        None => new,
    };
    state.set(name, all.clone());
    all
}

impl Recurrent for Attention {
    fn state(&self, _batch: usize, _device: &Device) -> State {
        State::new()
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let keys = append(state, KEYS, self.heads.split_keys(self.key.forward(tokens.clone())));
        let values = append(state, VALUES, self.heads.split_keys(self.value.forward(tokens.clone())));
        state.position += length;
        assert_shape!(keys, [batch, self.heads.key_value, state.position, self.heads.width]);
        self.look_back(tokens, keys, values)
    }

    fn constant_state(&self) -> bool {
        false
    }
}
