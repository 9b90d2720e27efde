//! Which parameters an optimizer treats how.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdjustLrFn, LionConfig, ModuleOptimizer, MuonConfig};
use burn::tensor::Tensor;

use crate::adam::Adam;
use crate::descent::Descent;
use crate::optimizer::{Lion, Muon, OptimizerConfig};

/// The trainable parameters of a network, sorted by what optimizers do with them.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    path: Vec<String>,
    /// Biases and gains: rank below 2. They are spared by weight decay.
    vectors: Vec<ParamId>,
    /// Matrices inside the backbone: Muon's.
    hidden_matrices: Vec<ParamId>,
    /// Trainable values in all.
    pub values: usize,
}

impl Parameters {
    /// Looks through a network on an autodiff device.
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        let mut parameters = Self::default();
        model.visit(&mut parameters);
        parameters
    }
}

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        self.values += param.shape().num_elements();
        if D < 2 {
            self.vectors.push(param.id);
        } else if D == 2 && self.path.first().is_some_and(|part| part == "backbone") {
            self.hidden_matrices.push(param.id);
        }
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

impl OptimizerConfig {
    /// The optimizer, without any state yet, for a network with these parameters.
    pub(crate) fn build(&self, parameters: &Parameters) -> ModuleOptimizer {
        let vectors = ParamGroup::from_ids(parameters.vectors.clone());
        match self {
            Self::AdamW(settings) => ModuleOptimizer::from(Adam::new(settings, settings.weight_decay))
                .with_group(vectors, Adam::new(settings, 0.0), None),
            Self::Sgd(settings) => ModuleOptimizer::from(Descent::new(settings, settings.weight_decay))
                .with_group(vectors, Descent::new(settings, 0.0), None),
            Self::Lion(settings) => ModuleOptimizer::from(lion(settings, settings.weight_decay).build())
                .with_group(vectors, lion(settings, 0.0).build(), None),
            Self::Muon(settings) => {
                let matrices = ParamGroup::from_ids(parameters.hidden_matrices.clone());
                Self::AdamW(settings.adamw()).build(parameters).with_group(
                    matrices,
                    muon(settings).build(),
                    None,
                )
            }
        }
    }
}

fn lion(settings: &Lion, weight_decay: f64) -> LionConfig {
    LionConfig::new()
        .with_beta_1(settings.betas[0] as f32)
        .with_beta_2(settings.betas[1] as f32)
        .with_weight_decay(weight_decay as f32)
}

