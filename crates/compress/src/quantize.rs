//! `kind = "quantize"`: weights in few bits.

use ansatz_core::{ConfigError, Error, Result};
use ansatz_ops::{Granularity, Levels, Mapping, Scales, ZeroPoints, quantized};
use ansatz_run::{Place, check_groups, check_rounding};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::calibrate::CalibrationConfig;
use crate::method::Method;
use crate::ranges::Activations;
use crate::rounding::{Rounded, round};
use crate::{Layers, Vectors, Weight, weights};

/// Rounds weights to whole numbers with scales.
///
/// Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuantizeConfig {
    /// Bits of a weight on disk, 2 to 8. In memory each weight takes a byte.
    #[schemars(range(min = 2, max = 8))]
    pub bits: u32,
    /// Whether whole numbers reach as far above 0 as below it, or from the least weight to the largest.
    pub mapping: Mapping,
    /// Which weights share a scale.
    pub scales: Scales,
    /// How whole numbers are found.
    pub method: Method,
    /// How the inputs of quantized layers become bytes, where these multiply whole numbers.
    pub activations: Activations,
    /// What becomes of biases, gains of norms and whatever else is no matrix.
    pub vectors: Vectors,
    /// The examples that are shown where inputs are looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationConfig>,
    /// Dotted names of the weights that are quantized, or of what they lie in; empty: all matrices of linear layers and
    /// kernels of convolutions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Dotted names of weights that stay floats, or of what they lie in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

impl Default for QuantizeConfig {
    fn default() -> Self {
        Self {
            bits: 8,
            mapping: Mapping::Symmetric,
            scales: Scales::Output,
            method: Method::Round,
            activations: Activations::Dynamic,
            vectors: Vectors::default(),
            calibration: None,
            only: Vec::new(),
            except: Vec::new(),
        }
    }
}

impl QuantizeConfig {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// With the path of the value at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_method()?;
        self.activations.check()?;
        check_rounding(self.bits, self.scales)
    }

    /// The weights that are quantized.
    ///
    /// # Errors
    /// Like [`QuantizeConfig::quantize`].
    pub fn select(&self, weights: Vec<Weight>) -> Result<Vec<Weight>> {
        self.check()?;
        let layers = Layers { only: self.only.clone(), except: self.except.clone() };
        let selected = layers.select(weights)?;
        if let Some(weight) =
            selected.iter().find(|weight| weight.values.iter().any(|value| !value.is_finite()))
        {
            return Err(Error::input(
                &weight.name,
                "the weight is not finite",
                "a network that was trained to its end",
                "train it anew",
            ));
        }
        for weight in &selected {
            check_groups(self.scales, &weight.name, &weight.shape, layers.names(weight))?;
        }
        Ok(selected)
    }

    /// The same module with quantized weights, each rounded to the nearest.
    ///
    /// # Errors
    /// When a value is out of range, a name is unknown, or groups do not fit a weight; and when the method or the range of
    /// activations needs examples, which [`QuantizeConfig::quantize_with`] takes.
    pub fn quantize<M: Module>(&self, module: M) -> Result<M> {
        let weights = self.select(weights(&module))?;
        self.refuse_examples_missing()?;
        Ok(self.rounded(self.vectors.round(module), &weights))
    }

    /// The module with these weights rounded to the nearest.
    pub(crate) fn rounded<M: Module>(&self, module: M, weights: &[Weight]) -> M {
        quantized_as(module, weights.iter().map(|weight| (weight.name.clone(), self.plain(weight))).collect())
    }

    /// A weight rounded to the nearest.
    pub(crate) fn plain(&self, weight: &Weight) -> (Rounded, Granularity) {
        let per = self.granularity(weight);
        (round(weight, self.levels(), per), per)
    }

    /// The codes that a weight may have.
    pub(crate) fn levels(&self) -> Levels {
        Levels { bits: self.bits, mapping: self.mapping }
    }

    /// Which values of a weight share a scale.
    pub(crate) fn granularity(&self, weight: &Weight) -> Granularity {
        self.scales.granularity(&weight.shape)
    }
}

