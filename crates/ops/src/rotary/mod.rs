//! Positions as rotations: queries and keys are turned by their place, so that their product knows the distance.

mod scaling;

use burn::tensor::{Tensor, TensorData, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use scaling::RotaryScaling;

/// How queries and keys are turned by their position (Su et al., RoFormer, 2021, arXiv:2104.09864).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotaryConfig {
    /// The longest wave is about `2π · base` positions long; above 1.
    pub base: f64,
    /// The share of each head that is turned, its first values, above 0 up to 1; the rest passes as it is. An odd
    /// number of values takes one more with it, as in published code.
    #[schemars(range(max = 1.0))]
    pub fraction: f64,
    /// Which two values are turned together.
    pub pairing: RotaryPairing,
    /// How the waves are stretched for texts longer than those of pretraining. Left out: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<RotaryScaling>,
}

/// Which two values of a head are turned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RotaryPairing {
    /// Value i of the first half with value i of the second, as in Llama's published weights.
    #[default]
    Halves,
    /// Values 2i and 2i + 1, as in the paper and in GPT-J.
    Neighbours,
}

impl Default for RotaryConfig {
    fn default() -> Self {
        Self { base: 10000.0, fraction: 1.0, pairing: RotaryPairing::Halves, scaling: None }
    }
}

impl RotaryConfig {
    /// The rotation of heads of `width` values.
    ///
    /// # Errors
    /// With the key at fault, the problem, and what was expected.
    pub fn init(&self, width: usize) -> Result<Rotary, (&'static str, String, &'static str)> {
        if !(self.base.is_finite() && self.base > 1.0) {
            return Err(("base", self.base.to_string(), "a number above 1"));
        }
        if !(self.fraction > 0.0 && self.fraction <= 1.0) {
            return Err(("fraction", self.fraction.to_string(), "above 0 up to 1"));
        }
        // Published configs round down.
        let turned = (width as f64 * self.fraction) as usize;
        // The last of an odd number of values takes one more with it, though the waves go by the odd number.
        let pairs = turned.div_ceil(2);
        if turned == 0 || 2 * pairs > width {
            let problem = format!("{turned} of a head's {width} values are turned");
            return Err((
                "fraction",
                problem,
                "at least one value and its partner: they are turned in pairs",
            ));
        }
        // θ_i = base^(−2i/d), section 3.2.2.
        let rates = (0..pairs).map(|pair| self.base.powf(-((2 * pair) as f64) / turned as f64)).collect();
        let (rates, magnitude) = match &self.scaling {
            Some(scaling) => scaling.apply(rates, self.base)?,
            None => (rates, 1.0),
        };
        Ok(Rotary { rates, magnitude, pairing: self.pairing })
    }
}

/// Turns each pair of values of a head by an angle that grows with the position (RoFormer, equation 34):
///
/// ```text
/// (a, b) at position m → m_s (a cos mθ_i − b sin mθ_i, b cos mθ_i + a sin mθ_i)
/// θ_i = base^(−2i/d) for pair i of d turned values, stretched as the scaling says
/// m_s = 1, or what the scaling multiplies
/// ```
///
/// The product of a query at m and a key at n then depends on m − n alone. Angles are computed in float64:
/// in float32 they would be off by 1e-4 at position 2000.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// θ in radians per position, one for each pair.
    rates: Vec<f64>,
    magnitude: f64,
    pairing: RotaryPairing,
}

impl Rotary {
    /// θ in radians per position, one for each pair of values.
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// Turns `heads`, `[batch, length, heads, width]`, whose first token stands at position `first`.
    pub fn forward(&self, heads: Tensor<4>, first: usize) -> Tensor<4> {
        let [batch, length, count, width] = heads.dims();
        let pairs = self.rates.len();
        let [cos, sin] = self.waves(&heads, first, length);
        let turned = heads.clone().narrow(3, 0, 2 * pairs);
        let turned = match self.pairing {
            RotaryPairing::Halves => {
                let a = turned.clone().narrow(3, 0, pairs);
                let b = turned.narrow(3, pairs, pairs);
                Tensor::cat(rotate(a, b, cos, sin).to_vec(), 3)
            }
            RotaryPairing::Neighbours => {
                let apart = turned.reshape([batch, length, count, pairs, 2]);
                let value = |index| apart.clone().narrow(4, index, 1).squeeze_dim::<4>(4);
                let turned = rotate(value(0), value(1), cos, sin);
                Tensor::stack::<5>(turned.to_vec(), 4).reshape([batch, length, count, 2 * pairs])
            }
        };
        let all = match width - 2 * pairs {
            0 => turned,
            rest => Tensor::cat(vec![turned, heads.narrow(3, 2 * pairs, rest)], 3),
        };
        assert_shape!(all, [batch, length, count, width]);
        all
    }

