//! The stem of terms: one vector for a whole text.

use crate::Embedding;
use ansatz_core::{Error, FeatureSpec, Features, Inputs, Layer, Result, Stem};
use ansatz_ops::weighted_rows;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// The input of whole numbers `[batch, terms]` that holds the terms of each text, 0 where it has no more.
pub const TERMS: &str = "terms";
/// The input `[batch, terms]` of their weights, 0 where a text has no more.
pub const WEIGHTS: &str = "weights";

/// `x = Σ_t w_t E[t]` over the terms of a text (Joulin et al., Bag of Tricks for Efficient Text Classification, 2016,
/// arXiv:1607.01759, with the weights of the terms in place of a mean).
///
/// Vectors are drawn from U(−1/width, 1/width), as published.
///
/// # Shapes
/// [`TERMS`] and [`WEIGHTS`] `[batch, terms]` → `[batch, 1, width]`.
#[derive(Module, Debug)]
pub struct TermSum {
    /// E `[terms, width]`.
    pub table: Param<Tensor<2>>,
    most: usize,
}

impl TermSum {
    /// A stem that knows `terms` terms, for texts with at most `most` of them.
    pub fn new(terms: usize, most: usize, width: usize, device: &Device) -> Self {
        let bound = 1.0 / width as f64;
        Self { table: Initializer::Uniform { min: -bound, max: bound }.init([terms, width], device), most }
    }
}

impl Stem for TermSum {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let (terms, weights) = (inputs.int::<2>(TERMS)?, inputs.float::<2>(WEIGHTS)?);
        let [batch, count] = terms.dims();
        if weights.dims() != [batch, count] {
            return Err(Error::input(
                "the weights of terms",
                format!("{:?}", weights.dims()),
                format!("one for each of {:?} terms", terms.dims()),
                "encode the text as the network's own data model does",
            ));
        }
        Embedding::check(&self.table, &terms, "terms")?;
        let tokens = weighted_rows(&self.table, terms, weights);
        let [_, width] = tokens.dims();
        Ok(Features::row(tokens.reshape([batch, 1, width])))
    }

    fn output(&self) -> FeatureSpec {
        let [_, width] = self.table.lazy_shape().dims();
        FeatureSpec::row(1, width)
    }

    /// Counted for a text with as many terms as there can be.
    fn layers(&self) -> Vec<Layer> {
        let output = self.output();
        vec![Layer {
            name: "terms".to_owned(),
            output: output.to_string(),
            parameters: self.num_params(),
            flops: 2 * (self.most * output.width) as u64,
            activations: output.width,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{TensorData, Tolerance};

    fn inputs(terms: Vec<i64>, weights: Vec<f32>, shape: [usize; 2], device: &Device) -> Inputs {
        let named = |name: &str, data| (name.to_owned(), data);
        let weights = TensorData::new(weights, [shape[0], shape[1]]);
        Inputs::new(vec![named(TERMS, TensorData::new(terms, shape)), named(WEIGHTS, weights)], device)
    }

    #[test]
    fn a_text_is_the_weighted_sum_of_its_terms() {
        let device = ansatz_device::open("cpu").unwrap();
        let stem = TermSum::new(5, 9, 3, &device);
        let given = inputs(vec![4, 1, 2, 0], vec![0.5, -2.0, 3.0, 0.0], [2, 2], &device);
        let row = |index: usize| stem.table.val().narrow(0, index, 1);
        let expected = Tensor::cat(vec![row(4) * 0.5 - row(1) * 2.0, row(2) * 3.0], 0);
        let found = stem.forward(&given).unwrap().tokens.squeeze_dim::<2>(1);
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::default());
        assert_eq!(stem.layers()[0].flops, 54);
        assert!(stem.table.val().into_data().iter::<f32>().all(|value| value.abs() <= 1.0 / 3.0));
    }

    #[test]
    fn terms_that_are_unknown_or_missing_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let stem = TermSum::new(5, 9, 3, &device);
        let message = |terms, weights, shape| {
            stem.forward(&inputs(terms, weights, shape, &device)).unwrap_err().to_string()
        };
        assert!(message(vec![5], vec![1.0], [1, 1]).contains("5 is not among the 5"));
        assert!(message(vec![-1], vec![1.0], [1, 1]).contains("-1 is not among the 5"));
        assert!(message(vec![], vec![], [1, 0]).contains("at least one"));
        let fewer = TensorData::new(vec![1.0_f32], [1, 1]);
        let terms = TensorData::new(vec![1_i64, 2], [1, 2]);
        let given = Inputs::new(vec![(TERMS.to_owned(), terms), (WEIGHTS.to_owned(), fewer)], &device);
        assert!(stem.forward(&given).unwrap_err().to_string().contains("one for each of [1, 2] terms"));
        assert!(stem.forward(&Inputs::new(vec![], &device)).is_err());
    }
}
