//! `activations`: how the inputs of quantized layers become bytes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use ansatz_core::{ConfigError, Error, Result};
use ansatz_ops::InputRange;
use burn::module::Module;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Weight;
use crate::calibrate::{Examples, gather, identities, no_examples};
use crate::histogram::Histogram;

/// How the inputs of quantized layers become bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(inline)]
pub enum Activations {
    /// Each row, or picture, by its own least and largest value, found on the spot.
    #[default]
    Dynamic,
    /// By a range that is found beforehand for each layer: less work, but what lies beyond is cut off. Layers that show no
    /// inputs, or compute with floats whatever their weight is, have none.
    Static(RangesConfig),
}

/// Which range a layer's inputs have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct RangesConfig {
    /// How it follows from the inputs that were seen.
    pub method: RangeMethod,
    /// How many examples are looked at, at least 1, all of the training part, drawn by the run's seed and not varied; where
    /// it has fewer, all of it.
    pub examples: NonZeroUsize,
}

impl Default for RangesConfig {
    fn default() -> Self {
        const EXAMPLES: NonZeroUsize = NonZeroUsize::new(512).expect("above 0");
        Self { method: RangeMethod::MinMax, examples: EXAMPLES }
    }
}

/// How a range follows from the inputs that were seen. What is cut off is cut off at one magnitude on both sides of 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(inline)]
pub enum RangeMethod {
    /// From the least to the largest.
    MinMax,
    /// So that as many of a hundred lie within, above 50 up to 100.
    Percentile(f64),
    /// So that the inputs' distribution loses least information by becoming bytes: the least Kullback–Leibler divergence
    /// (Migacz, "8-bit inference with TensorRT", 2017).
    Entropy,
}

impl Activations {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// With the path of the value at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Static(RangesConfig { method: RangeMethod::Percentile(percentile), .. })
                if !(*percentile > 50.0 && *percentile <= 100.0) =>
            {
                Err(ConfigError::value(
                    "activations.static.method.percentile",
                    percentile.to_string(),
                    "a number above 50, up to 100",
                ))
            }
            _ => Ok(()),
        }
    }
}

impl RangesConfig {
    /// The ranges of the inputs of those of `weights` whose layers use one, least and largest, by the weights' names.
    ///
    /// # Errors
    /// When there are no examples, the module refuses one, an input is not finite, or no layer uses a range.
    pub(crate) fn ranges<M: Module, B>(
        &self,
        module: &M,
        examples: &Examples<'_, M, B>,
        weights: &[Weight],
    ) -> Result<BTreeMap<String, [f32; 2]>> {
        let first = examples.batches.first().ok_or_else(no_examples)?;
        let (done, used) = InputRange::used_by(|| (examples.forward)(module, first));
        done?;
        let names: Vec<String> = weights.iter().map(|weight| weight.name.clone()).collect();
        let used: Vec<String> = identities(module, &names)?
            .into_iter()
            .filter(|(id, _)| used.contains(id))
            .map(|(_, name)| name)
            .collect();
        let found = gather::<Histogram, _, _>(module, examples, &used)?;
        if found.is_empty() {
            return Err(Error::input(
                "activations.static",
                "no layer that is quantized takes a range of its inputs",
                "a network with linear layers or convolutions that compute by themselves",
                "leave activations dynamic",
            ));
        }
        let range = |(name, histogram): (String, Histogram)| match histogram.range(self.method) {
            Some(range) => Ok((name, range)),
            None => Err(Error::input(
                format!("`{name}`"),
                "the examples make inputs of it that are not finite",
                "a network that answers its training part with numbers",
                "train it anew, or leave activations dynamic",
            )),
        };
        found.into_iter().map(range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::{Network, forward, network, pictures};
    use crate::{CalibrationConfig, Method, QuantizeConfig, Unseen};
    use burn::tensor::Tensor;

    fn bounds<const D: usize>(weight: &burn::module::Param<Tensor<D>>) -> Option<Vec<f32>> {
        let range = weight.reparameterization::<InputRange>()?;
        Some(range.bounds.val().into_data().try_to_vec::<f32>().unwrap())
    }

    fn config(method: RangeMethod) -> QuantizeConfig {
        let ranges = RangesConfig { method, ..RangesConfig::default() };
        QuantizeConfig { activations: Activations::Static(ranges), ..QuantizeConfig::default() }
    }

    #[test]
    fn each_layer_that_multiplies_whole_numbers_has_the_range_of_its_inputs() {
        let device = ansatz_device::open("cpu").unwrap();
        let (network, pictures) = (network(&device), pictures(&device, 3));
        let examples = Examples { batches: &pictures, forward: &forward };
        let gptq = CalibrationConfig { unseen: Unseen::Plain, ..CalibrationConfig::default() };
        let gptq =
            QuantizeConfig { method: Method::Gptq, calibration: Some(gptq), ..config(RangeMethod::MinMax) };
        let pixels = Tensor::cat(pictures.clone(), 0);
        let expected = [pixels.clone().min(), pixels.max()].map(|bound| bound.into_scalar::<f32>());
        for config in [config(RangeMethod::MinMax), gptq] {
            let quantized = config.quantize_with(network.clone(), &examples).unwrap();
            assert_eq!(bounds(&quantized.convolution.conv.weight).unwrap(), expected);
            assert_eq!(bounds(&quantized.twins[0].weight).unwrap()[0], 0.0, "a rectifier stands before it");
            assert!(bounds(&quantized.twins[1].weight).is_some());
            // burn's own layer computes with floats.
            assert_eq!(bounds(&quantized.hidden.weight), None);
        }
        let bounds = |method| {
            let quantized: Network = config(method).quantize_with(network.clone(), &examples).unwrap();
            bounds(&quantized.convolution.conv.weight).unwrap()
        };
        for method in [RangeMethod::Percentile(99.0), RangeMethod::Entropy] {
            let found = bounds(method);
            assert!(found[0] >= expected[0] && found[1] <= expected[1], "{method:?}: {found:?} {expected:?}");
            assert!(found[1] > 0.2 * expected[1], "{method:?}: {found:?} {expected:?}");
        }
        assert!(bounds(RangeMethod::Percentile(99.0))[1] < expected[1]);
    }

    #[test]
    fn without_examples_or_with_what_is_not_finite_there_is_no_range() {
        let device = ansatz_device::open("cpu").unwrap();
        let network = network(&device);
        let config = config(RangeMethod::MinMax);
        let message = config.quantize(network.clone()).unwrap_err().to_string();
        assert!(message.contains("there are no examples"), "{message}");
        let none = Examples { batches: &[], forward: &forward };
        assert!(config.quantize_with(network.clone(), &none).is_err());
        let pictures = [Tensor::<4>::full([24, 2, 4, 4], f32::NAN, &device)];
        let examples = Examples { batches: &pictures, forward: &forward };
        let message = config.quantize_with(network.clone(), &examples).unwrap_err().to_string();
        assert!(message.contains("not finite"), "{message}");
        let only = QuantizeConfig { only: vec!["hidden".to_owned()], ..config };
        let pictures = pictures.map(|picture| picture.zeros_like());
        let examples = Examples { batches: &pictures, forward: &forward };
        let message = only.quantize_with(network, &examples).unwrap_err().to_string();
        assert!(message.contains("no layer that is quantized takes a range"), "{message}");
    }
}