    /// Cosines and sines `[1, length, 1, pairs]` of the positions from `first` on, of the kind and on the device
    /// of `like`.
    fn waves(&self, like: &Tensor<4>, first: usize, length: usize) -> [Tensor<4>; 2] {
        let angles =
            (first..first + length).flat_map(|at| self.rates.iter().map(move |rate| at as f64 * rate));
        let (sin, cos): (Vec<f64>, Vec<f64>) = angles.map(f64::sin_cos).unzip();
        [cos, sin].map(|mut wave| {
            if self.magnitude != 1.0 {
                wave.iter_mut().for_each(|value| *value *= self.magnitude);
            }
            let data = TensorData::new(wave, [1, length, 1, self.rates.len()]);
            Tensor::from_data(data, (&like.device(), like.dtype()))
        })
    }
}

fn rotate(a: Tensor<4>, b: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> [Tensor<4>; 2] {
    [a.clone() * cos.clone() - b.clone() * sin.clone(), b * cos + a * sin]
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::{Device, Tolerance};

    /// The equation, one pair of one token at a time.
    fn naive(config: &RotaryConfig, heads: &Tensor<4>, first: usize) -> TensorData {
        let [batch, length, count, width] = heads.dims();
        let turned = (width as f64 * config.fraction) as usize;
        let mut values = heads.to_data().try_to_vec::<f32>().unwrap();
        for row in 0..batch * length * count {
            let position = (first + row / count % length) as f64;
            let head = &mut values[row * width..(row + 1) * width];
            let pairs = turned.div_ceil(2);
            for pair in 0..pairs {
                let (left, right) = match config.pairing {
                    RotaryPairing::Halves => (pair, pair + pairs),
                    RotaryPairing::Neighbours => (2 * pair, 2 * pair + 1),
                };
                let angle = position / config.base.powf(2.0 * pair as f64 / turned as f64);
                let (a, b) = (f64::from(head[left]), f64::from(head[right]));
                head[left] = (a * angle.cos() - b * angle.sin()) as f32;
                head[right] = (b * angle.cos() + a * angle.sin()) as f32;
            }
        }
        TensorData::new(values, [batch, length, count, width])
    }

    #[test]
    fn pairs_are_turned_by_the_equation() {
        let device = Device::flex();
        for (shape, fraction, base) in [
            ([1, 1, 1, 2], 1.0, 10000.0),
            ([2, 5, 3, 8], 0.5, 500.0),
            ([1, 3, 2, 7], 0.6, 20.0),
            ([1, 3, 2, 14], 0.5, 20.0),
        ] {
            for pairing in [RotaryPairing::Halves, RotaryPairing::Neighbours] {
                for first in [0, 1000] {
                    let config = RotaryConfig { base, fraction, pairing, scaling: None };
                    let heads = random(shape, &device);
                    let found = config.init(shape[3]).unwrap().forward(heads.clone(), first);
                    let expected = naive(&config, &heads, first);
                    found.into_data().assert_approx_eq::<f32>(&expected, Tolerance::default());
                }
            }
        }
    }

    #[test]
    fn products_depend_on_the_distance_alone() {
        let device = Device::flex();
        for pairing in [RotaryPairing::Halves, RotaryPairing::Neighbours] {
            let rotary = RotaryConfig { pairing, ..RotaryConfig::default() }.init(6).unwrap();
            let [query, key] = [(); 2].map(|()| random([1, 1, 1, 6], &device));
            let product = |at: usize, from: usize| {
                let pair = rotary.forward(query.clone(), at) * rotary.forward(key.clone(), from);
                pair.sum().into_scalar::<f32>()
            };
            assert!((product(7, 3) - product(104, 100)).abs() < 1e-5);
            assert!((product(7, 3) - product(3, 7)).abs() > 1e-4, "the direction is told apart");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let default = RotaryConfig::default();
        for (config, width, key) in [
            (RotaryConfig { base: 1.0, ..default }, 8, "base"),
            (RotaryConfig { base: f64::NAN, ..default }, 8, "base"),
            (RotaryConfig { fraction: 0.0, ..default }, 8, "fraction"),
            (RotaryConfig { fraction: 1.5, ..default }, 8, "fraction"),
            (RotaryConfig { fraction: 0.1, ..default }, 8, "fraction"),
            (default, 7, "fraction"),
            (
                RotaryConfig { scaling: Some(RotaryScaling::Linear { factor: 0.5 }), ..default },
                8,
                "scaling.factor",
            ),
        ] {
            assert_eq!(config.init(width).unwrap_err().0, key, "{config:?}");
        }
    }
}
