//! Published classifiers of pictures: patches where there are some, a backbone, and a head.

use std::collections::BTreeMap;

use ansatz_core::{
    BoxedBackbone, Build, Choice, Error, FeatureSpec, Features, Grid, Head, Inputs, Registry, Result, Stem,
    Targets, role,
};
use ansatz_data_image::PictureSize;
use ansatz_data_image::stem::{INPUT, Patches, PatchesConfig};
use ansatz_tasks::{ClassifyConfig, ClassifyHead};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{Folder, Names, Subject, TensorFile, Values, fill};

/// A published classifier of pictures, translated.
#[derive(Debug, Clone)]
pub(crate) struct PictureModel {
    /// Size of a picture; a network without patches takes any height and width.
    pub size: PictureSize,
    /// How many classes there are.
    pub classes: usize,
    /// The patches that are tokens; `None`: each pixel is one. Pixels beside the last whole patch are not read, as
    /// where a convolution stops there.
    pub patches: Option<PatchesConfig>,
    /// Tokens → tokens.
    pub backbone: Choice<role::Backbone>,
    /// Tokens → logits.
    pub head: ClassifyConfig,
    /// What is published besides the logits.
    pub readings: Readings,
    /// Under which names the weights are published.
    pub names: Names,
}

/// What is published besides the logits of a network, by name without `output.`.
pub(crate) type Readings = fn(&BoxedBackbone, Features) -> Vec<(String, Values)>;

/// The parts of a network that reads pictures.
#[derive(Module, Debug)]
struct Network {
    stem: Option<Patches>,
    backbone: BoxedBackbone,
    head: ClassifyHead,
}

impl PictureModel {
    /// Builds the network on `device`, and fills it with the weights of `folder`.
    ///
    /// # Errors
    /// When the config does not fit itself, or the weights do not fit the config.
    pub(crate) fn open(
        self,
        folder: &Folder,
        registry: &Registry,
        device: &Device,
    ) -> Result<Box<dyn Subject>> {
        let backbone = self.backbone.resolve("", registry)?;
        let whole = self.whole();
        let stem =
            self.patches.as_ref().map(|patches| Patches::new(whole, patches, backbone.width(), device));
        let stem = stem.transpose()?;
        let pixels = || {
            let grid = Grid { height: self.size.height, width: self.size.width };
            FeatureSpec::picture(grid, self.size.channels)
        };
        let spec = stem.as_ref().map_or_else(pixels, |stem| stem.output());
        let backbone = backbone.init(&spec, &Build::new(registry, device))?;
        let head = self.head.build(&backbone.output(&spec), self.classes, device)?;
        let network = fill(Network { stem, backbone, head }, &self.names, &folder.weights()?)?;
        Ok(Box::new(Loaded { network, plan: self, device: device.clone() }))
    }

    /// The part of a picture that whole patches cover.
    fn whole(&self) -> PictureSize {
        let PictureSize { height, width, channels } = self.size;
        let [high, wide] = self
            .patches
            .as_ref()
            .map_or([1, 1], |patches| [patches.size.max(1), patches.width.unwrap_or(patches.size).max(1)]);
        PictureSize { height: height / high * high, width: width / wide * wide, channels }
    }
}

/// A published classifier of pictures, filled with its weights.
struct Loaded {
    network: Network,
    plan: PictureModel,
    device: Device,
}

impl Loaded {
    /// The features of the stored pictures.
    fn features(&self, stored: &TensorFile) -> Result<Features> {
        let PictureSize { height, width, channels } = self.plan.size;
        let names = ["input.pixel_values", "input.image"];
        let data = names.iter().find_map(|name| stored.get(name)).filter(|data| {
            let any_size = self.network.stem.is_none();
            matches!(data.shape()[..], [_, own, high, wide]
                if own == channels && (any_size || [high, wide] == [height, width]))
        });
        let Some(data) = data else {
            let problem = format!("there is no tensor {} of such pictures", names.join(" or "));
            let expected = format!("pictures [batch, channels, height, width] of {}", self.plan.size);
            return Err(Error::input(stored.path().display(), problem, expected, "restore the file"));
        };
        let picture = Tensor::<4>::from_data(data.clone(), &self.device);
        let Some(stem) = &self.network.stem else { return Ok(Features::of_picture(picture)) };
        let whole = self.plan.whole();
        let pixels = picture.narrow(2, 0, whole.height).narrow(3, 0, whole.width).permute([0, 2, 3, 1]);
        stem.forward(&Inputs::new(vec![(INPUT.to_owned(), pixels.into_data())], &self.device))
    }
}

