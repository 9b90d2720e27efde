//! ConvNeXt: Liu et al., A ConvNet for the 2020s, 2022, arXiv:2201.03545.

use ansatz_arch_channel::MlpConfig;
use ansatz_arch_conv::DepthwiseConvolutionConfig;
use ansatz_arch_stack::{
    Arrangement, EmbeddingConfig, HierarchyConfig, HierarchyStage, PositionKind, StackConfig,
};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_image::PictureSize;
use ansatz_ops::NormConfig;
use ansatz_tasks::ClassifyConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::activation;
use crate::picture_model::{PictureModel, Sides, classes, hidden_pictures};
use crate::{Family, Folder, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "convnext", matches: |folder| folder.model_type() == Some("convnext"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConvNext {
    num_channels: usize,
    patch_size: Sides,
    num_stages: usize,
    hidden_sizes: Vec<usize>,
    depths: Vec<usize>,
    hidden_act: String,
    layer_norm_eps: f64,
    layer_scale_init_value: f64,
}

impl Default for ConvNext {
    fn default() -> Self {
        Self {
            num_channels: 3,
            patch_size: Sides::Square(4),
            num_stages: 4,
            hidden_sizes: vec![96, 192, 384, 768],
            depths: vec![3, 3, 9, 3],
            hidden_act: "gelu".to_owned(),
            layer_norm_eps: 1e-12,
            layer_scale_init_value: 1e-6,
        }
    }
}

/// What training drops, the size of the pictures it was trained on, and which stages a class without a head gives out.
const WITHOUT_EFFECT: &[&str] =
    &["drop_path_rate", "image_size", "out_features", "out_indices", "stage_names"];

/// ε of every norm but the last.
const EPSILON: f64 = 1e-6;

/// The side of pictures that the published networks were trained on, in pixels; the network takes any.
const SIDE: usize = 224;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: ConvNext = Options::read(folder, WITHOUT_EFFECT)?;
    let stages = options.num_stages;
    if options.hidden_sizes.len() != stages || options.depths.len() != stages {
        let given = format!("{:?} and {:?}", options.hidden_sizes, options.depths);
        return refuse(folder, "hidden_sizes and depths", given, "as many as num_stages of each");
    }
    let model = PictureModel {
        size: PictureSize { height: SIDE, width: SIDE, channels: options.num_channels },
        classes: classes(folder)?,
        patches: None,
        backbone: Choice::typed(&hierarchy(folder, &options)?)?,
        head: ClassifyConfig {
            norm: Some(NormConfig::layer(options.layer_norm_eps)),
            ..ClassifyConfig::default()
        },
        readings: hidden_pictures,
        names: names(&options),
    };
    model.open(folder, registry, device)
}

fn hierarchy(folder: &Folder, options: &ConvNext) -> Result<HierarchyConfig> {
    let patch = match options.patch_size.both() {
        [height, width] if height == width => height,
        sides => return refuse(folder, "patch_size", sides, "one number: square patches"),
    };
    let activation = activation(folder, "hidden_act", &options.hidden_act)?;
    let mixer = Choice::typed(&DepthwiseConvolutionConfig::default())?;
    let channel = Choice::typed(&MlpConfig { activation, ..MlpConfig::default() })?;
    let widths = options.hidden_sizes.iter().zip(&options.depths);
    let stages = widths.enumerate().map(|(index, (&width, &depth))| {
        let kernel = if index == 0 { patch } else { 2 };
        HierarchyStage {
            embedding: EmbeddingConfig { kernel, stride: kernel, padding: 0 },
            stack: StackConfig {
                width,
                depth,
                pattern: vec![mixer.clone()],
                channels: vec![channel.clone()],
                norm: NormConfig::layer(EPSILON),
                arrangement: Arrangement::Single,
                // The first norm stands behind the patches, every other one in front of the next stage's.
                first_norm: index == 0,
                last_norm: index + 1 < options.num_stages,
                layer_scale: Some(options.layer_scale_init_value).filter(|scale| *scale > 0.0),
                positions: PositionKind::None,
                ..StackConfig::default()
            },
        }
    });
    Ok(HierarchyConfig { stages: stages.collect() })
}

fn names(options: &ConvNext) -> Names {
    let mut names = Names::new();
    let convolution = |names: &mut Names, published: &str, ours: &str| {
        for part in ["weight", "bias"] {
            names.same(format!("{published}.{part}"), format!("{ours}.convolution.{part}"));
        }
    };
    let stage = |index: usize| format!("backbone.stages.{index}");
    convolution(&mut names, "convnext.embeddings.patch_embeddings", &format!("{}.embedding", stage(0)));
    names.scale_and_shift("convnext.embeddings.layernorm", &format!("{}.stack.first_norm", stage(0)));
    for (index, &depth) in options.depths.iter().enumerate() {
        let published = format!("convnext.encoder.stages.{index}");
        if index > 0 {
            let before = format!("{}.stack.norm", stage(index - 1));
            names.scale_and_shift(&format!("{published}.downsampling_layer.0"), &before);
            let embedding = format!("{}.embedding", stage(index));
            convolution(&mut names, &format!("{published}.downsampling_layer.1"), &embedding);
        }
        for layer in 0..depth {
            let theirs = format!("{published}.layers.{layer}");
            let ours = format!("{}.stack.blocks.{layer}", stage(index));
            convolution(&mut names, &format!("{theirs}.dwconv"), &format!("{ours}.mixer"));
            names.scale_and_shift(&format!("{theirs}.layernorm"), &format!("{ours}.channel_norm"));
            names.linear_with_bias(&format!("{theirs}.pwconv1"), &format!("{ours}.channel.expand"));
            names.linear_with_bias(&format!("{theirs}.pwconv2"), &format!("{ours}.channel.contract"));
            if options.layer_scale_init_value > 0.0 {
                let scale = format!("{theirs}.layer_scale_parameter");
                names.same(scale, format!("{ours}.mixer_layer_scale"));
            }
        }
    }
    names.scale_and_shift("convnext.layernorm", "head.norm");
    names.linear_with_bias("classifier", "head.linear");
    names
}
