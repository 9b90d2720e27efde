//! How tokens are told where they stand.

use ansatz_core::FeatureSpec;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, assert_shape};

use crate::PositionKind;

/// Adds to each token a vector that depends on its position alone.
///
/// ```text
/// sinusoidal: p(t, 2i) = sin(t / 10000^(2i/width)), p(t, 2i+1) = cos(t / 10000^(2i/width))
///             Vaswani et al. 2017, section 3.5
/// learned:    drawn from a normal distribution of deviation 0.02
///             Dosovitskiy et al. 2021, google-research/vision_transformer
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Positions {
    /// `[positions, width]`, where they are learned.
    pub learned: Option<Param<Tensor<2>>>,
    #[module(skip)]
    kind: PositionKind,
}

impl Positions {
    pub(crate) fn new(kind: PositionKind, input: &FeatureSpec, device: &Device) -> Self {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let learned = kind == PositionKind::Learned;
        Self { learned: learned.then(|| normal.init([input.length, input.width], device)), kind }
    }

    /// Adds the positions from `first` on.
    ///
    /// # Panics
    /// When positions are learned and there are fewer of them than tokens.
    pub fn forward(&self, tokens: Tensor<3>, first: usize) -> Tensor<3> {
        let [_, length, width] = tokens.dims();
        let added = match (&self.learned, self.kind) {
            (Some(table), _) => {
                let table = table.val();
                let [known, _] = table.dims();
                assert!(first + length <= known, "{} tokens, but {known} learned positions", first + length);
                table.narrow(0, first, length)
            }
            (None, PositionKind::Sinusoidal) => sinusoidal(first, length, width, &tokens),
            (None, _) => return tokens,
        };
        assert_shape!(added, [length, width]);
        tokens + added.unsqueeze()
    }

    /// How many positions there are; `None` when they have no end.
    pub(crate) fn known(&self) -> Option<usize> {
        self.learned.as_ref().map(|table| table.lazy_shape()[0])
    }

    /// Floating-point operations for one token of `width` values.
    pub(crate) fn flops(&self, width: usize) -> u64 {
        if self.kind == PositionKind::None { 0 } else { width as u64 }
    }
}

/// `[length, width]`, of the kind and on the device of `like`.
fn sinusoidal(first: usize, length: usize, width: usize, like: &Tensor<3>) -> Tensor<2> {
    let device = like.device();
    let range = |range: std::ops::Range<usize>| {
        Tensor::<1, Int>::arange(range.start as i64..range.end as i64, &device).float().cast(like.dtype())
    };
    let pairs = width.div_ceil(2);
    let rates = (range(0..pairs) * (-2.0 * 10000f64.ln() / width as f64)).exp();
    let angles = range(first..first + length).reshape([length, 1]) * rates.reshape([1, pairs]);
    // Sine and cosine alternate; of an odd width the last cosine is left out.
    let waves = Tensor::stack::<3>(vec![angles.clone().sin(), angles.cos()], 2);
    waves.reshape([length, 2 * pairs]).narrow(1, 0, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_are_those_of_the_paper() {
        let device = ansatz_device::open("cpu").unwrap();
        for (first, length, width) in [(0, 3, 4), (5, 2, 7), (0, 1, 1)] {
            let positions = Positions::new(PositionKind::Sinusoidal, &FeatureSpec::row(1, width), &device);
            let zeros = Tensor::zeros([1, length, width], &device);
            let values = positions.forward(zeros, first).into_data().try_to_vec::<f32>().unwrap();
            for token in 0..length {
                for channel in 0..width {
                    let rate = 10000f64.powf(-((channel / 2 * 2) as f64) / width as f64);
                    let angle = (first + token) as f64 * rate;
                    let expected = if channel % 2 == 0 { angle.sin() } else { angle.cos() };
                    assert!((f64::from(values[token * width + channel]) - expected).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn learned_positions_are_counted_from_the_first() {
        let device = ansatz_device::open("cpu").unwrap();
        let positions = Positions::new(PositionKind::Learned, &FeatureSpec::row(5, 2), &device);
        let all = positions.forward(Tensor::zeros([1, 5, 2], &device), 0);
        let last = positions.forward(Tensor::zeros([1, 2, 2], &device), 3);
        last.into_data().assert_eq(&all.narrow(1, 3, 2).into_data(), true);
    }
}
