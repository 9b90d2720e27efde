//! The typed config of masked patches.

use ansatz_core::{
    BoxedHead, Component, ConfigError, Error, FeatureSpec, HiddenValues, Registry, Result, Scorer, Target,
    TaskConfig,
};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MaskedPatchesHead, MaskedPatchesScorer};
use crate::RegressLoss;

/// The values of hidden patches, told from all those around them: what a network learns of pictures and series without
/// labels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaskedPatchesConfig {
    /// What is learned from: `"mse"` or `"mae"` of the hidden values.
    pub loss: RegressLoss,
}

impl Component for MaskedPatchesConfig {
    const KIND: &'static str = "masked-patches";
    const ABOUT: &'static str = "the values of hidden patches, by squared or absolute error: pretraining on pictures and series without labels";
    const CITATION: &'static str = "pictures: Xie et al., SimMIM, 2022, arXiv:2111.09886; He et al., Masked Autoencoders \
        Are Scalable Vision Learners, 2022, arXiv:2111.06377; series: Nie et al., PatchTST, 2023, arXiv:2211.14730, \
        section 3.2";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// How the hidden values stand.
fn hidden_values(target: &Target) -> Result<&HiddenValues> {
    match target {
        Target::HiddenValues(hidden) => Ok(hidden),
        _ => Err(Error::input(
            "the labels of the data",
            "no patches are hidden",
            "pictures or series of which some patches are hidden",
            "set data.masking = {} with the data model `image`, `series` or `labelled-series`, or choose another task",
        )),
    }
}

impl TaskConfig for MaskedPatchesConfig {
    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead> {
        Ok(BoxedHead::new(MaskedPatchesHead::new(self, features, hidden_values(target)?, device)?))
    }

    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(MaskedPatchesScorer::new(hidden_values(target)?.size, self.loss)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Grid;

    #[test]
    fn hidden_values_are_asked_of_it_and_of_no_other_task() {
        let tokens = Grid { height: 2, width: 2 };
        let target = Target::HiddenValues(HiddenValues { size: [4, 4, 1], tokens, rows: 1, learned: 0 });
        assert!(MaskedPatchesConfig::default().scorer(&target).is_ok());
        let other = Target::Classes { names: vec!["a".to_owned()] };
        let said = MaskedPatchesConfig::default().scorer(&other).err().expect("refused").to_string();
        assert!(said.contains("data.masking = {}"), "{said}");
        let said = crate::ClassifyConfig::default().scorer(&target).err().expect("refused").to_string();
        assert!(said.contains("`masked-patches`"), "{said}");
        let said = crate::ForecastConfig::default().scorer(&target).err().expect("refused").to_string();
        assert!(said.contains("`masked-patches`"), "{said}");
    }
}
