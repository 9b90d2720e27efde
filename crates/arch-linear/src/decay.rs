//! How fast the state fades: constants of the heads, or what the tokens say.

use ansatz_core::Context;
use ansatz_ops::{Linear, LogDecay, log_sigmoid, sigmoid};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use crate::projection::{Projection, linear, linear_flops};

/// One constant for each head, in the shape that the recurrence wants.
pub(crate) fn constant(log: &[f64], like: &Tensor<4>) -> LogDecay {
    let [batch, heads, length, _] = like.dims();
    let log = Tensor::<1>::from_data(TensorData::from(log), (&like.device(), like.dtype()));
    LogDecay::Head(log.reshape([1, heads, 1]).expand([batch, heads, length]))
}

/// `log a = max(log σ(W₂ W₁ x + b) / τ, floor)` for each key channel (Yang et al., GLA, 2023, arXiv:2312.06635,
/// section 4.4).
///
/// # Shapes
/// `[batch, length, width]` → `[batch, length, channels]`.
#[derive(Module, Debug)]
pub struct LowRankDecay {
    /// W₁ `[width, rank]`.
    pub down: Linear,
    /// W₂ `[rank, channels]` and b.
    pub up: Linear,
    temperature: f64,
    floor: Option<f64>,
}

impl LowRankDecay {
    pub(crate) fn new(
        [width, rank, channels]: [usize; 3],
        temperature: f64,
        floor: Option<f64>,
        device: &Device,
    ) -> Self {
        let (down, up) = (linear([width, rank], false, device), linear([rank, channels], true, device));
        Self { down, up, temperature, floor }
    }

    pub(crate) fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let log = log_sigmoid(self.up.forward(self.down.forward(tokens))) / self.temperature;
        match self.floor {
            Some(floor) => log.clamp_min(floor),
            None => log,
        }
    }

    pub(crate) fn flops(&self) -> u64 {
        linear_flops(&self.down) + linear_flops(&self.up)
    }
}

/// The forget gate of HGRN2, which is the decay, and whose complement is the key (Qin et al. 2024, arXiv:2404.07904,
/// equations 8 and 9):
///
/// ```text
/// a = β + (1 − β) σ(W x)        k = 1 − a
/// ```
///
/// β, the least that is kept, grows along the depth: `β_l = Σ_{1 ≤ i ≤ l} softmax(Γ)_i`, and 0 in the first block
/// (Qin et al., HGRN, 2023, arXiv:2311.04823, equations 6 and 7). The first block holds Γ and leaves β for the others
/// as `hgrn2.lower-bounds`; where the first block of a network is another mixer, β is 0.
#[derive(Module, Debug)]
pub struct ForgetGate {
    /// W `[width, channels]`.
    pub projection: Projection,
    /// Γ `[blocks, channels]`, in the first of several blocks.
    pub lower_bounds: Option<Param<Tensor<2>>>,
    index: usize,
}

/// The name of β `[blocks, channels]` among what layers leave for each other.
const LOWER_BOUNDS: &str = "hgrn2.lower-bounds";

impl ForgetGate {
    /// The gate of block `index`; `blocks` where there are lower bounds.
    pub(crate) fn new(projection: Projection, index: usize, blocks: Option<usize>, device: &Device) -> Self {
        let [_, channels] = projection.linear.weight.dims();
        let holds = blocks.filter(|blocks| index == 0 && *blocks > 1);
        let lower_bounds = holds.map(|blocks| Initializer::Zeros.init([blocks, channels], device));
        Self { projection, lower_bounds, index: if blocks.is_some() { index } else { 0 } }
    }

    /// Keys and log decays for what the projection made of the tokens.
    pub(crate) fn open(&self, projected: Tensor<3>, context: &Context) -> (Tensor<3>, Tensor<3>) {
        if let Some(bounds) = &self.lower_bounds {
            let shares = softmax(bounds.val(), 0);
            let first = shares.clone().narrow(0, 0, 1);
            context.shared.leave(LOWER_BOUNDS, shares.cumsum(0) - first);
        }
        let bounds = if self.index > 0 { context.shared.find::<2>(LOWER_BOUNDS) } else { None };
        let key = sigmoid(-projected.clone());
        match bounds.filter(|bounds| self.index < bounds.dims()[0]) {
            None => (key, log_sigmoid(projected)),
            Some(bounds) => {
                let least = bounds.narrow(0, self.index, 1).unsqueeze::<3>();
                let rest = least.clone().neg() + 1.0;
                let log = (least + rest.clone() * sigmoid(projected)).log();
                (rest * key, log)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    fn close<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn bounds_grow_along_the_depth() {
        let device = ansatz_device::open("cpu").unwrap();
        let gate = |index| ForgetGate::new(Projection::new([4, 6], false, &device), index, Some(3), &device);
        let mut first = gate(0);
        let bounds = Tensor::<2>::random([3, 6], Distribution::Normal(0.0, 1.0), &device);
        first.lower_bounds = Some(Param::from_tensor(bounds.clone()));
        let x = Tensor::<3>::random([2, 5, 6], Distribution::Normal(0.0, 2.0), &device);
        let context = Context::default();
        let shares = softmax(bounds, 0);
        let share = |index: usize| shares.clone().narrow(0, index, 1).unsqueeze::<3>();
        let leasts = [share(0) * 0.0, share(1), share(1) + share(2)];
        for (index, least) in leasts.into_iter().enumerate() {
            let gate = if index == 0 { first.clone() } else { gate(index) };
            assert_eq!(gate.lower_bounds.is_some(), index == 0);
            let (key, log) = gate.open(x.clone(), &context);
            let kept = least.clone() + (least.neg() + 1.0) * sigmoid(x.clone());
            close(log.exp(), kept.clone());
            close(key, kept.neg() + 1.0);
        }
    }

    #[test]
    fn without_bounds_all_may_be_forgotten() {
        let device = ansatz_device::open("cpu").unwrap();
        let x = Tensor::<3>::from_data([[[-60.0, 0.0, 60.0]]], &device);
        for (index, blocks) in [(0, Some(1)), (2, Some(3)), (2, None)] {
            let gate = ForgetGate::new(Projection::new([4, 3], false, &device), index, blocks, &device);
            assert!(gate.lower_bounds.is_none());
            let (key, log) = gate.open(x.clone(), &Context::default());
            close(key, Tensor::from_data([[[1.0, 0.5, 0.0]]], &device));
            close(log, Tensor::from_data([[[-60.0, -(2.0f32.ln()), 0.0]]], &device));
        }
    }

    #[test]
    fn log_decays_are_divided_and_held_above_the_floor() {
        let device = ansatz_device::open("cpu").unwrap();
        let decay = |floor| LowRankDecay::new([4, 2, 3], 2.0, floor, &device);
        let x = Tensor::<3>::random([2, 5, 4], Distribution::Normal(0.0, 9.0), &device);
        let free = decay(None);
        let logits = free.up.forward(free.down.forward(x.clone()));
        close(free.forward(x.clone()), log_sigmoid(logits) * 0.5);
        let least = decay(Some(-0.25)).forward(x).min().into_scalar::<f32>();
        assert!(least >= -0.25, "{least}");
    }
}
