//! The typed config of classification.

use ansatz_core::{
    BoxedHead, Component, ConfigError, Error, FeatureSpec, Registry, Result, Scorer, Target, Targets,
    TaskConfig,
};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClassWeights, ClassifyHead, ClassifyScorer, LabelCounts, LabelsScorer, Pool};

/// To which of the named classes an example belongs; or, where it may have several labels, which of them it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {
    /// How the tokens of an example become one.
    pub pool: Pool,
    /// Whether the second token has a linear map of its own, and the logits are the mean of both: DeiT, whose second
    /// token imitates a teacher. Asks for `pool = "first"`.
    pub distilled: bool,
    /// The norm of the token that was made, in front of the linear map. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<NormConfig>,
    /// What is learned from.
    pub loss: ClassifyLoss,
    /// The share of the target that is spread evenly over all classes while training, 0 up to but not
    /// including 1 (Szegedy et al. 2016, section 7).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_smoothing: f64,
    /// How much each class counts in the loss that is learned from.
    pub class_weights: ClassWeights,
    /// What the training part holds of each class, once it is known.
    #[serde(skip)]
    pub counts: Option<LabelCounts>,
}

/// What a network that tells classes is learned from: `"cross-entropy"` or `{ squared-hinge = { margin = 1.0 } }`. Figures,
/// the loss that they hold and the probabilities of a prediction are those of the softmax (of labels: the logistic
/// function) of the logits in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClassifyLoss {
    /// The surprise of the probabilities, in nats.
    #[default]
    CrossEntropy,
    /// Each class against the rest: the square of what a logit lacks of the margin, on the side where it should be, as in
    /// a support vector machine. Examples that are told with the margin to spare no longer count.
    SquaredHinge {
        /// How far from 0 a logit should be, above 0. Weights grow with it, and so do probabilities: at 1 the softmax of
        /// two classes gives the right one 0.88, at 3 it gives 0.998.
        margin: f64,
    },
}

impl Default for ClassifyConfig {
    fn default() -> Self {
        Self {
            pool: Pool::Mean,
            distilled: false,
            norm: None,
            loss: ClassifyLoss::CrossEntropy,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            counts: None,
        }
    }
}

impl Component for ClassifyConfig {
    const KIND: &'static str = "classify";
    const ABOUT: &'static str =
        "one of the named classes per example, or any number of labels, by cross entropy or squared hinges";
    const CITATION: &'static str = "label smoothing: Szegedy et al., Rethinking the Inception Architecture for \
        Computer Vision, 2016, arXiv:1512.00567; distilled: Touvron et al., Training data-efficient image \
        transformers, 2021, arXiv:2012.12877; squared-hinge: Fan et al., LIBLINEAR, Journal of Machine Learning \
        Research 9, 2008";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.distilled && self.pool != Pool::First {
            let problem = "the head is distilled and reads the first two tokens";
            return Err(ConfigError::value("pool", problem, "\"first\""));
        }
        if let Some(Err((key, problem, expected))) = self.norm.map(|norm| norm.check()) {
            return Err(ConfigError::value(format!("norm.{key}"), problem, expected));
        }
        if let ClassifyLoss::SquaredHinge { margin } = self.loss
            && !(margin.is_finite() && margin > 0.0)
        {
            let problem = format!("a margin of {margin}");
            return Err(ConfigError::value("loss.squared-hinge.margin", problem, "a number above 0"));
        }
        self.class_weights.check().map_err(|error| error.under("class_weights"))?;
        if (0.0..1.0).contains(&self.label_smoothing) {
            return Ok(());
        }
        Err(ConfigError::value(
            "label_smoothing",
            format!("a share of {}", self.label_smoothing),
            "0 up to but not including 1",
        ))
    }
}

