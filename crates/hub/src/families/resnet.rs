//! ResNet: He et al., Deep residual learning for image recognition, 2016, arXiv:1512.03385.

use ansatz_arch_conv::{ResNetConfig, ResidualKind};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_image::PictureSize;
use ansatz_ops::Activation;
use ansatz_tasks::ClassifyConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::activation;
use crate::picture_model::{PictureModel, classes, hidden_pictures};
use crate::{Family, Folder, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "resnet", matches: |folder| folder.model_type() == Some("resnet"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResNet {
    num_channels: usize,
    embedding_size: usize,
    hidden_sizes: Vec<usize>,
    depths: Vec<usize>,
    layer_type: String,
    hidden_act: String,
    downsample_in_first_stage: bool,
    downsample_in_bottleneck: bool,
}

impl Default for ResNet {
    fn default() -> Self {
        Self {
            num_channels: 3,
            embedding_size: 64,
            hidden_sizes: vec![256, 512, 1024, 2048],
            depths: vec![3, 4, 6, 3],
            layer_type: "bottleneck".to_owned(),
            hidden_act: "relu".to_owned(),
            downsample_in_first_stage: false,
            downsample_in_bottleneck: false,
        }
    }
}

/// Which stages a class without a head gives out.
const OTHER_CLASSES: &[&str] = &["out_features", "out_indices", "stage_names"];

/// The side of pictures that the published networks were trained on, in pixels; the network takes any.
const SIDE: usize = 224;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: ResNet = Options::read(folder, OTHER_CLASSES)?;
    if options.depths.len() != options.hidden_sizes.len() {
        return refuse(folder, "depths", &options.depths, "as many as hidden_sizes");
    }
    let block = match options.layer_type.as_str() {
        "basic" => ResidualKind::Basic,
        "bottleneck" => ResidualKind::Bottleneck,
        other => return refuse(folder, "layer_type", other, "basic or bottleneck"),
    };
    let config = ResNetConfig {
        stem: options.embedding_size,
        stem_kernel: 7,
        stem_stride: 2,
        stem_pool: true,
        stages: options.hidden_sizes.clone(),
        depths: options.depths.clone(),
        block,
        reduction: 4,
        first_stride: if options.downsample_in_first_stage { 2 } else { 1 },
        early_stride: options.downsample_in_bottleneck,
        activation: activation(folder, "hidden_act", &options.hidden_act)?,
        // Between the convolutions the published class has rectifiers, whatever `hidden_act` is.
        inner_activation: Activation::Relu,
        ..ResNetConfig::default()
    };
    let model = PictureModel {
        size: PictureSize { height: SIDE, width: SIDE, channels: options.num_channels },
        classes: classes(folder)?,
        patches: None,
        backbone: Choice::typed(&config)?,
        head: ClassifyConfig::default(),
        readings: hidden_pictures,
        names: names(&options, &config),
    };
    model.open(folder, registry, device)
}

fn names(options: &ResNet, config: &ResNetConfig) -> Names {
    let mut names = Names::new();
    let layer = |names: &mut Names, published: &str, ours: &str| {
        names.same(format!("{published}.convolution.weight"), format!("{ours}.conv.weight"));
        names.convolution_norm(&format!("{published}.normalization"), &format!("{ours}.norm"));
    };
    layer(&mut names, "resnet.embedder.embedder", "backbone.stem");
    let mut channels = options.embedding_size;
    for (stage, (&width, &depth)) in options.hidden_sizes.iter().zip(&options.depths).enumerate() {
        for block in 0..depth {
            let published = format!("resnet.encoder.stages.{stage}.layers.{block}");
            let ours = format!("backbone.stages.{stage}.{block}");
            let parts: &[&str] = match config.block {
                ResidualKind::Basic => &["first", "second"],
                ResidualKind::Bottleneck => &["first", "second", "third"],
            };
            for (index, part) in parts.iter().enumerate() {
                layer(&mut names, &format!("{published}.layer.{index}"), &format!("{ours}.{part}"));
            }
            let halves = block == 0 && (stage > 0 || options.downsample_in_first_stage);
            if channels != width || halves {
                layer(&mut names, &format!("{published}.shortcut"), &format!("{ours}.shortcut"));
            }
            channels = width;
        }
    }
    names.linear_with_bias("classifier.1", "head.linear");
    names
}