impl Subject for Loaded {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let features = self.features(stored)?;
        let value = |tensor: Tensor<2>| Values::from_data(tensor.into_data());
        let mut outputs: BTreeMap<String, Values> =
            (self.plan.readings)(&self.network.backbone, features.clone()).into_iter().collect();
        let behind = self.network.backbone.forward(features);
        if let [class, distillation] = &self.network.head.maps(behind.clone())[..] {
            outputs.insert("cls_logits".to_owned(), value(class.clone()));
            outputs.insert("distillation_logits".to_owned(), value(distillation.clone()));
        }
        outputs.insert("logits".to_owned(), value(self.network.head.forward(behind).squeeze_dim(1)));
        Ok(outputs)
    }

    fn gradients(&self, stored: &TensorFile) -> Result<Option<BTreeMap<String, Values>>> {
        let Some(targets) = stored.get("input.targets") else { return Ok(None) };
        let targets = targets.clone().convert::<i64>().try_to_vec::<i64>().expect("whole numbers");
        let classes =
            targets.into_iter().map(|class| usize::try_from(class).ok()).collect::<Option<Vec<_>>>();
        let Some(classes) = classes else {
            let (problem, expected) = ("a target is below 0", "the class of each picture");
            return Err(Error::input(stored.path().display(), problem, expected, "restore the file"));
        };
        let Network { backbone, head, .. } = &self.network;
        let outputs = head.forward(backbone.forward(self.features(stored)?));
        let loss = head.loss(outputs, &Targets::Classes(classes))?;
        let value = Values::from_data(loss.clone().inner().into_data()).reshaped(Vec::new());
        let gradients = crate::fill::gradients(&self.network, &loss.backward());
        let mut published = self.plan.names.write(&gradients)?;
        published.extend(value.map(|value| ("loss".to_owned(), value)));
        Ok(Some(published))
    }
}

/// A tensor of any rank on the host.
fn values<const D: usize>(tensor: Tensor<D>) -> Values {
    Values::from_data(tensor.into_data())
}

/// The tokens before the first block and behind every block, the last before any norm, as `hidden_states.N`.
pub(crate) fn hidden_tokens(backbone: &BoxedBackbone, features: Features) -> Vec<(String, Values)> {
    let mut hidden = backbone.hidden(features);
    hidden.pop();
    let named = hidden.into_iter().enumerate();
    named.map(|(index, tokens)| (format!("hidden_states.{index}"), values(tokens))).collect()
}

/// What leaves the backbone, as `features`: tokens.
pub(crate) fn last_tokens(backbone: &BoxedBackbone, features: Features) -> Vec<(String, Values)> {
    vec![("features".to_owned(), values(backbone.forward(features).tokens))]
}

/// What leaves the backbone, as `features`: a picture `[batch, channels, height, width]`.
pub(crate) fn last_picture(backbone: &BoxedBackbone, features: Features) -> Vec<(String, Values)> {
    vec![("features".to_owned(), picture(backbone.forward(features)))]
}

/// The pictures into the first stage and behind every stage, as `hidden_states.N`.
pub(crate) fn hidden_pictures(backbone: &BoxedBackbone, features: Features) -> Vec<(String, Values)> {
    let named = backbone.stages(features).into_iter().enumerate();
    named.map(|(index, stage)| (format!("hidden_states.{index}"), picture(stage))).collect()
}

/// The pictures behind every stage, as `hidden_states.N`.
pub(crate) fn pictures_behind(backbone: &BoxedBackbone, features: Features) -> Vec<(String, Values)> {
    let named = backbone.stages(features).into_iter().skip(1).enumerate();
    named.map(|(index, stage)| (format!("hidden_states.{index}"), picture(stage))).collect()
}

/// Features of a picture as one, `[batch, channels, height, width]`.
fn picture(features: Features) -> Values {
    let grid = features.grid.expect("a network of pictures keeps a grid");
    values(grid.picture(features.tokens))
}

/// How many classes the config of a Hugging Face checkpoint names; two where it names none.
///
/// # Errors
/// When it names no class at all: the network then has no head.
pub(crate) fn classes(folder: &Folder) -> Result<usize> {
    let named = folder.config.get("id2label").and_then(|names| names.as_object()).map(serde_json::Map::len);
    let counted =
        folder.config.get("num_labels").and_then(|count| count.as_u64()).map(|count| count as usize);
    match named.or(counted).unwrap_or(2) {
        0 => crate::refuse(folder, "id2label", 0, "at least one class"),
        classes => Ok(classes),
    }
}

/// One number for both sides, or a number each: height and width.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(untagged, expecting = "one number of pixels, or height and width")]
pub(crate) enum Sides {
    /// A square.
    Square(usize),
    /// Height and width.
    Both([usize; 2]),
}

impl Sides {
    /// Height and width.
    pub(crate) fn both(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Both(sides) => sides,
        }
    }
}

/// The patches of `sides`, without learned tokens.
pub(crate) fn patches([high, wide]: [usize; 2]) -> PatchesConfig {
    PatchesConfig { size: high, width: (wide != high).then_some(wide), ..PatchesConfig::default() }
}
