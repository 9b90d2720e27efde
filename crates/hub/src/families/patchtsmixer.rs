//! PatchTSMixer as Hugging Face publishes it, for prediction: Ekambaram et al. 2023, arXiv:2306.09364.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_series::PatchMixerConfig;
use ansatz_core::{BackboneConfig, Build, Choice, Registry, Result, Target, TaskConfig};
use ansatz_data_series::{Layout, PatchesConfig, SeriesShape, StemConfig, VALUES};
use ansatz_ops::{NormConfig, NormKind};
use ansatz_tasks::{ForecastConfig, Projection};
use burn::tensor::Device;
use serde::Deserialize;
use serde_json::Value;

use super::patchtst::{predicts, scaling};
use crate::{Family, Folder, Forecaster, ForecasterParts, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "patchtsmixer", matches: |folder| folder.model_type() == Some("patchtsmixer"), open };

/// Options of masked pretraining, of sampling, of other tasks and of training, and what follows from others.
const WITHOUT_EFFECT: &[&str] = &[
    "channel_consistent_masking",
    "distribution_output",
    "head_aggregation",
    "head_dropout",
    "init_std",
    "mask_type",
    "mask_value",
    "masked_loss",
    "num_forecast_mask_patches",
    "num_parallel_samples",
    "num_patches",
    "num_targets",
    "output_range",
    "patch_last",
    // The positions are stored, whatever they began as.
    "positional_encoding_type",
    "random_mask_ratio",
    "unmasked_channel_indices",
];

/// The options that matter, with the defaults of the class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PatchTsMixer {
    context_length: usize,
    patch_length: usize,
    num_input_channels: usize,
    patch_stride: usize,
    d_model: usize,
    expansion_factor: usize,
    num_layers: usize,
    mode: String,
    gated_attn: bool,
    norm_mlp: String,
    self_attn: bool,
    self_attn_heads: usize,
    use_positional_encoding: bool,
    scaling: Value,
    loss: String,
    norm_eps: f64,
    prediction_length: usize,
    prediction_channel_indices: Option<Vec<usize>>,
}

impl Default for PatchTsMixer {
    fn default() -> Self {
        Self {
            context_length: 32,
            patch_length: 8,
            num_input_channels: 1,
            patch_stride: 8,
            d_model: 8,
            expansion_factor: 2,
            num_layers: 3,
            mode: "common_channel".to_owned(),
            gated_attn: true,
            norm_mlp: "LayerNorm".to_owned(),
            self_attn: false,
            self_attn_heads: 1,
            use_positional_encoding: false,
            scaling: "std".into(),
            loss: "mse".to_owned(),
            norm_eps: 1e-5,
            prediction_length: 16,
            prediction_channel_indices: None,
        }
    }
}

impl PatchTsMixer {
    fn batch_norm(&self) -> bool {
        self.norm_mlp.to_lowercase().contains("batch")
    }

    fn mixes_channels(&self) -> bool {
        self.mode == "mix_channel"
    }

    fn backbone(&self) -> Result<PatchMixerConfig> {
        let attention = AttentionConfig { heads: self.self_attn_heads, ..AttentionConfig::default() };
        let kind = if self.batch_norm() { NormKind::Batch } else { NormKind::Layer };
        Ok(PatchMixerConfig {
            width: self.d_model,
            depth: self.num_layers,
            expansion: self.expansion_factor,
            gated: self.gated_attn,
            mix_channels: self.mixes_channels(),
            mixer: if self.self_attn { Some(Choice::typed(&attention)?) } else { None },
            norm: NormConfig { kind, ..NormConfig::layer(self.norm_eps) },
            positions: self.use_positional_encoding,
            dropout: 0.0,
        })
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    predicts(folder, "PatchTSMixerForPrediction")?;
    let options: PatchTsMixer = Options::read(folder, WITHOUT_EFFECT)?;
    if !["common_channel", "mix_channel"].contains(&options.mode.as_str()) {
        return refuse(folder, "mode", &options.mode, "common_channel or mix_channel");
    }
    if options.loss != "mse" {
        return refuse(folder, "loss", &options.loss, "mse");
    }
    if options.prediction_channel_indices.is_some() {
        let given = &options.prediction_channel_indices;
        return refuse(folder, "prediction_channel_indices", given, "null, all channels");
    }
    let shape =
        SeriesShape { length: options.context_length, channels: options.num_input_channels, marks: 0 };
    let patches = PatchesConfig {
        length: options.patch_length,
        stride: options.patch_stride,
        layout: Layout::Grid,
        ..PatchesConfig::default()
    };
    let norm = scaling(&options.scaling, &["mean".into()], &["std".into(), true.into()]);
    let stem = StemConfig::Patches(patches).init(shape, norm, Some(options.d_model), device)?;
    let backbone = options.backbone()?.init(&stem.output(), &Build::new(registry, device))?;
    let target = Target::Series {
        channels: (0..options.num_input_channels).map(|channel| channel.to_string()).collect(),
        horizon: options.prediction_length,
        apart: false,
        naive: Vec::new(),
    };
    let task = ForecastConfig { projection: Projection::Flatten, ..ForecastConfig::default() };
    let head = task.head(&backbone.output(&stem.output()), &target, device)?;
    let parts = ForecasterParts {
        stem,
        backbone,
        head,
        names: names(&options),
        inputs: vec![("past_values", VALUES)],
        ignored: &[],
        forecast: "prediction_outputs",
        // The published states begin behind the first layer.
        first_hidden: 1,
    };
    Ok(Box::new(Forecaster::open(parts, folder, device)?))
}

fn names(options: &PatchTsMixer) -> Names {
    let mut names = Names::new();
    names.linear_with_bias("model.encoder.patcher", "stem.projection");
    if options.use_positional_encoding {
        names.same("model.encoder.positional_encoder.position_enc", "backbone.positions");
    }
    let norm = |names: &mut Names, published: &str, ours: &str| {
        if options.batch_norm() {
            names.batch_norm(&format!("{published}.batchnorm"), ours);
        } else {
            names.scale_and_shift(published, ours);
        }
    };
    for layer in 0..options.num_layers {
        let mut parts = vec![("patch_mixer", "patches"), ("feature_mixer", "values")];
        if options.mixes_channels() {
            parts.push(("channel_feature_mixer", "channels"));
        }
        for (published, ours) in parts {
            let published = format!("model.encoder.mlp_mixer_encoder.mixers.{layer}.{published}");
            let ours = format!("backbone.blocks.{layer}.{ours}");
            norm(&mut names, &format!("{published}.norm.norm"), &format!("{ours}.norm"));
            names.linear_with_bias(&format!("{published}.mlp.fc1"), &format!("{ours}.mlp.expand"));
            names.linear_with_bias(&format!("{published}.mlp.fc2"), &format!("{ours}.mlp.contract"));
            if options.gated_attn {
                let gate = format!("{published}.gating_block.attn_layer");
                names.linear_with_bias(&gate, &format!("{ours}.gate.linear"));
            }
            if options.self_attn && ours.ends_with("patches") {
                for (map, part) in [("q", "query"), ("k", "key"), ("v", "value"), ("out", "output")] {
                    let map = format!("{published}.self_attn_layer.{map}_proj");
                    names.linear_with_bias(&map, &format!("{ours}.mixer.{part}"));
                }
                norm(&mut names, &format!("{published}.norm_attn.norm"), &format!("{ours}.mixer_norm"));
            }
        }
    }
    names.linear_with_bias("head.base_forecast_block", "head.linear");
    names
}
