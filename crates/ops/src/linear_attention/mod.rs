//! The recurrence of linear attention: one matrix of state per head, faded and added to by every token.

mod chunks;
#[cfg(all(test, feature = "flex"))]
mod naive;
mod scan;
mod sums;
mod within;

use burn::tensor::{Tensor, assert_shape};

use chunks::Chunks;

/// How the state fades before a token is added, as logarithms: finite and not above 0.
#[derive(Debug, Clone)]
pub enum LogDecay {
    /// Not at all.
    None,
    /// By one factor for the whole matrix of a head: `[batch, heads, length]`.
    Head(Tensor<3>),
    /// By a factor for each row, a key channel: `[batch, heads, length, key]`.
    Channel(Tensor<4>),
}

/// Tokens on their way through the recurrence of linear attention.
///
/// ```text
/// S_t = Diag(a_t) S_{t−1} + k_t v_tᵀ
/// o_t = S_tᵀ q_t                                     without a bonus
/// o_t = (S_{t−1} + Diag(u) k_t v_tᵀ)ᵀ q_t            with a bonus u
/// ```
///
/// Katharopoulos et al. 2020, arXiv:2006.16236, equations 18 to 20, without a decay; with one for each head it is
/// retention (arXiv:2307.08621, equation 6) and Mamba-2 (arXiv:2405.21060, equation 16); with one for each channel
/// gated linear attention (arXiv:2312.06635, equation 3); with a bonus RWKV-6 (arXiv:2404.05892, equation 19).
///
/// Padding is left out by a key of zeros with a log decay of 0.
#[derive(Debug, Clone)]
pub struct LinearAttention {
    /// q `[batch, heads, length, key]`, with any scale already in it.
    pub query: Tensor<4>,
    /// k `[batch, heads, length, key]`.
    pub key: Tensor<4>,
    /// v `[batch, heads, length, value]`.
    pub value: Tensor<4>,
    /// log a.
    pub decay: LogDecay,
    /// u `[heads, key]`: with it, outputs read the state before the token, and the token itself through u.
    pub bonus: Option<Tensor<2>>,
    /// S before the first token `[batch, heads, key, value]`; zeros where there is none.
    pub state: Option<Tensor<4>>,
}

impl LinearAttention {
    /// All outputs `[batch, heads, length, value]`, and the state behind the last token
    /// `[batch, heads, key, value]`.
    ///
    /// The cost grows linearly with the length. Decays enter by sums of their logarithms alone, none of which is
    /// above 0, so that no decay is too strong: nothing overflows, and no two large sums are subtracted.
    ///
    /// # Panics
    /// When the shapes do not fit each other.
    pub fn run(self) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, length, key] = self.query.dims();
        let [_, _, _, value] = self.value.dims();
        assert_shape!(self.key, [batch, heads, length, key]);
        assert_shape!(self.value, [batch, heads, length, value]);
        if let Some(state) = &self.state {
            assert_shape!(state, [batch, heads, key, value]);
        }
        let decay = self.logarithms();
        #[cfg(feature = "flex")]
        if let Some(made) = self.on_flex(decay.as_ref()) {
            return made;
        }
        self.in_chunks(decay)
    }

    /// log a, `[batch, heads, length, 1 or key]`.
    fn logarithms(&self) -> Option<Tensor<4>> {
        match self.decay.clone() {
            LogDecay::None => None,
            LogDecay::Head(log) => Some(log.unsqueeze_dim::<4>(3)),
            LogDecay::Channel(log) => Some(log),
        }
    }

    /// By the kernel, where it takes these tensors.
    #[cfg(feature = "flex")]
    fn on_flex(&self, decay: Option<&Tensor<4>>) -> Option<(Tensor<4>, Tensor<4>)> {
        use crate::flex::{Change, Keeps, MatrixTokens, Rule, matrix_state};
        let tokens = MatrixTokens {
            query: self.query.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            decay: decay.cloned(),
            first: None,
            second: None,
            state: self.state.clone(),
        };
        let rule = Rule {
            change: Change::Addition,
            keeps: if decay.is_some() { Keeps::Logarithms } else { Keeps::All },
            reads_before: self.bonus.is_some(),
        };
        let (outputs, state) = matrix_state(&tokens, rule)?;
        Some((self.with_bonus(outputs), state))
    }

    /// The outputs with what each token reads of itself, where there is a bonus.
    fn with_bonus(&self, outputs: Tensor<4>) -> Tensor<4> {
        let Some(bonus) = &self.bonus else { return outputs };
        let [_, heads, _, key] = self.query.dims();
        let own = self.query.clone() * bonus.clone().reshape([1, heads, 1, key]) * self.key.clone();
        outputs + own.sum_dim(3) * self.value.clone()
    }

    /// The form for every device.
    fn in_chunks(self, decay: Option<Tensor<4>>) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, length, key] = self.query.dims();
        let [_, _, _, value] = self.value.dims();
        let state = self.state.clone().unwrap_or_else(|| {
            Tensor::zeros([batch, heads, key, value], (&self.query.device(), self.query.dtype()))
        });
        if length == 1 {
            return step(self.query, self.key, self.value, decay, self.bonus, state);
        }
        if self.bonus.is_none() {
            return Chunks::split(self.query, self.key, self.value, decay, Reading::Behind).run(state);
        }
        let tokens = self.clone();
        // Behind the token all its channels had one factor; before it the bonus gives each its own.
        let decay = match decay {
            Some(log) => log.expand([batch, heads, length, key]),
            None => self.key.zeros_like(),
        };
        let chunks = Chunks::split(self.query, self.key, self.value, Some(decay), Reading::Before);
        let (outputs, state) = chunks.run(state);
        (tokens.with_bonus(outputs), state)
    }
}

/// Which state an output reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// That which holds its own token.
    Behind,
    /// That which its own token has not reached.
    Before,
}

/// One token: the equations as they stand. `decay` is `[batch, heads, 1, 1 or key]`.
fn step(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    decay: Option<Tensor<4>>,
    bonus: Option<Tensor<2>>,
    state: Tensor<4>,
) -> (Tensor<4>, Tensor<4>) {
    let [_, heads, _, channels] = key.dims();
    let added = key.swap_dims(2, 3) * value;
    let kept = match decay {
        Some(log) => state.clone() * log.exp().swap_dims(2, 3),
        None => state.clone(),
    };
    let after = kept + added.clone();
    let read = match bonus {
        Some(bonus) => state + added * bonus.reshape([1, heads, channels, 1]),
        None => after.clone(),
    };
    (query.matmul(read), after)
}
