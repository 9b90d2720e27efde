//! From a record to tokens.

use ansatz_core::{Error, FeatureSpec, Features, Inputs, Layer, Result, Stem};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::Column;

/// The input of numbers `[batch, number columns]`, on the scale of the training part.
pub const NUMBERS: &str = "numbers";
/// The input `[batch, number columns]` that is 1 where a number is missing, else 0.
pub const MISSING: &str = "missing";
/// The input of whole numbers `[batch, category columns]`: rows of the table of all embeddings.
pub const CATEGORIES: &str = "categories";

/// A token for each column (Gorishniy et al. 2021, arXiv:2106.11959, section 3.3):
///
/// ```text
/// number:   T_j = x_j w_j + b_j, and b_j + m_j where x_j is missing
/// category: T_j = E_j[x_j] + b_j
/// ```
///
/// Numbers come first, then categories, in front of all a class token where there is one. All are drawn from
/// U(−1/√width, 1/√width), as published; m_j and what stands for a category that is missing or was never seen begin at
/// 0, so that they say nothing until they have been trained.
///
/// # Shapes
/// [`NUMBERS`] and [`MISSING`] `[batch, numbers]`, [`CATEGORIES`] `[batch, categories]` → `[batch, columns, width]`.
#[derive(Module, Debug)]
pub struct ColumnTokens {
    /// w `[numbers, width]`, where there are numbers.
    pub weight: Option<Param<Tensor<2>>>,
    /// m `[numbers, width]`, where there are numbers.
    pub missing: Option<Param<Tensor<2>>>,
    /// E `[rows of all columns, width]`, where there are categories.
    pub table: Option<Param<Tensor<2>>>,
    /// b `[columns, width]`.
    pub bias: Param<Tensor<2>>,
    /// In front of the columns, `[1, width]`.
    pub class_token: Option<Param<Tensor<2>>>,
    categories: usize,
}

impl ColumnTokens {
    /// A stem for these columns, at least one.
    pub fn new(columns: &[Column], class_token: bool, width: usize, device: &Device) -> Self {
        let bound = 1.0 / (width as f64).sqrt();
        let uniform =
            |rows: usize| Initializer::Uniform { min: -bound, max: bound }.init([rows, width], device);
        let categories = columns.iter().filter(|column| column.rows() > 0).count();
        let numbers = columns.len() - categories;
        Self {
            weight: (numbers > 0).then(|| uniform(numbers)),
            missing: (numbers > 0).then(|| Initializer::Zeros.init([numbers, width], device)),
            table: (categories > 0).then(|| embeddings(columns, bound, width, device)),
            bias: uniform(columns.len()),
            class_token: class_token.then(|| uniform(1)),
            categories,
        }
    }

    /// The input `name`, of one value for each of `columns`.
    fn read(inputs: &Inputs, name: &str, columns: usize) -> Result<Tensor<2>> {
        let values = inputs.float::<2>(name)?;
        let [_, given] = values.dims();
        if given == columns {
            return Ok(values);
        }
        let remedy = "prepare the records with the encoder of the run";
        Err(Error::input(
            format!("the {name} of records"),
            format!("{given} columns"),
            columns.to_string(),
            remedy,
        ))
    }
}

/// The embeddings of all columns, of each the two first zeros.
fn embeddings(columns: &[Column], bound: f64, width: usize, device: &Device) -> Param<Tensor<2>> {
    let rows = |column: &Column| column.rows();
    let drawn: Param<Tensor<2>> = Initializer::Uniform { min: -bound, max: bound }
        .init([columns.iter().map(rows).sum(), width], device);
    let kept = columns
        .iter()
        .filter(|column| column.rows() > 0)
        .flat_map(|column| (0..column.rows()).map(|row| if row < 2 { 0.0f32 } else { 1.0 }));
    let kept: Vec<f32> = kept.collect();
    let count = kept.len();
    let kept =
        Tensor::<1>::from_data(burn::tensor::TensorData::new(kept, [count]), device).reshape([count, 1]);
    Param::from_tensor((drawn.val() * kept).detach())
}

