//! What is no matrix, and is not quantized.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData, bf16};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of parameters and buffers of one axis: biases, gains, moments of norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Vectors {
    /// They stay as they are.
    #[default]
    Float32,
    /// They are rounded to the nearest bfloat16 number, which takes half the room on disk: 8 bits of precision, as the
    /// matrices have, with the range of float32.
    Bfloat16,
}

impl Vectors {
    /// The same module with rounded vectors.
    pub(crate) fn round<M: Module>(self, module: M) -> M {
        match self {
            Self::Float32 => module,
            Self::Bfloat16 => module.map(&mut Rounding),
        }
    }
}

struct Rounding;

impl ModuleMapper for Rounding {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 1 {
            return param;
        }
        param.map(|vector| {
            let device = vector.device();
            let data = vector.into_data();
            let values: Vec<f32> = data.iter::<f32>().map(nearest).collect();
            Tensor::from_data(TensorData::new(values, data.shape().clone()), &device)
        })
    }
}

/// The nearest bfloat16 number, of two as near the one whose last bit is 0; what is not finite stays.
fn nearest(value: f32) -> f32 {
    bf16::from_f32(value).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::tests::mixed;

    #[test]
    fn the_nearest_number_of_half_the_bits_is_found() {
        for (value, expected) in
            [(1.0, 1.0), (-3.2, -3.203_125), (1.003_906_3, 1.0), (1.011_718_8, 1.015_625), (0.0, 0.0)]
        {
            assert_eq!(nearest(value), expected, "{value}");
        }
        assert!(nearest(f32::NAN).is_nan() && nearest(f32::INFINITY).is_infinite());
    }

    #[test]
    fn vectors_are_rounded_and_matrices_are_not() {
        let device = ansatz_device::open("cpu").unwrap();
        let plain = mixed(&device);
        let [bias, weight] = {
            let layer = &plain.layers[0];
            [layer.bias.as_ref().unwrap().val().into_data(), layer.weight.val().into_data()]
        };
        let rounded = Vectors::Bfloat16.round(plain.clone());
        let found = rounded.layers[0].bias.as_ref().unwrap().val().into_data();
        let expected: Vec<f32> = bias.iter::<f32>().map(nearest).collect();
        assert_eq!(found.try_to_vec::<f32>().unwrap(), expected);
        assert_ne!(found, bias);
        assert_eq!(rounded.layers[0].weight.val().into_data(), weight);
        assert_eq!(Vectors::Float32.round(plain).layers[0].bias.as_ref().unwrap().val().into_data(), bias);
    }
}
