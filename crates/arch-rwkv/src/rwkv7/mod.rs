//! RWKV-7: a matrix for each head in which new values replace old ones.

mod config;

use ansatz_core::{Context, Mixer, Recurrent, Shared, State};
use ansatz_ops::{Linear, diagonal_plus_low_rank, sigmoid, without_padding};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::heads::{join, split};
use crate::low_rank::LowRank;
use crate::norm::HeadNorm;
use crate::shift::Shifted;

pub use config::Rwkv7Config;

/// The time mixing of RWKV-7 (Peng et al. 2025, equations 3 to 21), head by head:
///
/// ```text
/// d_t = exp(−e^{−½} σ(low_rank_w(x)))     a_t = σ(low_rank_a(x))     g_t = low_rank_g(x)
/// v_t = v'_t + (v⁰_t − v'_t) ⊙ σ(low_rank_v(x))     v⁰: that of the first layer, where this is not the first
/// κ_t = (k_t ⊙ ξ) / ‖k_t ⊙ ξ‖     k̃_t = k_t ⊙ (1 + (a_t − 1) ⊙ α)
/// S_t = (Diag(d_t) − (a_t ⊙ κ_t) κ_tᵀ) S_{t−1} + k̃_t v_tᵀ
/// o_t = W_o (g_t ⊙ (norm(S_tᵀ r_t) + (r_tᵀ (ρ ⊙ k̃_t)) v_t))
/// ```
///
/// where every x is a mixture of its own with the token before. Parameters are drawn by channel and depth as in
/// RWKV-LM, RWKV-v7/train_temp/src/model.py.
///
/// The first of these mixers leaves its values `[batch, length, heads × value]` under [`Rwkv7::FIRST_VALUE`],
/// those of real tokens in front.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Rwkv7 {
    /// Shares of the token before.
    pub mixtures: Mixtures,
    /// W_r `[width, width]`.
    pub receptance: Linear,
    /// Of the decay.
    pub decay: LowRank,
    /// W_k `[width, width]`.
    pub key: Linear,
    /// W_v `[width, heads × value]`.
    pub value: Linear,
    /// Of the share of the first layer's value; the first block has none.
    pub first_value: Option<LowRank>,
    /// Of the rate at which new values replace old ones.
    pub rate: LowRank,
    /// Of the gate.
    pub gate: LowRank,
    /// ξ `[width]`: what of the key is taken out of the state.
    pub removal: Param<Tensor<1>>,
    /// α `[width]`: how far the rate scales what is put in.
    pub replacement: Param<Tensor<1>>,
    /// ρ `[heads, key]`: how the token itself counts.
    pub bonus: Param<Tensor<2>>,
    /// The norm of every head's output.
    pub norm: HeadNorm,
    /// W_o `[heads × value, width]`.
    pub output: Linear,
}

/// Shares of the token before in what each part is made of, `[width]` each.
#[derive(Module, Debug)]
#[allow(missing_docs, reason = "each is named as the part it belongs to")]
pub struct Mixtures {
    pub receptance: Param<Tensor<1>>,
    pub decay: Param<Tensor<1>>,
    pub key: Param<Tensor<1>>,
    pub value: Param<Tensor<1>>,
    pub rate: Param<Tensor<1>>,
    pub gate: Param<Tensor<1>>,
}

/// e^{−½}: the state keeps at least exp(−e^{−½}) ≈ 0.545 from token to token.
const STRONGEST_DECAY: f64 = 0.606_530_659_712_633_4;

/// The smallest squared length by which a key is divided.
const SMALLEST: f64 = 1e-24;

impl Rwkv7 {
    /// Under which name the first layer's values are left.
    pub const FIRST_VALUE: &'static str = "rwkv-7.first-value";
    /// What S `[batch, heads, key, value]` is called in the state.
    pub const MATRIX: &'static str = "matrix";

    /// The values, in part those of the first layer.
    fn values(&self, mixed: Tensor<3>, shared: &Shared) -> Tensor<3> {
        let value = self.value.forward(mixed.clone());
        match (&self.first_value, shared.find::<3>(Self::FIRST_VALUE)) {
            (Some(share), Some(first)) => value.clone() + (first - value) * sigmoid(share.forward(mixed)),
            (_, found) => {
                if found.is_none() {
                    shared.leave(Self::FIRST_VALUE, value.clone());
                }
                value
            }
        }
    }

