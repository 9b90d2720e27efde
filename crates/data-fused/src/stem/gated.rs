//! Gates say how much of each modality there is.

use ansatz_core::{FeatureSpec, Features};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor, activation, assert_shape};

use super::branch::Found;
use crate::{ModalityConfig, ModalityPool};

/// The gated multimodal unit (Arevalo et al. 2017, arXiv:1702.01992, section 3.1), with `x_m` the pooled features:
///
/// ```text
/// h_m = tanh(x_m W_m + b_m)
/// z_m = σ([x_1 | … | x_n] V_m + c_m)
/// X   = Σ_m z_m ∘ h_m
/// ```
///
/// Of two modalities the second gate is one less the first, `X = z ∘ h_1 + (1 − z) ∘ h_2`, as published.
///
/// # Shapes
/// Features of each modality → `[batch, 1, width]`.
#[derive(Module, Debug)]
pub struct Gated {
    /// W_m and b_m.
    pub projections: Vec<Linear>,
    /// V and c of all gates side by side.
    pub gates: Linear,
    #[module(skip)]
    pools: Vec<ModalityPool>,
}

impl Gated {
    pub(super) fn new(
        specs: &[FeatureSpec],
        modalities: &[ModalityConfig],
        width: usize,
        device: &Device,
    ) -> Self {
        let sum = specs.iter().map(|spec| spec.width).sum();
        let gates = if specs.len() == 2 { 1 } else { specs.len() };
        Self {
            projections: specs.iter().map(|spec| LinearConfig::new(spec.width, width).init(device)).collect(),
            gates: LinearConfig::new(sum, gates * width).init(device),
            pools: modalities.iter().map(|modality| modality.pool).collect(),
        }
    }

    pub(super) fn forward(&self, found: Vec<Found>) -> Features {
        let pooled: Vec<Tensor<2>> =
            found.iter().zip(&self.pools).map(|(found, pool)| found.pooled(*pool)).collect();
        let gates = ansatz_ops::sigmoid(self.gates.forward(Tensor::cat(pooled.clone(), 1)));
        let width = self.output().width;
        let gate = |index: usize| match (self.projections.len(), index) {
            (2, 1) => gates.clone().neg() + 1.0,
            _ => gates.clone().narrow(1, index * width, width),
        };
        let each = pooled.into_iter().zip(&self.projections).enumerate();
        let parts = each
            .map(|(index, (pooled, projection))| activation::tanh(projection.forward(pooled)) * gate(index));
        let sum = parts.reduce(|sum, part| sum + part).expect("at least one modality");
        let [batch, width] = sum.dims();
        let tokens = sum.reshape([batch, 1, width]);
        assert_shape!(tokens, [batch, 1, width]);
        Features::row(tokens)
    }

    pub(super) fn output(&self) -> FeatureSpec {
        let width = self.projections.first().map_or(0, |map| map.weight.lazy_shape().dims::<2>()[1]);
        FeatureSpec::row(1, width)
    }

    pub(super) fn flops(&self) -> u64 {
        let maps = self.projections.iter().chain([&self.gates]);
        maps.map(|map| 2 * map.weight.lazy_shape().num_elements() as u64).sum()
    }
}
