//! The stem of text: a vector for each token.

use ansatz_core::{ConfigError, Error, FeatureSpec, Features, Inputs, Layer, Result, Shared, Stem};
use ansatz_ops::rows;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The input of whole numbers `[batch, length]` that holds the tokens.
pub const TOKENS: &str = "tokens";
/// The input of whole numbers `[batch, length]` that is 1 where a token is real and 0 where it is padding; may be
/// left out where all are real.
pub const MASK: &str = "mask";
/// The input of whole numbers `[batch, length]` that tells which segment a token is of; may be left out where all
/// are of segment 0.
pub const TYPES: &str = "types";

/// The input of whole numbers `[batch, source]` that holds the tokens of a source; may be left out.
pub const SOURCE: &str = "source";
/// The mask of the source, as [`MASK`] is of the tokens.
pub const SOURCE_MASK: &str = "source-mask";

/// A vector for each token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// What the vectors are multiplied by: 1 leaves them as they are, √width is usual in Gemma and T5.
    pub scale: f64,
    /// Kinds of segments that are told apart by a vector of their own (BERT: 2); 0 for none.
    pub types: usize,
    /// Adds a learned vector for each position, counted as in RoBERTa among the tokens other than this one, which is
    /// padding: they stand at `padding + 1`, `padding + 2`, …, and padding itself at `padding`. Left out: none, for
    /// positions are added by the backbone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<usize>,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self { scale: 1.0, types: 0, padding: None }
    }
}

impl EmbeddingConfig {
    /// Builds the stem for `vocabulary` tokens, examples of at most `length` tokens, and vectors of `width` values.
    ///
    /// # Errors
    /// When the scale is not a number, or a size is 0.
    pub fn build(
        &self,
        vocabulary: usize,
        length: usize,
        width: usize,
        device: &Device,
    ) -> Result<Embedding> {
        if !self.scale.is_finite() || self.scale == 0.0 {
            let expected = "a number other than 0";
            return Err(ConfigError::value("scale", self.scale.to_string(), expected).into());
        }
        if vocabulary == 0 || length == 0 || width == 0 {
            let sizes = format!("{vocabulary} tokens, {length} positions, a width of {width}");
            return Err(Error::input(
                "the embedding of tokens",
                sizes,
                "at least 1 of each",
                "give other sizes",
            ));
        }
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        Ok(Embedding {
            table: normal.init([vocabulary, width], device),
            types: (self.types > 0).then(|| normal.init([self.types, width], device)),
            positions: self.padding.map(|padding| normal.init([padding + 1 + length, width], device)),
            scale: self.scale,
            padding: self.padding,
            length,
            source: None,
        })
    }
}

/// `x_t = scale · E[token_t] + T[type_t] + P[position_t]`.
///
/// Leaves the table as [`Shared::EMBEDDING`], for a head that is tied to it, and the source, where there is one, as
/// [`Shared::SOURCE`], embedded alike. Vectors are drawn from a normal
/// distribution of deviation 0.02, as in GPT-2.
///
/// # Shapes
/// [`TOKENS`], [`MASK`] and [`TYPES`], `[batch, length]` each → `[batch, length, width]`.
#[derive(Module, Debug)]
pub struct Embedding {
    /// E `[vocabulary, width]`.
    pub table: Param<Tensor<2>>,
    /// T `[types, width]`, where segments are told apart.
    pub types: Option<Param<Tensor<2>>>,
    /// P `[positions, width]`, where positions are counted among real tokens.
    pub positions: Option<Param<Tensor<2>>>,
    scale: f64,
    padding: Option<usize>,
    length: usize,
    source: Option<usize>,
}

impl Embedding {
    /// The same for examples that have a source of at most `length` tokens.
    pub fn with_source(self, length: usize) -> Self {
        Self { source: Some(length), ..self }
    }

    /// Rows of `table` by `indices`, which must be below their number.
    fn rows(table: &Param<Tensor<2>>, indices: Tensor<2, Int>, what: &str) -> Result<Tensor<3>> {
        Self::check(table, &indices, what)?;
        let ([batch, length], [_, width]) = (indices.dims(), table.dims());
        Ok(rows(table, indices.reshape([batch * length])).reshape([batch, length, width]))
    }

    /// Refuses `indices` that are no rows of `table`, and none at all.
    pub(crate) fn check(table: &Param<Tensor<2>>, indices: &Tensor<2, Int>, what: &str) -> Result<()> {
        let ([batch, length], [known, _]) = (indices.dims(), table.dims());
        if batch * length == 0 {
            return Err(Error::input(what, "there are none", "at least one", "give some text"));
        }
        let [least, most] =
            [indices.clone().min(), indices.clone().max()].map(|end| end.into_scalar::<i64>());
        if least < 0 || most >= known as i64 {
            let given = if least < 0 { least } else { most };
            return Err(Error::input(
                what,
                format!("{given} is not among the {known} that the network knows"),
                format!("0 up to {}", known - 1),
                "encode the text as the network's own data model does",
            ));
        }
        Ok(())
    }
}

