//! The recurrent form: keys and values of the tokens seen are kept. They grow with every token, unless a window
//! bounds what a token can see.

use ansatz_core::{Context, Recurrent, State};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::Attention;

/// Names of the state's tensors, `[batch, key_value_heads, positions, head_width]` each, keys turned by their
/// position.
///
/// Without a window there are none before the first token, since not every device can hold an empty tensor. With
/// one they hold as many positions as a next token can look back, the last of them the last token; what stands
/// before the first token is zero and never read.
const KEYS: &str = "keys";
const VALUES: &str = "values";

impl Attention {
    /// Puts `new` behind what the state holds under `name`, along the positions, and gives back what the new tokens
    /// may see of it.
    fn remember(&self, state: &mut State, name: &str, new: Tensor<4>) -> Tensor<4> {
        let Some(past) = self.sight.past() else {
            let all = match state.take::<4>(name) {
                Some(old) => Tensor::cat(vec![old, new], 2),
                None => new,
            };
            state.set(name, all.clone());
            return all;
        };
        // With a window of one token there is nothing to keep.
        let Some(old) = state.take::<4>(name) else { return new };
        let count = new.dims()[2];
        let all = Tensor::cat(vec![old, new], 2);
        state.set(name, all.clone().narrow(2, count, past));
        let seen = state.position.min(past);
        all.narrow(2, past - seen, seen + count)
    }
}

impl Recurrent for Attention {
    fn state(&self, batch: usize, device: &Device) -> State {
        match self.sight.past() {
            None | Some(0) => State::new(),
            Some(past) => {
                let shape = [batch, self.heads.key_value, past, self.heads.width];
                let zeros = || Tensor::<4>::zeros(shape, (device, self.key.dtype()));
                State::new().with(KEYS, zeros()).with(VALUES, zeros())
            }
        }
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let (query, gate) = self.queries(tokens.clone(), state.position);
        let keys = self.keys(tokens.clone(), state.position);
        let keys = self.remember(state, KEYS, keys);
        let values = self.values(tokens);
        let values = self.remember(state, VALUES, values);
        state.position += length;
        let visible = self.sight.keys(None, self.heads.group());
        let attended = self.scores.attend(query, keys, values, &visible, &self.dropout);
        let output = self.finish(attended, gate);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn constant_state(&self) -> bool {
        self.sight.window.is_some()
    }
}
