//! One shape on which the properties are checked, and the random inputs that belong to it.

use ansatz_core::{FeatureSpec, Features};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One shape, with a seed from which all its random numbers follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) batch: usize,
    pub(crate) input: FeatureSpec,
    pub(crate) seed: u64,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "batch {}, {}, seed {}", self.batch, self.input, self.seed)
    }
}

/// Values of a standard normal distribution, by Box and Muller 1958.
pub(crate) fn normal(random: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    let draw = |random: &mut ChaCha8Rng| {
        let (radius, angle) = (1.0 - random.random::<f64>(), random.random::<f64>());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    };
    (0..count).map(|_| draw(random)).collect()
}

impl Case {
    /// A stream of random numbers for one `purpose`.
    pub(crate) fn random(&self, purpose: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Normal tokens in float32; the same for the same purpose.
    pub(crate) fn tokens(&self, purpose: u64, device: &Device) -> Tensor<3> {
        self.tokens_of(DType::F32, purpose, device)
    }

    /// The same values as another type of float.
    pub(crate) fn tokens_of(&self, dtype: DType, purpose: u64, device: &Device) -> Tensor<3> {
        let shape = [self.batch, self.input.length, self.input.width];
        let values = normal(&mut self.random(purpose), shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), (device, dtype))
    }

    /// Features around `tokens`.
    pub(crate) fn features(&self, tokens: Tensor<3>) -> Features {
        Features { grid: self.input.grid, ..Features::row(tokens) }
    }

    /// The same case with another batch size.
    pub(crate) fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The same case with another length.
    pub(crate) fn with_length(self, length: usize) -> Self {
        Self { input: FeatureSpec { length, ..self.input }, ..self }
    }
}

/// The mask of these rows on `device`, true where a token is real.
pub(crate) fn mask(rows: &[Vec<bool>], device: &Device) -> Tensor<2, Bool> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), device)
}

/// Random lengths, each up to half of `total`, that add up to it.
pub(crate) fn split(random: &mut ChaCha8Rng, total: usize) -> Vec<usize> {
    let mut parts = Vec::new();
    let mut left = total;
    while left > 0 {
        let part = random.random_range(1..=left.min(total.div_ceil(2)));
        parts.push(part);
        left -= part;
    }
    parts
}