/// The names of the classes, or of the labels.
fn names(target: &Target) -> Result<&[String]> {
    match target {
        Target::Classes { names } | Target::Labels { names } if !names.is_empty() => Ok(names),
        Target::Classes { .. } | Target::Labels { .. } => Err(Error::input(
            "the labels of the data",
            "there are no classes",
            "at least one class",
            "check the source: are its folders or label column as the data model expects them?",
        )),
        Target::Tokens { .. } => Err(Error::input(
            "the labels of the data",
            "they are tokens of a vocabulary",
            "named classes",
            "choose the task `language-model`, or data with classes",
        )),
        Target::MaskedTokens { .. } => Err(Error::input(
            "the labels of the data",
            "they are tokens that are hidden",
            "named classes",
            "leave data.masking out, or choose the task `masked-language-model`",
        )),
        Target::HiddenValues(_) => Err(Error::input(
            "the labels of the data",
            "they are values that are hidden",
            "named classes",
            "leave data.masking out, or choose the task `masked-patches`",
        )),
        Target::Series { .. } => Err(Error::input(
            "the labels of the data",
            "they are the next steps of a series",
            "named classes",
            "choose the task `forecast`, or data with classes",
        )),
        Target::Number { name, .. } => Err(Error::input(
            "the labels of the data",
            format!("`{name}` is a number"),
            "named classes",
            "choose the task `regress`, or target = { class = … }",
        )),
    }
}

impl ClassifyConfig {
    /// Builds the head for features of shape `features` and a number of classes.
    ///
    /// # Errors
    /// When a value is out of range, or a distilled head finds no second token.
    pub fn build(&self, features: &FeatureSpec, classes: usize, device: &Device) -> Result<ClassifyHead> {
        self.clone().complete(&Registry::default())?;
        if self.distilled && features.length < 2 {
            let problem = format!("the head reads two tokens, the features are {features}");
            return Err(ConfigError::value("distilled", problem, "false").into());
        }
        Ok(ClassifyHead::new(self, features.width, classes, device))
    }
}

