//! Maps through few values: what makes decays and gates of the tokens at little cost.

use ansatz_ops::{Linear, sigmoid};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// The function between the two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Tanh,
    Sigmoid,
    Nothing,
}

/// `f(x A) B + b`, where A has few columns.
///
/// A begins as zeros and B as a tenth of an orthogonal map, so that a fresh one is its bias alone
/// (RWKV-LM, RWKV-v7/train_temp/src/model.py).
///
/// # Shapes
/// `[batch, length, inputs]` → `[batch, length, outputs]`
#[derive(Module, Debug)]
pub struct LowRank {
    /// A `[inputs, rank]`.
    pub contract: Linear,
    /// B `[rank, outputs]`, and b where there is one.
    pub expand: Linear,
    #[module(skip)]
    between: Between,
}

impl LowRank {
    pub(crate) fn new(
        [inputs, rank, outputs]: [usize; 3],
        between: Between,
        bias: Option<Param<Tensor<1>>>,
        device: &Device,
    ) -> Self {
        let gain = 0.1 * (rank as f64 / outputs as f64).sqrt().max(1.0);
        let expand = Initializer::Orthogonal { gain };
        Self {
            contract: Linear { weight: Initializer::Zeros.init([inputs, rank], device), bias: None },
            expand: Linear { weight: expand.init([rank, outputs], device), bias },
            between,
        }
    }

    pub(crate) fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let few = self.contract.forward(tokens);
        self.expand.forward(match self.between {
            Between::Tanh => few.tanh(),
            Between::Sigmoid => sigmoid(few),
            Between::Nothing => few,
        })
    }

    /// Multiplications and additions for one token.
    pub(crate) fn flops(&self) -> usize {
        let maps = [&self.contract, &self.expand];
        maps.iter().map(|map| 2 * map.weight.lazy_shape().num_elements()).sum()
    }
}
