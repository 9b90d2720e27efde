//! How the whole numbers of a weight are found.

use std::collections::BTreeMap;

use ansatz_core::{ConfigError, Error, Result};
use ansatz_ops::{Granularity, InputRange, Mapping};
use burn::module::Module;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibrate::{CalibrationConfig, Examples, Hessian, Unseen, one_by_one, refuse_unseen};
use crate::gptq::gptq;
use crate::quantize::{QuantizeConfig, quantized_as};
use crate::ranges::{Activations, RangesConfig};
use crate::rounding::Rounded;
use crate::{Weight, weights};

/// How the whole numbers of a weight are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Method {
    /// The nearest, value by value. It needs no examples.
    #[default]
    Round,
    /// Value by value, so that those still to come make up for what rounding changed of the layer's outputs: Frantar et
    /// al., "GPTQ: accurate post-training quantization for generative pre-trained transformers", 2023, arXiv:2210.17323.
    Gptq,
}

impl QuantizeConfig {
    /// Checks method and calibration against each other.
    pub(crate) fn check_method(&self) -> Result<(), ConfigError> {
        if self.mapping == Mapping::Affine && self.activations != Activations::Dynamic {
            return Err(ConfigError::value(
                "activations",
                "static ranges beside affine weights: a weight has a range or zero points beside it, not both",
                "activations = \"dynamic\", or mapping = \"symmetric\"",
            ));
        }
        match (self.method, self.activations, &self.calibration) {
            (Method::Round, Activations::Dynamic, Some(_)) => Err(ConfigError::value(
                "calibration",
                "rounding to the nearest sees no examples",
                "method = \"gptq\" or static activations beside it, or no calibration",
            )),
            (_, Activations::Static(ranges), Some(calibration))
                if ranges.examples != calibration.examples =>
            {
                let given = format!("{} and {} examples of both", ranges.examples, calibration.examples);
                let expected = "the number that `calibration.examples` says: the same are shown for both";
                Err(ConfigError::value("activations.static.examples", given, expected))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a method that needs examples where there are none.
    pub(crate) fn refuse_examples_missing(&self) -> Result<()> {
        match (self.method, self.activations) {
            (Method::Round, Activations::Dynamic) => Ok(()),
            (Method::Round, Activations::Static(_)) => Err(Error::input(
                "activations",
                "the ranges of inputs are found of what a network meets, and there are no examples",
                "activations = \"dynamic\" where there are none",
                "call QuantizeConfig::quantize_with",
            )),
            (Method::Gptq, _) => Err(Error::input(
                "method",
                "gptq rounds by what a network meets, and there are no examples",
                "method = \"round\" where there are none",
                "call QuantizeConfig::quantize_with",
            )),
        }
    }

    /// Which examples are shown; `None`: none are needed.
    pub fn calibration(&self) -> Option<CalibrationConfig> {
        match (self.method, self.activations) {
            (Method::Round, Activations::Dynamic) => None,
            (method, Activations::Static(RangesConfig { examples, .. })) if self.calibration.is_none() => {
                // Rounding to the nearest has no need to see the inputs of every weight.
                let unseen = if method == Method::Round { Unseen::Plain } else { Unseen::Refuse };
                Some(CalibrationConfig { examples, unseen, ..CalibrationConfig::default() })
            }
            _ => Some(self.calibration.clone().unwrap_or_default()),
        }
    }

    /// The same with every value that will be used.
    #[must_use]
    pub fn complete(self) -> Self {
        Self { calibration: self.calibration(), ..self }
    }

    /// The same module with quantized weights. A method that needs examples is shown them weight by weight, in the order
    /// in which the module meets these, with all earlier weights quantized already: what rounding does to the inputs of a
    /// weight, the weight is fitted to. Ranges of inputs are those that the module's own layers have before.
    ///
    /// # Errors
    /// Like [`QuantizeConfig::quantize`]; and when the module refuses an example, the inputs of a weight cannot be seen,
    /// or are not finite.
    pub fn quantize_with<M: Module, B>(&self, module: M, examples: &Examples<'_, M, B>) -> Result<M> {
        let weights = self.select(weights(&module))?;
        let module = self.vectors.round(module);
        let ranges = match self.activations {
            Activations::Dynamic => BTreeMap::new(),
            Activations::Static(ranges) => ranges.ranges(&module, examples, &weights)?,
        };
        let module = match self.method {
            Method::Round => self.rounded(module, &weights),
            Method::Gptq => self.fitted(module, examples, weights)?,
        };
        Ok(InputRange::beside(module, ranges))
    }

    /// The module with these weights rounded by GPTQ.
    fn fitted<M: Module, B>(
        &self,
        module: M,
        examples: &Examples<'_, M, B>,
        weights: Vec<Weight>,
    ) -> Result<M> {
        let treat = |weight: &Weight, hessian: &Hessian| -> Result<(Rounded, Granularity)> {
            let per = self.granularity(weight);
            Ok((gptq(weight, hessian, self.levels(), per)?, per))
        };
        let (module, made) = one_by_one(module, examples, &weights, treat, quantized_as)?;
        let unseen: Vec<Weight> =
            weights.into_iter().filter(|weight| !made.contains_key(&weight.name)).collect();
        if self.calibration.as_ref().is_none_or(|calibration| calibration.unseen == Unseen::Refuse) {
            refuse_unseen(&unseen)?;
        }
        Ok(if unseen.is_empty() { module } else { self.rounded(module, &unseen) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::{Network, forward, network, pictures};
    use crate::criterion::Criterion;
    use crate::{Pattern, PruneConfig, Scales, Scope};
    use ansatz_ops::{dense, is_quantized};
    use burn::tensor::Tensor;

    const WEIGHTS: [&str; 4] = ["convolution.conv.weight", "twins.0.weight", "twins.1.weight", "last.weight"];

    fn plain() -> Option<CalibrationConfig> {
        Some(CalibrationConfig { unseen: Unseen::Plain, ..CalibrationConfig::default() })
    }

    fn seen() -> Vec<String> {
        WEIGHTS.map(str::to_owned).to_vec()
    }

    /// How far the network's last seen layer is from what it was, over all pictures.
    fn distance(network: &Network, other: &Network, pictures: &[Tensor<4>]) -> f32 {
        let answer = |network: &Network, picture: &Tensor<4>| {
            let x = network.convolution.forward(picture.clone()).reshape([24, 32]);
            let sum = network.twins[0].forward(x.clone()) + network.twins[1].forward(x);
            network.last.forward(sum.tanh())
        };
        let squares = pictures.iter().map(|picture| {
            let moved = answer(network, picture) - answer(other, picture);
            moved.powi_scalar(2).sum().into_scalar::<f32>()
        });
        squares.sum()
    }

    #[test]
    fn a_network_is_nearer_to_itself_than_when_it_is_rounded() {
        let device = ansatz_device::open("cpu").unwrap();
        let (network, pictures) = (network(&device), pictures(&device, 6));
        let examples = Examples { batches: &pictures, forward: &forward };
        for (scales, mapping) in [
            (Scales::Tensor, Mapping::Symmetric),
            (Scales::Output, Mapping::Symmetric),
            (Scales::Output, Mapping::Affine),
        ] {
            let config =
                QuantizeConfig { bits: 3, mapping, scales, only: seen(), ..QuantizeConfig::default() };
            let rounded = config.quantize_with(network.clone(), &examples).unwrap();
            let config = QuantizeConfig { method: Method::Gptq, ..config };
            assert!(config.quantize(network.clone()).is_err());
            let fitted = config.quantize_with(network.clone(), &examples).unwrap();
            assert!(is_quantized(&fitted.twins[1].weight.base()));
            let [near, far] = [fitted, rounded].map(|other| distance(&network, &other, &pictures));
            assert!(near < far, "{scales:?}: {near} {far}");
        }
    }

    #[test]
    fn pruning_by_inputs_keeps_a_network_nearer_to_itself_than_by_magnitude() {
        let device = ansatz_device::open("cpu").unwrap();
        let (network, pictures) = (network(&device), pictures(&device, 6));
        let examples = Examples { batches: &pictures, forward: &forward };
        let pruned = |criterion, scope| {
            let pattern = Pattern::Unstructured { ratio: 0.5, scope };
            let config = PruneConfig { criterion, pattern, only: seen(), ..PruneConfig::default() };
            let (other, masks) = config.prune_with(network.clone(), &examples).unwrap();
            for (name, mask) in masks.iter() {
                let kept = mask.kept.iter().filter(|kept| **kept).count();
                assert_eq!(2 * kept, mask.kept.len(), "{name}");
            }
            let mask = masks.get("twins.1.weight").unwrap();
            let values = other.twins[1].weight.val().into_data().try_to_vec::<f32>().unwrap();
            assert!(values.iter().zip(&mask.kept).all(|(value, kept)| (*value == 0.0) != *kept));
            assert_eq!(other.twins[1].weight.id, network.twins[1].weight.id);
            distance(&network, &other, &pictures)
        };
        let magnitude = pruned(Criterion::Magnitude, Scope::Layer);
        let wanda = pruned(Criterion::Wanda, Scope::Output);
        let sparse_gpt = pruned(Criterion::SparseGpt, Scope::Layer);
        assert!(sparse_gpt < magnitude && sparse_gpt < wanda, "{sparse_gpt} {wanda} {magnitude}");
    }

    #[test]
    fn weights_that_cannot_be_seen_are_refused_or_treated_without_examples() {
        let device = ansatz_device::open("cpu").unwrap();
        let (network, pictures) = (network(&device), pictures(&device, 1));
        let examples = Examples { batches: &pictures, forward: &forward };
        let config = QuantizeConfig { method: Method::Gptq, ..QuantizeConfig::default() };
        let message = config.quantize_with(network.clone(), &examples).unwrap_err().to_string();
        assert!(message.contains("`hidden.weight`") && message.contains("unseen"), "{message}");
        let config = QuantizeConfig { calibration: plain(), ..config };
        let fitted = config.quantize_with(network.clone(), &examples).unwrap();
        let rounded = QuantizeConfig::default().quantize(network.clone()).unwrap();
        let hidden = |network: &Network| dense(network.hidden.weight.val()).into_data();
        assert_eq!(hidden(&fitted), hidden(&rounded));
        let pattern = Pattern::Unstructured { ratio: 0.5, scope: Scope::Output };
        let config = PruneConfig { criterion: Criterion::Wanda, pattern, ..PruneConfig::default() };
        let message = config.prune_with(network.clone(), &examples).unwrap_err().to_string();
        assert!(message.contains("`hidden.weight`"), "{message}");
        assert!(config.masks(&network).is_err());
        let config = PruneConfig { calibration: plain(), ..config };
        let (_, masks) = config.prune_with(network, &examples).unwrap();
        assert_eq!(masks.get("hidden.weight").unwrap().kept.iter().filter(|kept| **kept).count(), 8);
    }

    #[test]
    fn what_a_network_cannot_answer_with_numbers_is_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let network = network(&device);
        let pictures = [Tensor::<4>::full([24, 2, 4, 4], f32::NAN, &device)];
        let examples = Examples { batches: &pictures, forward: &forward };
        let config = QuantizeConfig { method: Method::Gptq, only: seen(), ..QuantizeConfig::default() };
        let message = config.quantize_with(network.clone(), &examples).unwrap_err().to_string();
        assert!(message.contains("`convolution.conv.weight`") && message.contains("not finite"), "{message}");
        for (criterion, scope) in [(Criterion::Wanda, Scope::Output), (Criterion::SparseGpt, Scope::Layer)] {
            let pattern = Pattern::Unstructured { ratio: 0.5, scope };
            let config = PruneConfig { criterion, pattern, only: seen(), ..PruneConfig::default() };
            let message = config.prune_with(network.clone(), &examples).unwrap_err().to_string();
            assert!(message.contains("not finite"), "{message}");
        }
    }
}