    /// The outputs for `tokens`, and the matrix behind the last; `None` stands for zeros.
    fn mix(&self, tokens: &Shifted, matrix: Option<Tensor<4>>, shared: &Shared) -> (Tensor<3>, Tensor<4>) {
        let [heads, _] = self.bonus.lazy_shape().dims();
        let mixed = |share: &Param<Tensor<1>>| tokens.toward(share.val().unsqueeze());
        let parts = &self.mixtures;
        let receptance = split(self.receptance.forward(mixed(&parts.receptance)), heads);
        let decay = sigmoid(self.decay.forward(mixed(&parts.decay))) * -STRONGEST_DECAY;
        let rate = sigmoid(self.rate.forward(mixed(&parts.rate)));
        let key = self.key.forward(mixed(&parts.key));
        let value = split(self.values(mixed(&parts.value), shared), heads);

        let removed = split(key.clone() * self.removal.val().unsqueeze(), heads);
        let length = (removed.clone() * removed.clone()).sum_dim(3).clamp_min(SMALLEST).sqrt();
        let removed = removed / length;
        let key = key.clone() + key * (rate.clone() - 1.0) * self.replacement.val().unsqueeze();
        let (key, rate) = (split(key, heads), split(rate, heads));
        let (read, matrix) = diagonal_plus_low_rank(
            receptance.clone(),
            key.clone(),
            value.clone(),
            split(decay.exp(), heads),
            -removed.clone(),
            removed * rate,
            matrix,
        );
        let itself = (receptance * key * self.bonus.val().unsqueeze_dim::<3>(1).unsqueeze()).sum_dim(3);
        let output = self.norm.forward(join(read)) + join(value * itself);
        (self.output.forward(output * self.gate.forward(mixed(&parts.gate))), matrix)
    }
}

impl Mixer for Rwkv7 {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let output = without_padding(tokens, context.mask.as_ref(), |tokens| {
            self.mix(&Shifted::new(tokens), None, &context.shared).0
        });
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.receptance, &self.key, &self.value, &self.output];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        let low_ranks = [Some(&self.decay), self.first_value.as_ref(), Some(&self.rate), Some(&self.gate)];
        let low_ranks: usize = low_ranks.into_iter().flatten().map(LowRank::flops).sum();
        let [_, key] = self.bonus.lazy_shape().dims();
        let [_, values] = self.value.weight.lazy_shape().dims();
        // For each cell of the matrix: the decay, and two for removing, for what goes there, for the key and for
        // reading.
        let recurrence = 9 * key * values;
        length as u64 * (2 * projections + low_ranks + recurrence) as u64
    }
}

impl Recurrent for Rwkv7 {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [heads, key] = self.bonus.lazy_shape().dims();
        let [_, values] = self.value.weight.lazy_shape().dims();
        let matrix = Tensor::<4>::zeros([batch, heads, key, values / heads], device);
        Shifted::state(batch, heads * key, device).with(Self::MATRIX, matrix)
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        let matrix = state.take::<4>(Self::MATRIX);
        let (output, matrix) = self.mix(&Shifted::step(tokens, state), matrix, &context.shared);
        state.set(Self::MATRIX, matrix);
        output
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{Build, MixerConfig, Registry};

    fn small() -> Rwkv7Config {
        Rwkv7Config { decay_rank: 3, rate_rank: 2, value_rank: 5, gate_rank: 4, ..Rwkv7Config::default() }
    }

    #[test]
    fn the_mixer_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for (config, index) in [
            (small(), 0),
            (Rwkv7Config { heads: 2, head_value_width: Some(3), epsilon: Some(1e-3), ..small() }, 1),
        ] {
            let registry = Registry::default();
            let build =
                |width, device: &Device| config.init(width, &Build::new(&registry, device).at(index, 2));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn later_layers_take_a_share_of_the_first_value() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let build = Build::new(&registry, &device);
        let [first, second] = [0, 1].map(|index| small().build(8, &build.at(index, 2)).unwrap());
        let tokens = || Tensor::<3>::ones([1, 3, 8], &device);
        let shared = Shared::default();
        let own = first.values(tokens(), &shared);
        // Whoever comes first leaves its own, and does not take it back.
        first.values(tokens() * 2.0, &shared).into_data().assert_eq(&(own.clone() * 2.0).into_data(), true);
        let kept = shared.find::<3>(Rwkv7::FIRST_VALUE).expect("the first layer left it");
        kept.into_data().assert_eq(&own.clone().into_data(), true);
        let alone = second.value.forward(tokens());
        let found = second.values(tokens(), &shared);
        let share = sigmoid(second.first_value.as_ref().expect("it is not the first").forward(tokens()));
        let expected = own * share.clone() + alone * (-share + 1.0);
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), burn::tensor::Tolerance::default());
    }
}
