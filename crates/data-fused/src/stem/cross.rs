//! The first modality attends to the others.

use ansatz_core::{ConfigError, FeatureSpec, Features};
use ansatz_ops::{Linear, LinearConfig, Norm, NormConfig, Visible, attention};
use burn::module::Module;
use burn::tensor::{Device, Tensor, assert_shape};

use super::ConcatTokens;
use super::branch::Found;

/// `y = x + attention(norm(x) W_Q, norm(c) W_K, norm(c) W_V) W_O`, where x are the tokens of the first modality and c those
/// of all others, one behind the other (Tsai et al. 2019, arXiv:1906.00295, equations 3 and 4, without its feed-forward
/// layer, for which there is the backbone).
///
/// # Shapes
/// Features of each modality → `[batch, length of the first, width]`, with the grid of the first.
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// Brings all tokens to one width.
    pub tokens: ConcatTokens,
    /// In front of the queries.
    pub query_norm: Norm,
    /// In front of keys and values.
    pub context_norm: Norm,
    /// W_Q `[width, width]`.
    pub query: Linear,
    /// W_K and W_V side by side, `[width, 2 × width]`.
    pub key_value: Linear,
    /// W_O `[width, width]`.
    pub output: Linear,
    heads: usize,
    #[module(skip)]
    first: FeatureSpec,
}

impl CrossAttention {
    pub(super) fn new(
        specs: &[FeatureSpec],
        width: usize,
        heads: usize,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        if !width.is_multiple_of(heads) {
            let problem = format!("{heads} heads do not divide a width of {width}");
            return Err(ConfigError::value("heads", problem, "a divisor of backbone.width"));
        }
        let map = |to: usize| LinearConfig::new(width, to).init(device);
        let norm = || NormConfig::default().init(width, device);
        Ok(Self {
            tokens: ConcatTokens::new(specs, width, device),
            query_norm: norm(),
            context_norm: norm(),
            query: map(width),
            key_value: map(2 * width),
            output: map(width),
            heads,
            first: specs.first().map_or(FeatureSpec::row(0, width), |spec| spec.with_width(width)),
        })
    }

    pub(super) fn forward(&self, found: Vec<Found>) -> Features {
        let mut each = self.tokens.each(&found).into_iter();
        let (asking, mask) = each.next().expect("the first of at least two modalities");
        let (others, seen): (Vec<_>, Vec<_>) = each.unzip();
        let (others, seen) = (Tensor::cat(others, 1), Tensor::cat(seen, 1));
        let ([batch, queries, width], [_, keys, _]) = (asking.dims(), others.dims());
        let split = |tokens: Tensor<3>, length: usize| {
            tokens.reshape([batch, length, self.heads, width / self.heads]).swap_dims(1, 2)
        };
        let query = split(self.query.forward(self.query_norm.forward(asking.clone())), queries);
        let key_value = self.key_value.forward(self.context_norm.forward(others));
        let key = split(key_value.clone().narrow(2, 0, width), keys);
        let value = split(key_value.narrow(2, width, width), keys);
        let scale = 1.0 / ((width / self.heads) as f64).sqrt();
        let visible = Visible { real: Some(seen), ..Visible::default() };
        let answers = attention(query, key, value, scale, None, &visible);
        let answers = answers.swap_dims(1, 2).reshape([batch, queries, width]);
        let tokens = asking + self.output.forward(answers);
        assert_shape!(tokens, [batch, queries, width]);
        let grid = found.first().and_then(|first| first.features.grid);
        Features { mask: Some(mask), grid, ..Features::row(tokens) }
    }

    pub(super) fn output(&self) -> FeatureSpec {
        self.first
    }

    pub(super) fn flops(&self) -> u64 {
        let width = self.first.width;
        let (queries, all) = (self.first.length, self.tokens.output().length);
        let keys = all - queries;
        let maps = 4 * queries * width * width + 4 * keys * width * width;
        self.tokens.flops() + (maps + 4 * queries * keys * width) as u64
    }
}
