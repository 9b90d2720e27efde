//! The recurrent form: latent vectors and shared keys of the tokens seen are kept, and grow with every token.

use ansatz_core::{Context, Recurrent, State};
use burn::tensor::{Device, Tensor, assert_shape};

use super::LatentAttention;
use super::module::Widths;

/// Names of the state's tensors, `[batch, positions, latent]` and `[batch, positions, shared]`. Before the first
/// token there are none, since not every device can hold an empty tensor.
const LATENT: &str = "latent";
const SHARED_KEY: &str = "shared_key";

/// Puts `new` behind what the state holds under `name`, along the positions.
fn append(state: &mut State, name: &str, new: Tensor<3>) -> Tensor<3> {
    let all = match state.take::<3>(name) {
        Some(old) => Tensor::cat(vec![old, new], 1),
        None => new,
    };
    state.set(name, all.clone());
    all
}

impl LatentAttention {
    /// Attends without making the keys and values of all tokens before: since q·(c W_k) = (q W_kᵀ)·c and
    /// Σ a (c W_v) = (Σ a c) W_v, all heads look at the latent vectors themselves (DeepSeek-AI 2024, section 2.1.2).
    fn absorbed(&self, query: Tensor<4>, (latent, shared_key): (Tensor<3>, Tensor<3>)) -> Tensor<3> {
        let Widths { heads, key, shared, value } = self.widths;
        let [batch, _, queries, _] = query.dims();
        let [_, _, rank] = latent.dims();
        // W_k as [heads, key, latent], W_v as [heads, latent, value].
        let inward = self.key.dense_weight().reshape([rank, heads, key]).permute([1, 2, 0]).unsqueeze::<4>();
        let outward =
            self.value.dense_weight().reshape([rank, heads, value]).swap_dims(0, 1).unsqueeze::<4>();
        let own = query.clone().narrow(3, 0, key).matmul(inward);
        let query = Tensor::cat(vec![own, query.narrow(3, key, shared)], 3);
        let query = query.reshape([batch, 1, heads * queries, rank + shared]);
        let visible = self.sight().keys(None, heads);
        let latent = latent.unsqueeze_dim::<4>(1);
        let seen = Tensor::cat(vec![latent.clone(), shared_key.unsqueeze_dim::<4>(1)], 3);
        let attended = self.scores().attend(query, seen, latent, &visible, &self.dropout);
        self.join(attended.reshape([batch, heads, queries, rank]).matmul(outward))
    }
}

impl Recurrent for LatentAttention {
    fn state(&self, _batch: usize, _device: &Device) -> State {
        State::new()
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let query = self.queries(tokens.clone());
        let (latent, shared_key) = self.keep(tokens);
        let latent = append(state, LATENT, latent);
        let kept = (latent, append(state, SHARED_KEY, shared_key));
        state.position += length;
        assert_shape!(kept.0, [batch, state.position, _]);
        if state.position == length {
            // The first tokens see only each other: the form for all at once is the shorter one.
            return self.attend(query, kept, &self.sight().keys(None, 1));
        }
        self.absorbed(query, kept)
    }

    fn constant_state(&self) -> bool {
        false
    }
}
