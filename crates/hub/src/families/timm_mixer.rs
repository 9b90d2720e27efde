//! MLP-Mixer as timm publishes it, `timm.models.mlp_mixer.MlpMixer`: Tolstikhin et al., 2021, arXiv:2105.01601.

use ansatz_arch_channel::MlpConfig;
use ansatz_arch_mlp::TokenMlpConfig;
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Registry, Result};
use ansatz_data_image::PictureSize;
use ansatz_ops::NormConfig;
use ansatz_tasks::ClassifyConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::picture_model::{PictureModel, Sides, last_tokens, patches};
use crate::{Family, Folder, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family = Family { name: "timm-mixer", matches, open };

/// The config holds the arguments of the class and no `model_type`.
fn matches(folder: &Folder) -> bool {
    let has = |key: &str| folder.config.contains_key(key);
    let own = folder.class().is_none_or(|class| class == "timm.models.mlp_mixer.MlpMixer");
    own && folder.model_type().is_none() && has("num_blocks") && has("patch_size") && has("img_size")
}

/// The arguments that matter, with the defaults of the class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MlpMixer {
    num_classes: usize,
    img_size: Sides,
    in_chans: usize,
    patch_size: Sides,
    num_blocks: usize,
    embed_dim: usize,
    mlp_ratio: Ratios,
    stem_norm: bool,
    global_pool: String,
}

/// How many times wider the hidden tokens and channels are than a token: one number for both, or a number each.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "one ratio, or one for tokens and one for channels")]
enum Ratios {
    Same(f64),
    Both([f64; 2]),
}

impl Default for MlpMixer {
    fn default() -> Self {
        Self {
            num_classes: 1000,
            img_size: Sides::Square(224),
            in_chans: 3,
            patch_size: Sides::Square(16),
            num_blocks: 8,
            embed_dim: 512,
            mlp_ratio: Ratios::Both([0.5, 4.0]),
            stem_norm: false,
            global_pool: "avg".to_owned(),
        }
    }
}

/// What training drops, and how the bias of the head begins.
const WITHOUT_EFFECT: &[&str] = &["drop_rate", "proj_drop_rate", "drop_path_rate", "nlhb"];

/// ε of every norm.
const EPSILON: f64 = 1e-6;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: MlpMixer = Options::read(folder, WITHOUT_EFFECT)?;
    if options.num_classes == 0 {
        return refuse(folder, "num_classes", 0, "at least one class");
    }
    if options.global_pool != "avg" {
        return refuse(folder, "global_pool", &options.global_pool, "avg");
    }
    let [tokens, channels] = match options.mlp_ratio {
        Ratios::Same(ratio) => [ratio; 2],
        Ratios::Both(ratios) => ratios,
    };
    // The published class rounds down.
    let hidden = |ratio: f64| Some((ratio * options.embed_dim as f64) as usize);
    let mixer = TokenMlpConfig { hidden: hidden(tokens), ..TokenMlpConfig::default() };
    let channel = MlpConfig { hidden: hidden(channels), ..MlpConfig::default() };
    let stack = StackConfig {
        width: options.embed_dim,
        depth: options.num_blocks,
        pattern: vec![Choice::typed(&mixer)?],
        channels: vec![Choice::typed(&channel)?],
        norm: NormConfig::layer(EPSILON),
        first_norm: options.stem_norm,
        positions: PositionKind::None,
        ..StackConfig::default()
    };
    let [height, width] = options.img_size.both();
    let model = PictureModel {
        size: PictureSize { height, width, channels: options.in_chans },
        classes: options.num_classes,
        patches: Some(patches(options.patch_size.both())),
        backbone: Choice::typed(&stack)?,
        head: ClassifyConfig::default(),
        readings: last_tokens,
        names: names(&options),
    };
    model.open(folder, registry, device)
}

fn names(options: &MlpMixer) -> Names {
    let mut names = Names::new();
    names.patches_with_bias("stem.proj", "stem.projection", options.patch_size.both());
    if options.stem_norm {
        names.scale_and_shift("stem.norm", "backbone.first_norm");
    }
    for block in 0..options.num_blocks {
        let (theirs, ours) = (format!("blocks.{block}"), format!("backbone.blocks.{block}"));
        names.scale_and_shift(&format!("{theirs}.norm1"), &format!("{ours}.mixer_norm"));
        names.scale_and_shift(&format!("{theirs}.norm2"), &format!("{ours}.channel_norm"));
        for (layer, part) in [("fc1", "expand"), ("fc2", "contract")] {
            let mixer = format!("{ours}.mixer.{part}");
            names.transposed(format!("{theirs}.mlp_tokens.{layer}.weight"), &mixer);
            names.same(format!("{theirs}.mlp_tokens.{layer}.bias"), format!("{mixer}_bias"));
            let channel = format!("{ours}.channel.{part}");
            names.linear_with_bias(&format!("{theirs}.mlp_channels.{layer}"), &channel);
        }
    }
    names.scale_and_shift("norm", "backbone.norm");
    names.linear_with_bias("head", "head.linear");
    names
}
