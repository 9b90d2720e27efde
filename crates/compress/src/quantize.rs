//! `kind = "quantize"`: weights in few bits.

use ansatz_core::{ConfigError, Error, Result};
use ansatz_ops::{Granularity, quantized};
use ansatz_run::Place;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::rounding::{Rounded, round};
use crate::{Kind, Layers, Weight, weights};

/// Rounds weights to whole numbers with scales, symmetric about 0.
///
/// Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuantizeConfig {
    /// Bits of a weight on disk, 2 to 8. In memory each weight takes a byte.
    #[schemars(range(min = 2, max = 8))]
    pub bits: u32,
    /// Which weights share a scale.
    pub scales: Scales,
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
        Self { bits: 8, scales: Scales::Output, only: Vec::new(), except: Vec::new() }
    }
}

/// Which weights share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(inline)]
pub enum Scales {
    /// All of a matrix or kernel.
    Tensor,
    /// Those of an output, or channel.
    Output,
    /// Those of some inputs of an output that follow each other. Scales of groups are bfloat16 numbers.
    Group {
        /// How many inputs, 1 to 255; of a kernel, with their whole windows.
        #[schemars(range(min = 1, max = 255))]
        size: usize,
        /// What is done with a weight whose inputs are no multiple of `size`.
        #[serde(default)]
        misfits: Ungrouped,
    },
}

/// What is done with a weight that groups do not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Ungrouped {
    /// It is an error.
    #[default]
    Refuse,
    /// It has a scale per output, unless `only` names it: then it is an error.
    Output,
}

impl QuantizeConfig {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// With the path of the value at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(2..=8).contains(&self.bits) {
            return Err(ConfigError::value(
                "bits",
                format!("{} bits", self.bits),
                "a whole number from 2 to 8",
            ));
        }
        match self.scales {
            Scales::Group { size, .. } if !(1..=255).contains(&size) => Err(ConfigError::value(
                "scales.group.size",
                format!("a group of {size}"),
                "a whole number from 1 to 255",
            )),
            _ => Ok(()),
        }
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
        let Scales::Group { size, misfits } = self.scales else { return Ok(selected) };
        let misfit = |weight: &&Weight| {
            let allowed = misfits == Ungrouped::Output && !layers.names(weight);
            !weight.inputs().is_multiple_of(size) && !allowed
        };
        if let Some(weight) = selected.iter().find(misfit) {
            return Err(Error::input(
                format!("scales.group.size: {size}"),
                format!("`{}` has {} inputs, no multiple of {size}", weight.name, weight.inputs()),
                "a number that divides the inputs of every weight that is quantized",
                format!("name it in `except`, or put `misfits = \"output\"` beside `size = {size}`"),
            ));
        }
        Ok(selected)
    }

    /// The same module with quantized weights.
    ///
    /// # Errors
    /// When a value is out of range, a name is unknown, or groups do not fit a weight.
    pub fn quantize<M: Module>(&self, module: M) -> Result<M> {
        let weights = self.select(weights(&module))?;
        let rounded = weights.into_iter().map(|weight| {
            let per = self.granularity(&weight);
            let rounded = round(&weight, self.bits, per);
            (weight.name, (rounded, per))
        });
        Ok(module.map(&mut Quantizing { place: Place::default(), rounded: rounded.collect() }))
    }

    fn granularity(&self, weight: &Weight) -> Granularity {
        let output = match weight.kind {
            Kind::Matrix => Granularity::Axis(1),
            Kind::Kernel => Granularity::Axis(0),
        };
        match self.scales {
            Scales::Tensor => Granularity::Tensor,
            Scales::Output => output,
            Scales::Group { size, .. } if weight.inputs().is_multiple_of(size) => Granularity::Group(size),
            Scales::Group { .. } => output,
        }
    }
}

struct Quantizing {
    place: Place,
    rounded: BTreeMap<String, (Rounded, Granularity)>,
}

impl ModuleMapper for Quantizing {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((Rounded { codes, scales }, per)) = self.rounded.remove(&self.place.name()) else {
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
    use ansatz_ops::{dense, is_quantized};
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
    fn what_is_saved_takes_its_bits_and_computes_the_same() {
        let device = ansatz_device::open("cpu").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let x = Tensor::<2>::random([3, 16], burn::tensor::Distribution::Default, &device);
        let mut sizes = Vec::new();
        for bits in [8, 4, 3] {
            let plain = mixed(&device);
            let exact = plain.layers[0].weight.val();
            let module = config(&format!("bits = {bits}")).unwrap().quantize(plain).unwrap();
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
    }

    #[test]
    fn what_was_pruned_stays_zero() {
        let device = ansatz_device::open("cpu").unwrap();
        let module = mixed(&device);
        let masks = PruneConfig::default().masks(&module).unwrap();
        let module = config("bits = 4").unwrap().quantize(masks.on(&device).hold(module)).unwrap();
        let values = dense(module.layers[0].weight.val()).into_data().try_to_vec::<f32>().unwrap();
        let mask = masks.get("layers.0.weight").unwrap();
        assert!(values.iter().zip(&mask.kept).all(|(value, kept)| *kept || *value == 0.0));
    }
}