impl Embedding {
    /// The vectors of the input `tokens`, of which the input `mask` says where they are real.
    fn embed(
        &self,
        inputs: &Inputs,
        [tokens, mask]: [&str; 2],
        types: Option<Tensor<2, Int>>,
    ) -> Result<Features> {
        let indices = inputs.int::<2>(tokens)?;
        let [batch, length] = indices.dims();
        let [_, width] = self.table.dims();
        let mut tokens = Self::rows(&self.table, indices.clone(), "tokens")?;
        if self.scale != 1.0 {
            tokens = tokens * self.scale;
        }
        if let Some(table) = &self.types {
            tokens = tokens
                + match types {
                    Some(types) => Self::rows(table, types, "segment types")?,
                    None => table.val().narrow(0, 0, 1).unsqueeze(),
                };
        }
        if let (Some(positions), Some(padding)) = (&self.positions, self.padding) {
            let real = indices.not_equal_elem(padding as i64).int();
            let counted = real.clone().cumsum(1) * real + padding as i64;
            tokens = tokens + Self::rows(positions, counted, "positions of tokens")?;
        }
        assert_shape!(tokens, [batch, length, width]);
        let mask = if inputs.holds(mask) { Some(inputs.int::<2>(mask)?.equal_elem(1)) } else { None };
        Ok(Features { mask, ..Features::row(tokens) })
    }
}

impl Stem for Embedding {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let types = if inputs.holds(TYPES) { Some(inputs.int::<2>(TYPES)?) } else { None };
        let features = self.embed(inputs, [TOKENS, MASK], types)?;
        features.shared.leave(Shared::EMBEDDING, self.table.val());
        if inputs.holds(SOURCE) {
            features.shared.leave_source(&self.embed(inputs, [SOURCE, SOURCE_MASK], None)?);
        }
        Ok(features)
    }

    fn output(&self) -> FeatureSpec {
        let [_, width] = self.table.lazy_shape().dims();
        FeatureSpec::row(self.length, width)
    }

    fn source(&self) -> Option<FeatureSpec> {
        self.source.map(|length| FeatureSpec { length, ..self.output() })
    }

    fn layers(&self) -> Vec<Layer> {
        let output = self.output();
        let activations = output.length * output.width;
        vec![Layer {
            name: "embedding".to_owned(),
            output: output.to_string(),
            parameters: self.num_params(),
            flops: (activations * [&self.types, &self.positions].into_iter().flatten().count()) as u64,
            activations,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn inputs(name: &str, values: Vec<i64>, device: &Device) -> (String, TensorData) {
        let _ = device;
        let length = values.len();
        (name.to_owned(), TensorData::new(values, [1, length]))
    }

    #[test]
    fn a_token_is_its_row_scaled_and_typed() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = EmbeddingConfig { scale: 2.0, types: 2, ..EmbeddingConfig::default() };
        let stem = config.build(5, 4, 3, &device).unwrap();
        let given = vec![inputs(TOKENS, vec![4, 0], &device), inputs(TYPES, vec![1, 0], &device)];
        let features = stem.forward(&Inputs::new(given, &device)).unwrap();
        let row = |table: &Param<Tensor<2>>, index: usize| table.val().narrow(0, index, 1);
        let types = stem.types.as_ref().unwrap();
        let expected = row(&stem.table, 4) * 2.0 + row(types, 1);
        let found = features.tokens.clone().narrow(1, 0, 1).squeeze_dim::<2>(1);
        found.into_data().assert_eq(&expected.into_data(), true);
        assert!(features.mask.is_none());
        assert_eq!(features.shared.find::<2>(Shared::EMBEDDING).unwrap().dims(), [5, 3]);
    }

    #[test]
    fn padding_is_masked() {
        let device = ansatz_device::open("cpu").unwrap();
        let stem = EmbeddingConfig::default().build(5, 4, 3, &device).unwrap();
        let given = vec![inputs(TOKENS, vec![4, 0], &device), inputs(MASK, vec![1, 0], &device)];
        let features = stem.forward(&Inputs::new(given, &device)).unwrap();
        features.mask.unwrap().into_data().assert_eq(&TensorData::from([[true, false]]), false);
    }

    #[test]
    fn positions_are_counted_among_real_tokens() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = EmbeddingConfig { padding: Some(1), ..EmbeddingConfig::default() };
        let stem = config.build(5, 4, 3, &device).unwrap();
        let positions = stem.positions.as_ref().expect("positions").val();
        assert_eq!(positions.dims(), [6, 3]);
        let tokens = vec![1, 4, 1, 2];
        let given = Inputs::new(vec![inputs(TOKENS, tokens.clone(), &device)], &device);
        let found = stem.forward(&given).unwrap().tokens;
        for (place, (token, position)) in tokens.into_iter().zip([1, 2, 1, 3]).enumerate() {
            let row = |table: Tensor<2>, index: usize| table.narrow(0, index, 1).into_data();
            let sum =
                stem.table.val().narrow(0, token as usize, 1) + positions.clone().narrow(0, position, 1);
            assert_eq!(row(found.clone().reshape([4, 3]), place), sum.into_data());
        }
    }

    #[test]
    fn tokens_that_are_unknown_or_missing_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let stem = EmbeddingConfig::default().build(5, 4, 3, &device).unwrap();
        for (tokens, problem) in [(vec![1, 5], "5 is not among the 5"), (vec![-1], "-1 is not among the 5")] {
            let given = Inputs::new(vec![inputs(TOKENS, tokens, &device)], &device);
            let message = stem.forward(&given).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
        let empty = Inputs::new(vec![inputs(TOKENS, vec![], &device)], &device);
        assert!(stem.forward(&empty).unwrap_err().to_string().contains("at least one"));
        assert!(stem.forward(&Inputs::new(vec![], &device)).is_err());
    }
}