impl Stem for ColumnTokens {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let mut parts = Vec::new();
        if let (Some(weight), Some(missing)) = (&self.weight, &self.missing) {
            let [count, width] = weight.dims();
            let values = Self::read(inputs, NUMBERS, count)?;
            let gaps = Self::read(inputs, MISSING, count)?;
            let [batch, _] = values.dims();
            let times = |values: Tensor<2>, vectors: Tensor<2>| {
                values.reshape([batch, count, 1]) * vectors.reshape([1, count, width])
            };
            parts.push(times(values, weight.val()) + times(gaps, missing.val()));
        }
        if let Some(table) = &self.table {
            let rows = inputs.int::<2>(CATEGORIES)?;
            let [batch, count] = rows.dims();
            let [_, width] = table.dims();
            if count != self.categories {
                let problem = format!("{count} columns");
                let remedy = "prepare the records with the encoder of the run";
                let expected = self.categories.to_string();
                return Err(Error::input("the categories of records", problem, expected, remedy));
            }
            parts.push(table.val().select(0, rows.reshape([batch * count])).reshape([batch, count, width]));
        }
        let tokens = Tensor::cat(parts, 1) + self.bias.val().unsqueeze();
        let [batch, columns, width] = tokens.dims();
        let tokens = match &self.class_token {
            Some(token) => {
                Tensor::cat(vec![token.val().reshape([1, 1, width]).expand([batch, 1, width]), tokens], 1)
            }
            None => tokens,
        };
        assert_shape!(tokens, [batch, columns + usize::from(self.class_token.is_some()), width]);
        Ok(Features::row(tokens))
    }

    fn output(&self) -> FeatureSpec {
        let [columns, width] = self.bias.lazy_shape().dims();
        FeatureSpec::row(columns + usize::from(self.class_token.is_some()), width)
    }

    fn layers(&self) -> Vec<Layer> {
        let output = self.output();
        let [columns, width] = self.bias.lazy_shape().dims();
        let numbers = columns - self.categories;
        vec![Layer {
            name: "columns".to_owned(),
            output: output.to_string(),
            parameters: self.num_params(),
            flops: (width * (4 * numbers + columns)) as u64,
            activations: output.length * output.width,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{TensorData, Tolerance};

    fn columns() -> Vec<Column> {
        vec![
            Column::Number { name: "age".to_owned(), mean: 0.0, deviation: 1.0 },
            Column::Category { name: "sex".to_owned(), values: vec!["f".to_owned(), "m".to_owned()] },
            Column::Number { name: "size".to_owned(), mean: 0.0, deviation: 1.0 },
        ]
    }

    fn inputs(device: &Device) -> Inputs {
        let floats = |name: &str, values: [[f32; 2]; 2]| (name.to_owned(), TensorData::from(values));
        let given = vec![
            floats(NUMBERS, [[2.0, -1.0], [0.0, 3.0]]),
            floats(MISSING, [[0.0, 0.0], [1.0, 0.0]]),
            (CATEGORIES.to_owned(), TensorData::from([[3i64], [1]])),
        ];
        Inputs::new(given, device)
    }

    #[test]
    fn a_token_is_what_the_paper_says() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut stem = ColumnTokens::new(&columns(), true, 4, &device);
        stem.missing = Some(Param::from_tensor(Tensor::ones([2, 4], &device)));
        let found = stem.forward(&inputs(&device)).unwrap().tokens;
        assert_eq!(found.dims(), [2, 4, 4]);
        let list = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
        let (weight, bias) = (list(stem.weight.as_ref().unwrap().val()), list(stem.bias.val()));
        let (table, class) =
            (list(stem.table.as_ref().unwrap().val()), list(stem.class_token.as_ref().unwrap().val()));
        let mut expected = Vec::new();
        for (numbers, missing, row) in [([2.0, -1.0], [0.0, 0.0], 3), ([0.0, 3.0], [1.0, 0.0], 1)] {
            expected.extend(class.clone());
            for (column, (number, gap)) in numbers.iter().zip(missing).enumerate() {
                expected
                    .extend((0..4).map(|at| number * weight[column * 4 + at] + gap + bias[column * 4 + at]));
            }
            expected.extend((0..4).map(|at| table[row * 4 + at] + bias[2 * 4 + at]));
        }
        let expected = TensorData::new(expected, [2, 4, 4]);
        found.into_data().assert_approx_eq::<f32>(&expected, Tolerance::default());
        assert_eq!(stem.output(), FeatureSpec::row(4, 4));
        assert_eq!(stem.layers()[0].parameters, 2 * 4 * 2 + 4 * 4 + 3 * 4 + 4);
    }

    #[test]
    fn what_was_never_trained_says_nothing_and_what_was_drawn_learns() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let stem = ColumnTokens::new(&columns(), false, 4, &device);
        let table = stem.table.as_ref().unwrap();
        let rows: Vec<f32> = table.val().into_data().try_to_vec().unwrap();
        assert!(rows[..8].iter().all(|value| *value == 0.0) && rows[8..].iter().all(|value| *value != 0.0));
        let gradients = stem.forward(&inputs(&device)).unwrap().tokens.sum().backward();
        assert!(table.grad(&gradients).is_some() && stem.bias.grad(&gradients).is_some());
    }

    #[test]
    fn records_of_other_columns_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let stem = ColumnTokens::new(&columns()[..2], false, 4, &device);
        assert!(stem.forward(&inputs(&device)).unwrap_err().to_string().contains("2 columns"));
        let stem = ColumnTokens::new(&columns()[1..2], false, 4, &device);
        assert_eq!(stem.forward(&inputs(&device)).unwrap().tokens.dims(), [2, 1, 4]);
    }
}