/// The same module with these weights, by their names.
pub(crate) fn quantized_as<M: Module>(module: M, rounded: BTreeMap<String, (Rounded, Granularity)>) -> M {
    let points = rounded.iter().filter(|(_, (rounded, _))| !rounded.zero_points.is_empty());
    let points = points.map(|(name, (Rounded { zero_points, scales, .. }, per))| {
        (name.clone(), (zero_points.clone(), scales.clone(), *per))
    });
    let points = points.collect();
    ZeroPoints::beside(module.map(&mut Quantizing { place: Place::default(), rounded }), points)
}

struct Quantizing {
    place: Place,
    rounded: BTreeMap<String, (Rounded, Granularity)>,
}

impl ModuleMapper for Quantizing {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((Rounded { codes, scales, .. }, per)) = self.rounded.remove(&self.place.name()) else {
            return param;
        };
        param.map(|weight| quantized(&codes, weight.dims(), &scales, per, &weight.device()))
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.exit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PruneConfig;
    use crate::weights::tests::mixed;
    use ansatz_ops::{FakeQuantization, dense, is_quantized};
    use ansatz_run::{load_weights, save_weights};

    fn config(text: &str) -> Result<QuantizeConfig, String> {
        let config: QuantizeConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn values_out_of_range_and_unknown_keys_are_refused() {
        for (text, problem) in [
            ("bits = 1", "`bits`: 1 bits"),
            ("bits = 16", "`bits`: 16 bits"),
            ("scales = { group = { size = 0 } }", "scales.group.size"),
            ("scales = { group = { size = 256 } }", "scales.group.size"),
            ("scales = \"channel\"", "unknown variant"),
            ("zero_point = true", "unknown field"),
            ("method = \"gtpq\"", "unknown variant"),
            ("calibration = { examples = 8 }", "sees no examples"),
            ("method = \"gptq\"\ncalibration = { example = 8 }", "unknown field"),
            ("activations = \"fixed\"", "unknown variant"),
            ("mapping = \"asymmetric\"", "unknown variant"),
            ("mapping = \"affine\"\nactivations = { static = {} }", "not both"),
            ("activations = { static = { method = { percentile = 50 } } }", "static.method.percentile"),
            (
                "activations = { static = { examples = 8 } }\ncalibration = { examples = 9 }",
                "examples of both",
            ),
        ] {
            let message = config(text).unwrap_err();
            assert!(message.contains(problem), "{text}: {message}");
        }
    }

    #[test]
    fn matrices_and_kernels_are_quantized_and_nothing_else() {
        let device = ansatz_device::open("cpu").unwrap();
        let module = config("except = [\"layers.1\"]").unwrap().quantize(mixed(&device)).unwrap();
        assert!(is_quantized(&module.convolution.weight.val()));
        assert!(is_quantized(&module.layers[0].weight.val()));
        assert!(!is_quantized(&module.layers[1].weight.val()));
        let bias = module.layers[0].bias.as_ref().unwrap();
        assert!(!is_quantized(&bias.val()));
    }

    #[test]
    fn groups_that_do_not_divide_are_refused_or_get_a_scale_per_output() {
        let device = ansatz_device::open("cpu").unwrap();
        let strict = config("scales = { group = { size = 8 } }").unwrap();
        let message = strict.quantize(mixed(&device)).unwrap_err().to_string();
        assert!(
            message.contains("`layers.1.weight` has 6 inputs") && message.contains("except"),
            "{message}"
        );
        let lenient = "scales = { group = { size = 8, misfits = \"output\" } }";
        assert!(config(lenient).unwrap().quantize(mixed(&device)).is_ok());
        assert!(
            config(&format!("only = [\"layers.1\"]\n{lenient}")).unwrap().quantize(mixed(&device)).is_err()
        );
    }

    #[test]
    fn vectors_of_half_the_bits_take_half_the_room() {
        let device = ansatz_device::open("cpu").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let plain = mixed(&device);
        let stored = |text: &str| {
            let module = config(text).unwrap().quantize(plain.clone()).unwrap();
            save_weights(&module, &path).unwrap();
            let mut loaded = mixed(&device);
            load_weights(&mut loaded, &path).unwrap();
            let bias = |module: &crate::weights::tests::Mixed| {
                module.layers[0].bias.as_ref().unwrap().val().into_data()
            };
            assert_eq!(bias(&loaded), bias(&module));
            std::fs::metadata(&path).unwrap().len()
        };
        // Biases of 4, 6 and 3 values; the moments of a new norm lose nothing in bfloat16 anyway.
        let [whole, half] = ["vectors = \"float32\"", "vectors = \"bfloat16\""].map(stored);
        assert!((whole - 2 * 13 - 8..=whole - 2 * 13 + 8).contains(&half), "{whole} and {half} bytes");
    }

    #[test]
    fn what_is_saved_takes_its_bits_and_computes_the_same() {
        let device = ansatz_device::open("cpu").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let x = Tensor::<2>::random([3, 16], burn::tensor::Distribution::Default, &device);
        let mut sizes = Vec::new();
        for (bits, mapping) in [(8, "symmetric"), (4, "symmetric"), (3, "symmetric"), (3, "affine")] {
            let plain = mixed(&device);
            let exact = plain.layers[0].weight.val();
            let module =
                config(&format!("bits = {bits}\nmapping = {mapping:?}")).unwrap().quantize(plain).unwrap();
            save_weights(&module, &path).unwrap();
            sizes.push(std::fs::metadata(&path).unwrap().len());
            let mut loaded = mixed(&device);
            load_weights(&mut loaded, &path).unwrap();
            let weights = [&module, &loaded].map(|module| dense(module.layers[0].weight.val()).into_data());
            weights[0].assert_eq(&weights[1], true);
            // A step of the scale is at most max |w| / (2^(b − 1) − 1).
            let largest = exact.clone().abs().max().into_scalar::<f32>();
            let step = largest / ((1 << (bits - 1)) - 1) as f32;
            let moved = (dense(loaded.layers[0].weight.val()) - exact).abs().max().into_scalar::<f32>();
            assert!(moved <= 0.51 * step, "{bits}: {moved} {step}");
            let answers = [&module, &loaded].map(|module| module.layers[0].forward(x.clone()).into_data());
            answers[0].assert_eq(&answers[1], true);
        }
        // 402 values of 4 and 3 bits instead of 8.
        assert!(sizes[0] - sizes[1] >= 402 / 2 - 8 && sizes[1] - sizes[2] >= 402 / 8 - 8, "{sizes:?}");
        // Three bits for each of 13 zero points, and their place in the header.
        assert!((5..=300).contains(&(sizes[3] - sizes[2])), "{sizes:?}");
    }

    #[test]
    fn what_was_pruned_stays_zero() {
        let device = ansatz_device::open("cpu").unwrap();
        let module = mixed(&device);
        let masks = PruneConfig::default().masks(&module).unwrap();
        let mask = masks.get("layers.0.weight").unwrap();
        for mapping in ["symmetric", "affine"] {
            let config = config(&format!("bits = 4\nmapping = {mapping:?}")).unwrap();
            let module = config.quantize(masks.on(&device).hold(module.clone())).unwrap();
            let values = dense(module.layers[0].weight.val()).into_data().try_to_vec::<f32>().unwrap();
            assert!(values.iter().zip(&mask.kept).all(|(value, kept)| *kept || *value == 0.0));
        }
    }

    #[test]
    fn what_training_saw_rounded_is_found_again_to_the_bit() {
        let device = ansatz_device::open("cpu").unwrap();
        for (bits, scales) in [(8, "'output'"), (3, "'tensor'"), (8, "{ group = { size = 2 } }")] {
            let config = config(&format!("bits = {bits}\nscales = {scales}")).unwrap();
            let module = mixed(&device);
            let beside = |layer: usize| {
                let per = config.scales.granularity(&module.layers[layer].weight.dims());
                (format!("layers.{layer}.weight"), FakeQuantization::new(bits, per, false))
            };
            let roundings = [0, 1].map(beside).into();
            let fake = FakeQuantization::beside(module, roundings);
            let module = config.quantize(fake.clone().materialize()).unwrap();
            for layer in 0..2 {
                let found = dense(module.layers[layer].weight.val()).into_data();
                found.assert_eq(&fake.layers[layer].weight.val().into_data(), true);
            }
        }
    }
}
