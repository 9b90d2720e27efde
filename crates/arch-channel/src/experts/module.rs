//! The mixture of experts with its router.

use ansatz_core::{Channel, ConfigError, Context};
use ansatz_ops::{Linear, sigmoid};
use burn::module::{Module, Param, ParamId};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, TensorData, activation, assert_shape};

use super::dispatch::Dispatch;
use super::routing::Routing;
use super::{ExpertsConfig, Scores};
use crate::gated::{GatedMlp, GatedMlpConfig};
use crate::projection::linear;

/// A mixture of gated experts (Shazeer et al. 2017, arXiv:1701.06538, equation 1).
///
/// ```text
/// s = softmax(x R)  or  σ(x R)
/// C = the experts with the largest s + b, all of them of the chosen groups
/// w = scale · s_C / Σ s_C                     without the sum where nothing is renormalized
/// y = Σ_{e ∈ C} w_e (f(x G_e) ⊙ x V_e) W_e  +  σ(x g) · shared(x)
/// ```
///
/// The router is Mixtral's with softmax and renormalized (Jiang et al. 2024, equation 1), Jamba's without;
/// DeepSeek-V3's with sigmoid, the correction b and groups (DeepSeek-AI 2024, equations 12 to 16).
///
/// While training, `balance · E Σ_e f_e P_e` is added to the loss (Fedus et al. 2021, equations 4 to 6): f_e is the
/// share of the real tokens' choices that fell on expert e, P_e the mean of its scores, made to sum to 1. An
/// even load makes it `balance`.
///
/// Parameters are drawn as in [`GatedMlp`], those of the router from a normal distribution of deviation 0.02.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Experts {
    /// R `[width, experts]`.
    pub router: Linear,
    /// b `[experts]`, where choosing is corrected; gradients do not train it.
    pub correction: Option<Param<Tensor<1>>>,
    /// G `[experts, width, hidden]`, activated.
    pub gate: Param<Tensor<3>>,
    /// V `[experts, width, hidden]`.
    pub expand: Param<Tensor<3>>,
    /// W `[experts, hidden, width]`.
    pub contract: Param<Tensor<3>>,
    /// The expert that every token uses.
    pub shared: Option<GatedMlp>,
    /// g `[width, 1]`, where the shared expert is gated.
    pub shared_gate: Option<Linear>,
    #[module(skip)]
    config: ExpertsConfig,
}

impl Experts {
    pub(super) fn new(
        [width, hidden]: [usize; 2],
        config: &ExpertsConfig,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let experts = config.experts;
        let normal = |std: f64| Initializer::Normal { mean: 0.0, std };
        let maps = |inputs: usize, outputs: usize| {
            normal((inputs as f64).powf(-0.5)).init([experts, inputs, outputs], device)
        };
        let shared = GatedMlpConfig {
            hidden: Some(config.shared_hidden),
            activation: config.activation,
            ..GatedMlpConfig::default()
        };
        let has_shared = config.shared_hidden > 0;
        Ok(Self {
            router: linear([width, experts], normal(0.02), false, device),
            correction: config
                .correction
                .then(|| Param::initialized(ParamId::new(), Tensor::zeros([experts], device))),
            gate: maps(width, hidden),
            expand: maps(width, hidden),
            contract: maps(hidden, width),
            shared: has_shared.then(|| shared.build(width, device)).transpose()?,
            shared_gate: config
                .shared_gate
                .then(|| linear([width, 1], normal((width as f64).powf(-0.5)), false, device)),
            config: config.clone(),
        })
    }

    /// Scores `[tokens, experts]`.
    fn scores(&self, tokens: Tensor<2>) -> Tensor<2> {
        let logits = self.router.forward(tokens);
        match self.config.scores {
            Scores::Softmax => activation::softmax(logits, 1),
            Scores::Sigmoid => sigmoid(logits),
        }
    }

    /// The chosen experts, `tokens × chosen`. They are chosen on the host, which must know them to hand out the
    /// tokens.
    fn choices(&self, scores: &Tensor<2>) -> Vec<usize> {
        let scores = scores.clone().detach();
        let preferred = match &self.correction {
            Some(correction) => scores + correction.val().detach().unsqueeze(),
            None => scores,
        };
        let preferred = preferred.into_data().convert::<f32>().try_to_vec::<f32>();
        self.config.routing().choose(&preferred.expect("scores convert to float32"))
    }

