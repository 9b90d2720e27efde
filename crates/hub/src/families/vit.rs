//! ViT: Dosovitskiy et al., An image is worth 16×16 words, 2021, arXiv:2010.11929; and DeiT: Touvron et al., 2021,
//! arXiv:2012.12877, which has a second learned token, and a second head that reads it.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::MlpConfig;
use ansatz_arch_stack::StackConfig;
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_image::PictureSize;
use ansatz_data_image::stem::PatchesConfig;
use ansatz_ops::NormConfig;
use ansatz_tasks::{ClassifyConfig, Pool};
use burn::tensor::Device;
use serde::Deserialize;

use super::decoder::activation;
use crate::picture_model::{PictureModel, Sides, classes, hidden_tokens, patches};
use crate::{Family, Folder, Names, Options, Subject};

pub(super) const FAMILY: Family = Family {
    name: "vit",
    matches: |folder| folder.model_type() == Some("vit"),
    open: |folder, registry, device| open(folder, Kind::Vit, registry, device),
};
pub(super) const DEIT: Family = Family {
    name: "deit",
    matches: |folder| folder.model_type() == Some("deit"),
    open: |folder, registry, device| open(folder, Kind::Deit, registry, device),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vit,
    Deit,
}

impl Kind {
    /// What stands in front of the encoder's names.
    fn prefix(self) -> &'static str {
        match self {
            Self::Vit => "vit",
            Self::Deit => "deit",
        }
    }
}

/// The options that matter, with the defaults of the published classes.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Vit {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    head_dim: Option<usize>,
    intermediate_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    image_size: Sides,
    patch_size: Sides,
    num_channels: usize,
    qkv_bias: bool,
}

impl Default for Vit {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            head_dim: None,
            intermediate_size: 3072,
            hidden_act: "gelu".to_owned(),
            layer_norm_eps: 1e-12,
            image_size: Sides::Square(224),
            patch_size: Sides::Square(16),
            num_channels: 3,
            qkv_bias: true,
        }
    }
}

/// Options of other classes: a decoder that paints masked patches, a map behind the first token.
const OTHER_CLASSES: &[&str] = &["encoder_stride", "pooler_act", "pooler_output_size"];

fn open(folder: &Folder, kind: Kind, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: Vit = Options::read(folder, OTHER_CLASSES)?;
    let distilled = folder.weights()?.names().any(|name| name.starts_with("distillation_classifier."));
    let attention = AttentionConfig {
        heads: options.num_attention_heads,
        // The published class rounds down.
        head_width: options.head_dim.or(options.hidden_size.checked_div(options.num_attention_heads)),
        bias: options.qkv_bias,
        output_bias: Some(true),
        ..AttentionConfig::default()
    };
    let activation = activation(folder, "hidden_act", &options.hidden_act)?;
    let channel = MlpConfig { hidden: Some(options.intermediate_size), activation, ..MlpConfig::default() };
    let stack = StackConfig {
        width: options.hidden_size,
        depth: options.num_hidden_layers,
        pattern: vec![Choice::typed(&attention)?],
        channels: vec![Choice::typed(&channel)?],
        norm: NormConfig::layer(options.layer_norm_eps),
        ..StackConfig::default()
    };
    let [height, width] = options.image_size.both();
    let model = PictureModel {
        size: PictureSize { height, width, channels: options.num_channels },
        classes: classes(folder)?,
        patches: Some(PatchesConfig {
            class_token: true,
            distillation_token: kind == Kind::Deit,
            ..patches(options.patch_size.both())
        }),
        backbone: Choice::typed(&stack)?,
        head: ClassifyConfig { pool: Pool::First, distilled, ..ClassifyConfig::default() },
        readings: hidden_tokens,
        names: names(&options, kind, distilled),
    };
    model.open(folder, registry, device)
}

fn names(options: &Vit, kind: Kind, distilled: bool) -> Names {
    let prefix = kind.prefix();
    let mut names = Names::new();
    let embeddings = format!("{prefix}.embeddings");
    names.same(format!("{embeddings}.cls_token"), "stem.class_token");
    if kind == Kind::Deit {
        names.same(format!("{embeddings}.distillation_token"), "stem.distillation_token");
    }
    let patches = format!("{embeddings}.patch_embeddings.projection");
    names.patches_with_bias(&patches, "stem.projection", options.patch_size.both());
    names.unsqueezed(format!("{embeddings}.position_embeddings"), "backbone.positions.learned", 0);
    for layer in 0..options.num_hidden_layers {
        let (theirs, ours) = (format!("{prefix}.encoder.layer.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale_and_shift(&format!("{theirs}.layernorm_before"), &format!("{ours}.mixer_norm"));
        for map in ["query", "key", "value"] {
            let published = format!("{theirs}.attention.attention.{map}");
            names.linear_maybe_bias(&published, &format!("{ours}.mixer.{map}"), options.qkv_bias);
        }
        names.linear_with_bias(&format!("{theirs}.attention.output.dense"), &format!("{ours}.mixer.output"));
        names.scale_and_shift(&format!("{theirs}.layernorm_after"), &format!("{ours}.channel_norm"));
        names.linear_with_bias(&format!("{theirs}.intermediate.dense"), &format!("{ours}.channel.expand"));
        names.linear_with_bias(&format!("{theirs}.output.dense"), &format!("{ours}.channel.contract"));
    }
    names.scale_and_shift(&format!("{prefix}.layernorm"), "backbone.norm");
    if distilled {
        names.linear_with_bias("cls_classifier", "head.linear");
        names.linear_with_bias("distillation_classifier", "head.distilled");
    } else {
        names.linear_with_bias("classifier", "head.linear");
    }
    names
}
