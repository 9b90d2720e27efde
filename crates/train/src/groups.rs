//! Which parameters an optimizer treats how.

use ansatz_core::Model;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, LionConfig, ModuleOptimizer, MuonConfig, SgdConfig};
use burn::tensor::Tensor;

use crate::optimizer::{AdamW, Lion, Muon, OptimizerConfig, Sgd};

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
    pub(crate) fn of(model: &Model) -> Self {
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
            Self::AdamW(settings) => ModuleOptimizer::from(adamw(settings, settings.weight_decay).build())
                .with_group(vectors, adamw(settings, 0.0).build(), None),
            Self::Sgd(settings) => ModuleOptimizer::from(sgd(settings, settings.weight_decay).build())
                .with_group(vectors, sgd(settings, 0.0).build(), None),
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

fn adamw(settings: &AdamW, weight_decay: f64) -> AdamWConfig {
    AdamWConfig::new()
        .with_beta_1(settings.betas[0] as f32)
        .with_beta_2(settings.betas[1] as f32)
        .with_epsilon(settings.epsilon as f32)
        .with_weight_decay(weight_decay as f32)
}

fn sgd(settings: &Sgd, weight_decay: f64) -> SgdConfig {
    // burn damps by 0.1 unless told otherwise; PyTorch does not.
    let momentum =
        MomentumConfig { momentum: settings.momentum, dampening: 0.0, nesterov: settings.nesterov };
    SgdConfig::new()
        .with_weight_decay((weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay as f32)))
        .with_momentum((settings.momentum > 0.0).then_some(momentum))
}

fn lion(settings: &Lion, weight_decay: f64) -> LionConfig {
    LionConfig::new()
        .with_beta_1(settings.betas[0] as f32)
        .with_beta_2(settings.betas[1] as f32)
        .with_weight_decay(weight_decay as f32)
}

fn muon(settings: &Muon) -> MuonConfig {
    MuonConfig::new()
        .with_momentum(MomentumConfig { momentum: settings.momentum, dampening: 0.0, nesterov: true })
        .with_weight_decay(Some(WeightDecayConfig::new(settings.weight_decay as f32)))
        // burn keeps a matrix as [inputs, outputs], PyTorch as [outputs, inputs]; this scale is the one
        // that does not care.
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
}