    /// What the chosen experts make of each token, `[tokens × chosen, width]`.
    fn work(&self, tokens: Tensor<2>, choices: &[usize]) -> Tensor<2> {
        let [_, width] = tokens.dims();
        let Routing { experts, chosen, .. } = self.config.routing();
        let Dispatch { working, rows, capacity, places } = Dispatch::new(choices, chosen, experts);
        let device = tokens.device();
        let count = working.len();
        let maps = |maps: &Param<Tensor<3>>| {
            let maps = maps.val();
            if count == experts { maps } else { maps.select(0, indices(&working, &device)) }
        };
        let tokens = tokens.select(0, indices(&rows, &device)).reshape([count, capacity, width]);
        let gate = self.config.activation.apply(tokens.clone().matmul(maps(&self.gate)));
        let outputs = (gate * tokens.matmul(maps(&self.expand))).matmul(maps(&self.contract));
        outputs.reshape([count * capacity, width]).select(0, indices(&places, &device))
    }

    /// The loss of an uneven load, `[1]`. `real` is 1 for tokens that are no padding, `[tokens, 1]`.
    fn uneven_load(&self, scores: Tensor<2>, choices: &Tensor<2, Int>, real: Tensor<2>) -> Tensor<1> {
        let Routing { experts, chosen, .. } = self.config.routing();
        let tokens = real.clone().sum().clamp_min(1.0);
        let chose =
            choices.clone().one_hot::<3>(experts).float().cast(scores.dtype()).sum_dim(1).squeeze_dim(1);
        let choice_share = (chose * real.clone()).sum_dim(0) / (tokens.clone() * chosen as f64).unsqueeze();
        let scores = scores.clone() / scores.sum_dim(1);
        let score_share = (scores * real).sum_dim(0) / tokens.unsqueeze();
        (choice_share * score_share).sum() * (self.config.balance * experts as f64)
    }
}

/// Places as a tensor.
fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = places.iter().map(|place| *place as i64).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

impl Channel for Experts {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let (count, chosen) = (batch * length, self.config.chosen);
        let device = tokens.device();
        let rows = tokens.clone().reshape([count, width]);
        let scores = self.scores(rows.clone());
        let choices = self.choices(&scores);
        let outputs = self.work(rows, &choices).reshape([count, chosen, width]);

        let choices = indices(&choices, &device).reshape([count, chosen]);
        let mut weights = scores.clone().gather(1, choices.clone());
        if self.config.renormalize {
            // Sigmoids may all underflow.
            weights = weights.clone() / (weights.sum_dim(1) + 1e-20);
        }
        let weights: Tensor<3> = weights.unsqueeze_dim(2);
        let mixed: Tensor<2> = (outputs * weights).sum_dim(1).squeeze_dim(1);
        let mut output = (mixed * self.config.scale).reshape([batch, length, width]);

        if let Some(shared) = &self.shared {
            let always = shared.forward(tokens.clone(), context);
            output = output
                + match &self.shared_gate {
                    Some(gate) => always * sigmoid(gate.forward(tokens.clone())),
                    None => always,
                };
        }
        if self.config.balance > 0.0 && device.is_autodiff() {
            let real = match &context.mask {
                Some(mask) => mask.clone().float().cast(scores.dtype()).reshape([count, 1]),
                None => Tensor::ones([count, 1], (&device, scores.dtype())),
            };
            context.shared.add_loss(self.uneven_load(scores, &choices, real));
        }
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn flops(&self) -> u64 {
        let size = |linear: &Linear| linear.weight.lazy_shape().num_elements() as u64;
        let (router, gate) = (size(&self.router), self.shared_gate.as_ref().map_or(0, size));
        let expert = (self.gate.lazy_shape().num_elements() / self.config.experts) as u64;
        let shared = self.shared.as_ref().map_or(0, |shared| shared.flops());
        2 * (router + gate) + 6 * expert * self.config.chosen as u64 + shared
    }
}