impl TaskConfig for ClassifyConfig {
    fn fit(&mut self, labels: Option<&Targets>) -> Result<()> {
        self.counts = labels.and_then(LabelCounts::of);
        if self.class_weights == ClassWeights::Balanced && self.counts.is_none() {
            let problem = "how many examples each class has is not known without reading them all";
            let expected = "\"none\", or a weight for each class";
            return Err(ConfigError::value("task.class_weights", problem, expected).into());
        }
        Ok(())
    }

    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead> {
        let names = names(target)?;
        let several = matches!(target, Target::Labels { .. });
        let weights = self.class_weights.resolve(names, several, self.counts.as_ref())?;
        Ok(BoxedHead::new(self.build(features, names.len(), device)?.with_weights(weights)))
    }

    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>> {
        let names = names(target)?.to_vec();
        Ok(match target {
            Target::Labels { .. } => Box::new(LabelsScorer::new(names)),
            _ => Box::new(ClassifyScorer::new(names)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;

    #[test]
    fn a_share_out_of_range_is_named() {
        for label_smoothing in [-0.1, 1.0, f64::NAN] {
            let mut config = ClassifyConfig { label_smoothing, ..ClassifyConfig::default() };
            let message = config.complete(&Registry::default()).unwrap_err().to_string();
            assert!(message.contains("`label_smoothing`: a share of"), "{message}");
        }
    }

    #[test]
    fn a_loss_is_chosen_by_its_name_and_its_margin_is_checked() {
        let read = |text: &str| ansatz_core::parse::<ClassifyConfig>(text.parse().unwrap());
        let hinge = read("loss = { squared-hinge = { margin = 2.0 } }").unwrap();
        assert_eq!(hinge.loss, ClassifyLoss::SquaredHinge { margin: 2.0 });
        assert!(read("loss = { squared-hinge = { margin = 2.0, power = 1 } }").is_err());
        for margin in [0.0, -1.0, f64::NAN] {
            let mut config = ClassifyConfig { loss: ClassifyLoss::SquaredHinge { margin }, ..hinge.clone() };
            let message = config.complete(&Registry::default()).unwrap_err().to_string();
            assert!(message.contains("`loss.squared-hinge.margin`: a margin of"), "{message}");
        }
        let device = ansatz_device::open("cpu").unwrap();
        let target = Target::Classes { names: vec!["cat".to_owned(), "owl".to_owned()] };
        let head = hinge.head(&FeatureSpec::row(1, 4), &target, &device).unwrap();
        let outputs = Tensor::<3>::from_data([[[0.5f32, -3.0]]], &device);
        let loss = head.loss(outputs, &Targets::Classes(vec![0])).unwrap().into_scalar::<f32>();
        assert_eq!(loss, 2.25);
    }

    #[test]
    fn a_distilled_head_needs_two_tokens() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = ClassifyConfig { distilled: true, ..ClassifyConfig::default() };
        let message = |config: &ClassifyConfig, tokens: usize| {
            config.build(&FeatureSpec::row(tokens, 4), 3, &device).unwrap_err().to_string()
        };
        assert!(message(&config, 5).contains("`pool`: the head is distilled"));
        let first = ClassifyConfig { pool: Pool::First, ..config };
        assert!(message(&first, 1).contains("`distilled`: the head reads two tokens"));
        assert!(first.build(&FeatureSpec::row(2, 4), 3, &device).is_ok());
    }

    #[test]
    fn data_without_classes_are_refused() {
        let target = Target::Classes { names: Vec::new() };
        assert!(ClassifyConfig::default().scorer(&target).is_err());
        let names = vec!["a".to_owned()];
        assert!(ClassifyConfig::default().scorer(&Target::Classes { names }).is_ok());
        let said =
            |target: Target| ClassifyConfig::default().scorer(&target).err().expect("refused").to_string();
        assert!(said(Target::Tokens { vocabulary: 3 }).contains("`language-model`"));
        let hidden = said(Target::MaskedTokens { vocabulary: 3 });
        assert!(hidden.contains("data.masking") && hidden.contains("`masked-language-model`"), "{hidden}");
    }

    #[test]
    fn weights_come_from_the_training_part_and_reach_the_loss() {
        let device = ansatz_device::open("cpu").unwrap();
        let target = Target::Classes { names: vec!["cat".to_owned(), "owl".to_owned()] };
        let mut config: ClassifyConfig =
            ansatz_core::parse("class_weights = \"balanced\"".parse().unwrap()).unwrap();
        assert!(config.fit(None).unwrap_err().to_string().contains("`task.class_weights`"));
        config.fit(Some(&Targets::Classes(vec![0, 0, 0, 1]))).unwrap();
        let loss = |config: &ClassifyConfig, class: usize| {
            let head = config.head(&FeatureSpec::row(1, 4), &target, &device).unwrap();
            let outputs = Tensor::<3>::from_data([[[0.5f32, 0.25]]], &device);
            head.loss(outputs, &Targets::Classes(vec![class])).unwrap().into_scalar::<f32>()
        };
        let plain = ClassifyConfig::default();
        for (class, weight) in [(0, 4.0 / 6.0), (1, 2.0)] {
            assert!((loss(&config, class) - weight * loss(&plain, class)).abs() < 1e-6);
        }
        let each = ClassifyConfig { class_weights: ClassWeights::Each(vec![1.0]), ..plain };
        let said = each.head(&FeatureSpec::row(1, 4), &target, &device).unwrap_err().to_string();
        assert!(said.contains("`class_weights.each`: 1 weights for 2 classes"), "{said}");
    }

    #[test]
    fn the_config_reads_its_own_rendering() {
        let config: ClassifyConfig = ansatz_core::parse("pool = \"first\"".parse().unwrap()).unwrap();
        assert_eq!(config, ClassifyConfig { pool: Pool::First, ..ClassifyConfig::default() });
        let text = toml::to_string(&config).unwrap();
        assert_eq!(
            text,
            "pool = \"first\"\ndistilled = false\nloss = \"cross-entropy\"\nlabel_smoothing = 0.0\nclass_weights = \"none\"\n"
        );
    }
}
