//! Features of all modalities, one behind the other.

use ansatz_core::{FeatureSpec, Features};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use super::branch::Found;
use crate::{ModalityConfig, ModalityPool};

/// `X = [f_1 | … | f_n]`, where `f_m = pool(x_m)`, or `pool(x_m) W_m + b_m` where the modality has so many `features`;
/// for a backbone that wants another width `X W + b`.
///
/// # Shapes
/// Features of each modality → `[batch, 1, width]`.
#[derive(Module, Debug)]
pub struct ConcatFeatures {
    /// W_m and b_m, where there are such.
    pub projections: Vec<Option<Linear>>,
    /// W and b, where the backbone wants another width.
    pub output: Option<Linear>,
    #[module(skip)]
    pools: Vec<ModalityPool>,
    width: usize,
}

impl ConcatFeatures {
    pub(super) fn new(
        specs: &[FeatureSpec],
        modalities: &[ModalityConfig],
        wanted: Option<usize>,
        device: &Device,
    ) -> Self {
        let each = specs.iter().zip(modalities);
        let projections: Vec<Option<Linear>> = each
            .clone()
            .map(|(spec, modality)| {
                modality.features.map(|features| LinearConfig::new(spec.width, features).init(device))
            })
            .collect();
        let sum = each.map(|(spec, modality)| modality.features.unwrap_or(spec.width)).sum();
        let width = wanted.unwrap_or(sum);
        Self {
            projections,
            output: (width != sum).then(|| LinearConfig::new(sum, width).init(device)),
            pools: modalities.iter().map(|modality| modality.pool).collect(),
            width,
        }
    }

    pub(super) fn forward(&self, found: Vec<Found>) -> Features {
        let features =
            found.iter().zip(&self.projections).zip(&self.pools).map(|((found, projection), pool)| {
                let pooled = found.pooled(*pool);
                match projection {
                    Some(projection) => projection.forward(pooled),
                    None => pooled,
                }
            });
        let joined = Tensor::cat(features.collect(), 1);
        let joined = match &self.output {
            Some(output) => output.forward(joined),
            None => joined,
        };
        let [batch, width] = joined.dims();
        let tokens = joined.reshape([batch, 1, width]);
        assert_shape!(tokens, [batch, 1, self.width]);
        Features::row(tokens)
    }

    pub(super) fn output(&self) -> FeatureSpec {
        FeatureSpec::row(1, self.width)
    }

    pub(super) fn flops(&self) -> u64 {
        let maps = self.projections.iter().flatten().chain(&self.output);
        maps.map(|map| 2 * map.weight.lazy_shape().num_elements() as u64).sum()
    }
}