fn muon(settings: &Muon) -> MuonConfig {
    MuonConfig::new()
        // burn damps by 0.1 unless told otherwise; PyTorch does not.
        .with_momentum(MomentumConfig { momentum: settings.momentum, dampening: 0.0, nesterov: true })
        .with_weight_decay(Some(WeightDecayConfig::new(settings.weight_decay as f32)))
        // burn keeps a matrix as [inputs, outputs], PyTorch as [outputs, inputs]; this scale is the one
        // that does not care.
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::{AdamW, Sgd};
    use burn::optim::GradientsParams;
    use burn::tensor::Device;

    /// A weight and a bias inside the backbone, and a weight outside.
    #[derive(Module, Debug)]
    struct Network {
        backbone: Layer,
        head: Param<Tensor<2>>,
    }

    #[derive(Module, Debug)]
    struct Layer {
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    impl Network {
        fn new(weight: [[f32; 2]; 2], device: &Device) -> Self {
            let bias = Param::from_data([1.0], device);
            let weight = Param::from_data(weight, device);
            Self { backbone: Layer { weight, bias }, head: Param::from_data([[1.0]], device) }
        }

        /// Gradients that are `gradient` for the weight of the backbone and its first value elsewhere.
        fn gradients(&self, gradient: [[f32; 2]; 2], device: &Device) -> GradientsParams {
            let first = gradient[0][0];
            let weight = (self.backbone.weight.val() * Tensor::from_floats(gradient, device)).sum();
            let rest = self.backbone.bias.val().sum() + self.head.val().sum();
            GradientsParams::from_grads((weight + rest * first).backward(), self)
        }

        /// First weight, last weight, bias, head.
        fn values(&self) -> [f32; 4] {
            let weight: Vec<f32> = self.backbone.weight.val().into_data().try_to_vec().unwrap();
            [weight[0], weight[3], self.backbone.bias.val().into_scalar(), self.head.val().into_scalar()]
        }
    }

    /// From ones, one step for each gradient, which all values share.
    fn walk(settings: OptimizerConfig, rate: f64, gradients: [f32; 2]) -> [f32; 4] {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let mut network = Network::new([[1.0; 2]; 2], &device);
        let mut optimizer = settings.build(&Parameters::of(&network));
        for gradient in gradients {
            let gradients = network.gradients([[gradient; 2]; 2], &device);
            network = optimizer.step(rate, network, gradients);
        }
        network.values()
    }

    fn assert_near(given: [f32; 4], expected: [f32; 4]) {
        for (given, expected) in given.iter().zip(expected) {
            assert!((given - expected).abs() < 2e-6, "{given} {expected}");
        }
    }

    #[test]
    fn sgd_is_pytorchs_nesterov_and_spares_vectors() {
        // λ = 0.1, μ = 0.9, η = 0.1, g = 0.5 twice, by hand:
        // weights g′ = 0.6, v = 0.6,  θ = 1 − 0.1 (0.6 + 0.54) = 0.886;
        //         g′ = 0.5886, v = 1.1286, θ = 0.886 − 0.1 (0.5886 + 1.01574) = 0.725566;
        // bias    v = 0.5, θ = 1 − 0.1 (0.5 + 0.45) = 0.905; v = 0.95, θ = 0.905 − 0.1 (0.5 + 0.855) = 0.7695.
        let settings = Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.1 };
        let given = walk(OptimizerConfig::Sgd(settings), 0.1, [0.5, 0.5]);
        assert_near(given, [0.725_566, 0.725_566, 0.7695, 0.725_566]);
    }

    #[test]
    fn plain_sgd_is_a_step_against_the_gradient() {
        let settings = Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        assert_near(walk(OptimizerConfig::Sgd(settings), 0.1, [0.5, 0.25]), [0.925; 4]);
    }

    #[test]
    fn adamw_decays_apart_from_the_gradient_and_spares_vectors() {
        // λ = 0.1, η = 0.1, β = 0.9 and 0.999, g = 0.5, then −0.25, by hand:
        // first  m̂ / √v̂ = 1: θ = 0.99 − 0.1 = 0.89 (bias 0.9);
        // second m = 0.045 − 0.025 = 0.02, m̂ = 0.02 / 0.19; v = 0.00024975 + 0.0000625, v̂ = v / 0.001999;
        //        m̂ / √v̂ = 0.2663360: θ = 0.89 · 0.99 − 0.0266336 = 0.8544664 (bias 0.8733664).
        let settings = AdamW { weight_decay: 0.1, ..AdamW::default() };
        let given = walk(OptimizerConfig::AdamW(settings), 0.1, [0.5, -0.25]);
        assert_near(given, [0.854_466_4, 0.854_466_4, 0.873_366_4, 0.854_466_4]);
    }

    #[test]
    fn lion_steps_by_the_sign_and_spares_vectors() {
        // λ = 1, η = 0.01, g = 0.5, then −0.25, by hand: θ = 0.99 − 0.01 = 0.98, m = 0.005;
        // 0.9 · 0.005 − 0.1 · 0.25 < 0: θ = 0.98 · 0.99 + 0.01 = 0.9802 (bias 0.99, then 1).
        let settings = Lion { weight_decay: 1.0, ..Lion::default() };
        let given = walk(OptimizerConfig::Lion(settings), 0.01, [0.5, -0.25]);
        assert_near(given, [0.9802, 0.9802, 1.0, 0.9802]);
    }

    #[test]
    fn muon_orthogonalizes_matrices_of_the_backbone_alone() {
        // A diagonal gradient stays diagonal; each value goes through the quintic by itself.
        let quintic = |mut x: f64| {
            for _ in 0..5 {
                x = 3.4445 * x - 4.775 * x.powi(3) + 2.0315 * x.powi(5);
            }
            x as f32
        };
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let network = Network::new([[1.0; 2]; 2], &device);
        let settings = Muon { weight_decay: 0.1, ..Muon::default() };
        let mut optimizer = OptimizerConfig::Muon(settings).build(&Parameters::of(&network));
        let gradients = network.gradients([[3.0, 0.0], [0.0, 4.0]], &device);
        let network = optimizer.step(0.1, network, gradients);
        let step = |x| 0.99 - 0.1 * 0.2 * 2.0_f32.sqrt() * quintic(x);
        // Bias and head are AdamW's: a step of η, behind a decay for the head.
        let given = network.values();
        let expected = [step(0.6), step(0.8), 0.9, 0.89];
        for (given, expected) in given.iter().zip(expected) {
            assert!((given - expected).abs() < 1e-4, "{given} {expected}");
        }
    }

    #[test]
    fn parameters_are_sorted_by_rank_and_place() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let network = Network::new([[1.0; 2]; 2], &device);
        let parameters = Parameters::of(&network);
        assert_eq!(parameters.values, 6);
        assert_eq!(parameters.vectors, [network.backbone.bias.id]);
        assert_eq!(parameters.hidden_matrices, [network.backbone.weight.id]);
        assert_eq!(Parameters::of(&network.valid()).values, 0);
    }
}
