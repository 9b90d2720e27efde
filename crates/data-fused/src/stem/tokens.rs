//! Tokens of all modalities, one behind the other.

use ansatz_core::{FeatureSpec, Features};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use super::branch::Found;

/// `X = [x_1 W_1 + e_1; …; x_n W_n + e_n]`, token behind token, with a learned vector e_m of each modality; W_m (and a
/// bias) only where the modality's tokens have another width. Of a missing modality a single learned token is seen.
///
/// # Shapes
/// Features of each modality → `[batch, sum of all lengths, width]`.
#[derive(Module, Debug)]
pub struct ConcatTokens {
    /// W_m, where tokens have another width.
    pub projections: Vec<Option<Linear>>,
    /// e `[modalities, width]`.
    pub embedding: Param<Tensor<2>>,
    length: usize,
}

impl ConcatTokens {
    pub(super) fn new(specs: &[FeatureSpec], width: usize, device: &Device) -> Self {
        let projection = |spec: &FeatureSpec| {
            (spec.width != width).then(|| LinearConfig::new(spec.width, width).init(device))
        };
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        Self {
            projections: specs.iter().map(projection).collect(),
            embedding: normal.init([specs.len(), width], device),
            length: specs.iter().map(|spec| spec.length).sum(),
        }
    }

    /// Tokens and mask of each modality by itself.
    pub(super) fn each(&self, found: &[Found]) -> Vec<(Tensor<3>, Tensor<2, Bool>)> {
        let embedding = self.embedding.val();
        let [_, width] = embedding.dims();
        let each = found.iter().zip(&self.projections).enumerate().map(|(index, (found, projection))| {
            let tokens = match projection {
                Some(projection) => projection.forward(found.tokens()),
                None => found.tokens(),
            };
            let own = embedding.clone().narrow(0, index, 1).reshape([1, 1, width]);
            (tokens + own, found.mask())
        });
        each.collect()
    }

    pub(super) fn forward(&self, found: Vec<Found>) -> Features {
        let (tokens, masks): (Vec<_>, Vec<_>) = self.each(&found).into_iter().unzip();
        let (tokens, mask) = (Tensor::cat(tokens, 1), Tensor::cat(masks, 1));
        let [batch, length, width] = tokens.dims();
        assert_shape!(mask, [batch, length]);
        assert_shape!(tokens, [batch, length, width]);
        Features { mask: Some(mask), ..Features::row(tokens) }
    }

    pub(super) fn output(&self) -> FeatureSpec {
        let [_, width] = self.embedding.lazy_shape().dims();
        FeatureSpec::row(self.length, width)
    }

    pub(super) fn flops(&self) -> u64 {
        let map = |map: &Linear| 2 * (self.length * map.weight.lazy_shape().num_elements()) as u64;
        self.projections.iter().flatten().map(map).sum()
    }
}
