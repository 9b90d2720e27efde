//! PoolFormer: Yu et al., MetaFormer Is Actually What You Need for Vision, 2022, arXiv:2111.11418.

use ansatz_arch_channel::MlpConfig;
use ansatz_arch_conv::AveragePoolConfig;
use ansatz_arch_stack::{
    EmbeddingConfig, HierarchyConfig, HierarchyStage, NormOver, PositionKind, StackConfig,
};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_image::PictureSize;
use ansatz_ops::NormConfig;
use ansatz_tasks::ClassifyConfig;
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::activation;
use crate::picture_model::{PictureModel, classes, pictures_behind};
use crate::{Family, Folder, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "poolformer", matches: |folder| folder.model_type() == Some("poolformer"), open };

/// The options that matter, with the defaults of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PoolFormer {
    num_channels: usize,
    pool_size: usize,
    mlp_ratio: f64,
    depths: Vec<usize>,
    hidden_sizes: Vec<usize>,
    patch_sizes: Vec<usize>,
    strides: Vec<usize>,
    padding: Vec<usize>,
    num_encoder_blocks: usize,
    hidden_act: String,
    use_layer_scale: bool,
    layer_scale_init_value: f64,
}

impl Default for PoolFormer {
    fn default() -> Self {
        Self {
            num_channels: 3,
            pool_size: 3,
            mlp_ratio: 4.0,
            depths: vec![2, 2, 6, 2],
            hidden_sizes: vec![64, 128, 320, 512],
            patch_sizes: vec![7, 3, 3, 3],
            strides: vec![4, 2, 2, 2],
            padding: vec![2, 1, 1, 1],
            num_encoder_blocks: 4,
            hidden_act: "gelu".to_owned(),
            use_layer_scale: true,
            layer_scale_init_value: 1e-5,
        }
    }
}

/// What training drops, and two options that the published class does not read.
const WITHOUT_EFFECT: &[&str] = &["drop_path_rate", "patch_size", "stride"];

/// ε of every norm: PyTorch's for group norms.
const EPSILON: f64 = 1e-5;

/// The side of pictures that the published networks were trained on, in pixels; the network takes any.
const SIDE: usize = 224;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: PoolFormer = Options::read(folder, WITHOUT_EFFECT)?;
    for (name, list) in [
        ("depths", &options.depths),
        ("hidden_sizes", &options.hidden_sizes),
        ("patch_sizes", &options.patch_sizes),
        ("strides", &options.strides),
        ("padding", &options.padding),
    ] {
        if list.len() != options.num_encoder_blocks {
            return refuse(folder, name, list, "as many as num_encoder_blocks");
        }
    }
    if options.pool_size.is_multiple_of(2) {
        return refuse(
            folder,
            "pool_size",
            options.pool_size,
            "an odd number: others change the size of the picture",
        );
    }
    let model = PictureModel {
        size: PictureSize { height: SIDE, width: SIDE, channels: options.num_channels },
        classes: classes(folder)?,
        patches: None,
        backbone: Choice::typed(&hierarchy(folder, &options)?)?,
        head: ClassifyConfig::default(),
        readings: pictures_behind,
        names: names(&options),
    };
    model.open(folder, registry, device)
}

fn hierarchy(folder: &Folder, options: &PoolFormer) -> Result<HierarchyConfig> {
    let activation = activation(folder, "hidden_act", &options.hidden_act)?;
    let mixer = Choice::typed(&AveragePoolConfig { size: options.pool_size })?;
    let stages = options.hidden_sizes.iter().enumerate().map(|(index, &width)| {
        // The published class rounds down.
        let hidden = Some((width as f64 * options.mlp_ratio) as usize);
        Ok(HierarchyStage {
            embedding: EmbeddingConfig {
                kernel: options.patch_sizes[index],
                stride: options.strides[index],
                padding: options.padding[index],
            },
            stack: StackConfig {
                width,
                depth: options.depths[index],
                pattern: vec![mixer.clone()],
                channels: vec![Choice::typed(&MlpConfig { hidden, activation, ..MlpConfig::default() })?],
                norm: NormConfig::layer(EPSILON),
                norm_over: NormOver::Example,
                last_norm: index + 1 == options.num_encoder_blocks,
                layer_scale: options.use_layer_scale.then_some(options.layer_scale_init_value),
                positions: PositionKind::None,
                ..StackConfig::default()
            },
        })
    });
    Ok(HierarchyConfig { stages: stages.collect::<Result<_>>()? })
}

fn names(options: &PoolFormer) -> Names {
    let mut names = Names::new();
    for (index, &depth) in options.depths.iter().enumerate() {
        let stage = format!("backbone.stages.{index}");
        for part in ["weight", "bias"] {
            let published = format!("poolformer.encoder.patch_embeddings.{index}.projection.{part}");
            names.same(published, format!("{stage}.embedding.convolution.{part}"));
        }
        for layer in 0..depth {
            let theirs = format!("poolformer.encoder.block.{index}.{layer}");
            let ours = format!("{stage}.stack.blocks.{layer}");
            names.scale_and_shift(&format!("{theirs}.before_norm"), &format!("{ours}.mixer_norm"));
            names.scale_and_shift(&format!("{theirs}.after_norm"), &format!("{ours}.channel_norm"));
            // Linear maps, published as convolutions of one token.
            for (published, part) in [("conv1", "expand"), ("conv2", "contract")] {
                let published = format!("{theirs}.output.{published}");
                names.patches_with_bias(&published, &format!("{ours}.channel.{part}"), [1, 1]);
            }
            if options.use_layer_scale {
                names.same(format!("{theirs}.layer_scale_1"), format!("{ours}.mixer_layer_scale"));
                names.same(format!("{theirs}.layer_scale_2"), format!("{ours}.channel_layer_scale"));
            }
        }
    }
    let last = options.num_encoder_blocks.saturating_sub(1);
    names.scale_and_shift("norm", &format!("backbone.stages.{last}.stack.norm"));
    names.linear_with_bias("classifier", "head.linear");
    names
}
