//! `[train.fake_quantization]`: weights that are seen as quantizing will leave them, while their floats learn.

use std::collections::{BTreeMap, BTreeSet};

use ansatz_core::{ConfigError, Model, Result};
use ansatz_ops::{FakeQuantization, Scales};
use ansatz_run::{Place, check_groups, check_rounding};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::start::Places;

/// Every matrix of a linear layer and kernel of a convolution is rounded wherever it is used, in training as in judging;
/// gradients pass straight through to its floats, which the optimizer changes. What is kept in the end are the rounded
/// values: a step `quantize` with the same bits and scales finds them again and loses nothing.
///
/// Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018,
/// arXiv:1712.05877, section 3; Bengio, Léonard, Courville, "Estimating or propagating gradients through stochastic
/// neurons", 2013, arXiv:1308.3432, section 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct FakeQuantizationConfig {
    /// Bits of a weight, 2 to 8.
    #[schemars(range(min = 2, max = 8))]
    pub bits: u32,
    /// Which weights share a scale.
    pub scales: Scales,
    /// Dotted names of the weights that are rounded, or of what they lie in; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Dotted names of weights that are seen as they are, or of what they lie in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Whether the inputs of these layers are seen as bytes too, row by row or picture by picture, as the kernels of whole
    /// numbers make them. The test part is judged without it, as the run is used.
    pub activations: bool,
}

impl Default for FakeQuantizationConfig {
    fn default() -> Self {
        Self { bits: 8, scales: Scales::Output, only: Vec::new(), except: Vec::new(), activations: false }
    }
}

impl FakeQuantizationConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_rounding(self.bits, self.scales)
    }

    /// The network whose weights are seen rounded.
    ///
    /// # Errors
    /// When a name is of no weight, none is left, or groups do not fit one.
    pub(crate) fn put_beside(&self, model: Model) -> Result<Model> {
        let roundings = self.roundings(&model)?;
        Ok(FakeQuantization::beside(model, roundings))
    }

    /// What stands beside each weight, by dotted path.
    fn roundings<M: Module>(&self, model: &M) -> Result<BTreeMap<String, FakeQuantization>> {
        let (mut weights, mut places) = (Weights::default(), Places::default());
        model.visit(&mut weights);
        model.visit(&mut places);
        places.found.retain(|place| weights.found.contains_key(&place.path));
        let inside = |key: &str, names: &[String]| -> Result<BTreeSet<String>, ConfigError> {
            let mut paths = BTreeSet::new();
            for (index, name) in names.iter().enumerate() {
                if places.inside(name).next().is_none() {
                    let key = format!("train.fake_quantization.{key}[{index}]");
                    return Err(places.unknown(&key, name, "weight"));
                }
                paths.extend(places.inside(name).map(|place| place.path.clone()));
            }
            Ok(paths)
        };
        let (only, except) = (inside("only", &self.only)?, inside("except", &self.except)?);
        weights.found.retain(|path, _| (only.is_empty() || only.contains(path)) && !except.contains(path));
        if weights.found.is_empty() {
            let expected = "at least one matrix of a linear layer or kernel of a convolution";
            return Err(ConfigError::value("train.fake_quantization", "no weight is left", expected).into());
        }
        let rounding = |(path, shape): (String, Vec<usize>)| {
            check_groups(self.scales, &path, &shape, only.contains(&path))?;
            let per = self.scales.granularity(&shape);
            Ok((path, FakeQuantization::new(self.bits, per, self.activations)))
        };
        weights.found.into_iter().map(rounding).collect()
    }
}

/// The shapes of the weights that can be rounded, by dotted path.
#[derive(Default)]
struct Weights {
    place: Place,
    found: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.place.kind().is_some() {
            self.found.insert(self.place.name(), param.lazy_shape().to_vec());
        }
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
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{Linear, LinearConfig};

    #[derive(Module, Debug)]
    struct Network {
        stem: Conv2d,
        head: Vec<Linear>,
    }

    fn network() -> Network {
        let device = ansatz_device::open("cpu").unwrap();
        let linear = |inputs| LinearConfig::new(inputs, 3).init(&device);
        Network { stem: Conv2dConfig::new([2, 6], [3, 3]).init(&device), head: vec![linear(8), linear(6)] }
    }

    fn roundings(text: &str) -> Result<Vec<String>, String> {
        let config: FakeQuantizationConfig = toml::from_str(text).unwrap();
        let found = config.roundings(&network()).map_err(|error| error.to_string())?;
        Ok(found.into_keys().collect())
    }

    #[test]
    fn weights_are_chosen_by_their_paths() {
        assert_eq!(roundings("").unwrap(), ["head.0.weight", "head.1.weight", "stem.weight"]);
        assert_eq!(roundings("except = ['head.1', 'stem']").unwrap(), ["head.0.weight"]);
        assert_eq!(roundings("only = ['head']\nexcept = ['head.0']").unwrap(), ["head.1.weight"]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, problem) in [
            ("only = ['haed']", "train.fake_quantization.only[0]"),
            ("except = ['stem.bias']", "train.fake_quantization.except[0]"),
            ("except = ['stem', 'head']", "no weight is left"),
            ("scales = { group = { size = 4 } }", "`head.1.weight` has 6 inputs"),
            ("only = ['stem']\nscales = { group = { size = 4, misfits = 'output' } }", "has 2 inputs"),
        ] {
            let message = roundings(text).unwrap_err();
            assert!(message.contains(problem), "{text}: {message}");
        }
        assert!(roundings("scales = { group = { size = 4, misfits = 'output' } }").is_ok());
    }

    #[test]
    fn each_weight_is_seen_rounded_and_nothing_else() {
        let network = network();
        let roundings = FakeQuantizationConfig { bits: 2, ..FakeQuantizationConfig::default() }
            .roundings(&network)
            .unwrap();
        let fake = FakeQuantization::beside(network.clone(), roundings);
        let values = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().unwrap();
        for layer in 0..2 {
            let [plain, seen] = [&network, &fake].map(|network| network.head[layer].weight.val());
            let mut levels = values(seen.slice_dim(1, 0..1).flatten::<1>(0, 1).abs());
            levels.sort_by(f32::total_cmp);
            levels.dedup();
            assert!(levels.len() <= 2, "codes of two bits are −1, 0 and 1: {levels:?}");
            assert!(values(plain.flatten::<1>(0, 1)).len() > 2);
        }
        let bias = |network: &Network| values(network.head[0].bias.as_ref().unwrap().val());
        assert_eq!(bias(&fake), bias(&network));
    }
}
