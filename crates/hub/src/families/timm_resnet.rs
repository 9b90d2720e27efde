//! ResNet as timm publishes it, `timm.models.resnet.ResNet`, under torchvision's names: He et al., 2016,
//! arXiv:1512.03385.

use ansatz_arch_conv::{ResNetConfig, ResidualKind};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_image::PictureSize;
use ansatz_ops::Activation;
use ansatz_tasks::ClassifyConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::picture_model::{PictureModel, last_picture};
use crate::{Family, Folder, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family = Family { name: "timm-resnet", matches, open };

/// The config holds the arguments of the class and no `model_type`.
fn matches(folder: &Folder) -> bool {
    let has = |key: &str| folder.config.contains_key(key);
    let own = folder.class().is_none_or(|class| class == "timm.models.resnet.ResNet");
    own && folder.model_type().is_none() && has("block") && has("layers")
}

/// The arguments that matter, with the defaults of the class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResNet {
    block: String,
    layers: Vec<usize>,
    channels: Vec<usize>,
    num_classes: usize,
    in_chans: usize,
    output_stride: usize,
    global_pool: String,
    cardinality: usize,
    base_width: usize,
    stem_type: String,
    replace_stem_pool: bool,
    block_reduce_first: usize,
    down_kernel_size: usize,
    avg_down: bool,
    act_layer: String,
}

impl Default for ResNet {
    fn default() -> Self {
        Self {
            block: "BasicBlock".to_owned(),
            layers: Vec::new(),
            channels: vec![64, 128, 256, 512],
            num_classes: 1000,
            in_chans: 3,
            output_stride: 32,
            global_pool: "avg".to_owned(),
            cardinality: 1,
            base_width: 64,
            stem_type: String::new(),
            replace_stem_pool: false,
            block_reduce_first: 1,
            down_kernel_size: 1,
            avg_down: false,
            act_layer: "relu".to_owned(),
        }
    }
}

/// What training drops and how weights begin; and the width of a deep stem, which the plain one does not read.
const WITHOUT_EFFECT: &[&str] =
    &["drop_rate", "drop_path_rate", "drop_block_rate", "zero_init_last", "stem_width"];

/// Channels behind the stem, whatever the stages have.
const STEM: usize = 64;

/// How many times more channels leave a bottleneck than stand inside.
const EXPANSION: usize = 4;

/// The side of pictures that the published networks were trained on, in pixels; the network takes any.
const SIDE: usize = 224;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: ResNet = Options::read(folder, WITHOUT_EFFECT)?;
    check(folder, &options)?;
    let (block, expansion) = match options.block.as_str() {
        "BasicBlock" => (ResidualKind::Basic, 1),
        "Bottleneck" => (ResidualKind::Bottleneck, EXPANSION),
        other => return refuse(folder, "block", other, "BasicBlock or Bottleneck"),
    };
    let activation = match options.act_layer.as_str() {
        "relu" => Activation::Relu,
        "gelu" => Activation::Gelu,
        "silu" | "swish" => Activation::Silu,
        other => return refuse(folder, "act_layer", other, "relu, gelu, silu or swish"),
    };
    let config = ResNetConfig {
        stem: STEM,
        stem_kernel: 7,
        stem_stride: 2,
        stem_pool: true,
        stages: options.channels.iter().map(|channels| channels * expansion).collect(),
        depths: options.layers.clone(),
        block,
        reduction: EXPANSION,
        activation,
        inner_activation: activation,
        ..ResNetConfig::default()
    };
    let model = PictureModel {
        size: PictureSize { height: SIDE, width: SIDE, channels: options.in_chans },
        classes: options.num_classes,
        patches: None,
        names: names(&config),
        backbone: Choice::typed(&config)?,
        head: ClassifyConfig::default(),
        readings: last_picture,
    };
    model.open(folder, registry, device)
}

/// Refuses what is not implemented.
fn check(folder: &Folder, options: &ResNet) -> Result<()> {
    if options.num_classes == 0 {
        return refuse(folder, "num_classes", 0, "at least one class");
    }
    if options.layers.len() != options.channels.len() {
        return refuse(folder, "layers", &options.layers, "as many as channels");
    }
    if options.global_pool != "avg" {
        return refuse(folder, "global_pool", &options.global_pool, "avg");
    }
    if !options.stem_type.is_empty() {
        return refuse(folder, "stem_type", &options.stem_type, "\"\": one convolution of 7 × 7");
    }
    for (name, given, implemented) in [
        ("output_stride", options.output_stride, 32),
        ("cardinality", options.cardinality, 1),
        ("base_width", options.base_width, 64),
        ("block_reduce_first", options.block_reduce_first, 1),
        ("down_kernel_size", options.down_kernel_size, 1),
    ] {
        if given != implemented {
            return refuse(folder, name, given, &implemented.to_string());
        }
    }
    for (name, given) in [("replace_stem_pool", options.replace_stem_pool), ("avg_down", options.avg_down)] {
        if given {
            return refuse(folder, name, given, "false");
        }
    }
    Ok(())
}

fn names(config: &ResNetConfig) -> Names {
    let mut names = Names::new();
    let layer = |names: &mut Names, [convolution, norm]: [String; 2], ours: &str| {
        names.same(format!("{convolution}.weight"), format!("{ours}.conv.weight"));
        names.convolution_norm(&norm, &format!("{ours}.norm"));
    };
    layer(&mut names, ["conv1", "bn1"].map(str::to_owned), "backbone.stem");
    let mut channels = STEM;
    for (stage, (&width, &depth)) in config.stages.iter().zip(&config.depths).enumerate() {
        for block in 0..depth {
            let published = format!("layer{}.{block}", stage + 1);
            let ours = format!("backbone.stages.{stage}.{block}");
            let parts: &[&str] = match config.block {
                ResidualKind::Basic => &["first", "second"],
                ResidualKind::Bottleneck => &["first", "second", "third"],
            };
            for (index, part) in (1..).zip(parts) {
                let theirs = ["conv", "bn"].map(|kind| format!("{published}.{kind}{index}"));
                layer(&mut names, theirs, &format!("{ours}.{part}"));
            }
            if channels != width || (block == 0 && stage > 0) {
                let theirs = ["0", "1"].map(|part| format!("{published}.downsample.{part}"));
                layer(&mut names, theirs, &format!("{ours}.shortcut"));
            }
            channels = width;
        }
    }
    names.linear_with_bias("fc", "head.linear");
    names
}
