//! PatchTST as Hugging Face publishes it, for prediction: Nie et al. 2023, arXiv:2211.14730.

use ansatz_arch_attention::AttentionConfig;
use ansatz_arch_channel::MlpConfig;
use ansatz_arch_stack::{Arrangement, PositionKind, StackConfig};
use ansatz_core::{BackboneConfig, Build, Choice, Registry, Result, Target, TaskConfig};
use ansatz_data_series::{InstanceNorm, PatchesConfig, SeriesShape, StemConfig, VALUES};
use ansatz_ops::{NormConfig, NormKind};
use ansatz_tasks::{ForecastConfig, Projection};
use burn::tensor::Device;
use serde::Deserialize;
use serde_json::Value;

use super::decoder::activation;
use crate::{Family, Folder, Forecaster, ForecasterParts, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "patchtst", matches: |folder| folder.model_type() == Some("patchtst"), open };

/// Options of masked pretraining, of sampling, of other tasks and of training.
const WITHOUT_EFFECT: &[&str] = &[
    "channel_consistent_masking",
    "distribution_output",
    "do_mask_input",
    "ff_dropout",
    "head_dropout",
    "init_std",
    "mask_type",
    "mask_value",
    "num_forecast_mask_patches",
    "num_parallel_samples",
    "num_targets",
    "output_range",
    "path_dropout",
    "positional_dropout",
    // The positions are stored, whatever they began as.
    "positional_encoding_type",
    "random_mask_ratio",
    "unmasked_channel_indices",
];

/// The options that matter, with the defaults of the class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PatchTst {
    num_input_channels: usize,
    context_length: usize,
    loss: Option<String>,
    patch_length: usize,
    patch_stride: usize,
    num_hidden_layers: usize,
    d_model: usize,
    num_attention_heads: usize,
    share_embedding: bool,
    channel_attention: bool,
    ffn_dim: usize,
    norm_type: String,
    norm_eps: f64,
    bias: bool,
    activation_function: String,
    pre_norm: bool,
    use_cls_token: bool,
    share_projection: bool,
    scaling: Value,
    pooling_type: Option<String>,
    prediction_length: usize,
}

impl Default for PatchTst {
    fn default() -> Self {
        Self {
            num_input_channels: 1,
            context_length: 32,
            loss: Some("mse".to_owned()),
            patch_length: 1,
            patch_stride: 1,
            num_hidden_layers: 3,
            d_model: 128,
            num_attention_heads: 4,
            share_embedding: true,
            channel_attention: false,
            ffn_dim: 512,
            norm_type: "batchnorm".to_owned(),
            norm_eps: 1e-5,
            bias: true,
            activation_function: "gelu".to_owned(),
            pre_norm: true,
            use_cls_token: false,
            share_projection: true,
            scaling: "std".into(),
            pooling_type: Some("mean".to_owned()),
            prediction_length: 24,
        }
    }
}

/// What is taken off each channel, by the published option `scaling`.
pub(super) fn scaling(given: &Value, mean: &[Value], standard: &[Value]) -> InstanceNorm {
    if standard.contains(given) {
        InstanceNorm::Standard
    } else if mean.contains(given) {
        InstanceNorm::Absolute
    } else {
        InstanceNorm::None
    }
}

/// Refuses a class of this family that does something else than predict.
pub(super) fn predicts(folder: &Folder, class: &str) -> Result<()> {
    let classes = folder.config.get("architectures").and_then(Value::as_array);
    let named = classes.and_then(|classes| classes.first()).and_then(Value::as_str);
    match named {
        Some(named) if named != class => refuse(folder, "architectures", named, class),
        _ => Ok(()),
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    predicts(folder, "PatchTSTForPrediction")?;
    let options: PatchTst = Options::read(folder, WITHOUT_EFFECT)?;
    for (option, given, implemented) in [
        ("share_embedding", options.share_embedding, true),
        ("share_projection", options.share_projection, true),
        ("channel_attention", options.channel_attention, false),
    ] {
        if given != implemented {
            return refuse(folder, option, given, &implemented.to_string());
        }
    }
    if options.loss.as_deref() != Some("mse") {
        return refuse(folder, "loss", &options.loss, "mse");
    }
    let shape =
        SeriesShape { length: options.context_length, channels: options.num_input_channels, marks: 0 };
    let patches = PatchesConfig {
        length: options.patch_length,
        stride: options.patch_stride,
        class_token: options.use_cls_token,
        ..PatchesConfig::default()
    };
    let norm = scaling(&options.scaling, &["mean".into(), true.into()], &["std".into()]);
    let stem = StemConfig::Patches(patches).init(shape, norm, Some(options.d_model), device)?;
    let backbone = stack(folder, &options)?.init(&stem.output(), &Build::new(registry, device))?;
    let projection = match (options.use_cls_token, options.pooling_type.as_deref()) {
        (true, _) => Projection::First,
        (false, Some("mean")) => Projection::Mean,
        (false, Some("max")) => Projection::Max,
        (false, None) => Projection::Flatten,
        (false, other) => return refuse(folder, "pooling_type", other, "mean, max or null"),
    };
    let target = Target::Series {
        channels: (0..options.num_input_channels).map(|channel| channel.to_string()).collect(),
        horizon: options.prediction_length,
        apart: true,
        naive: Vec::new(),
    };
    let task = ForecastConfig { projection, ..ForecastConfig::default() };
    let head = task.head(&backbone.output(&stem.output()), &target, device)?;
    let parts = ForecasterParts {
        stem,
        backbone,
        head,
        names: names(&options),
        inputs: vec![("past_values", VALUES)],
        ignored: &[],
        forecast: "prediction_outputs",
        first_hidden: 0,
    };
    Ok(Box::new(Forecaster::open(parts, folder, device)?))
}

fn stack(folder: &Folder, options: &PatchTst) -> Result<StackConfig> {
    let kind = match options.norm_type.as_str() {
        "batchnorm" => NormKind::Batch,
        "layernorm" => NormKind::Layer,
        other => return refuse(folder, "norm_type", other, "batchnorm or layernorm"),
    };
    let attention = AttentionConfig { heads: options.num_attention_heads, ..AttentionConfig::default() };
    let channel = MlpConfig {
        hidden: Some(options.ffn_dim),
        activation: activation(folder, "activation_function", &options.activation_function)?,
        bias: options.bias,
        ..MlpConfig::default()
    };
    Ok(StackConfig {
        width: options.d_model,
        depth: options.num_hidden_layers,
        pattern: vec![Choice::typed(&attention)?],
        channels: vec![Choice::typed(&channel)?],
        norm: NormConfig { kind, ..NormConfig::layer(options.norm_eps) },
        arrangement: if options.pre_norm { Arrangement::Pre } else { Arrangement::Post },
        last_norm: false,
        positions: PositionKind::Learned,
        ..StackConfig::default()
    })
}

fn names(options: &PatchTst) -> Names {
    let mut names = Names::new();
    names.linear_with_bias("model.encoder.embedder.input_embedding", "stem.projection");
    names.same("model.encoder.positional_encoder.position_enc", "backbone.positions.learned");
    if options.use_cls_token {
        let shape = [1, 1, 1, options.d_model];
        names.reshaped("model.encoder.positional_encoder.cls_token", &shape, "stem.class_token");
    }
    for layer in 0..options.num_hidden_layers {
        let (published, ours) = (format!("model.encoder.layers.{layer}"), format!("backbone.blocks.{layer}"));
        for (map, part) in [("q", "query"), ("k", "key"), ("v", "value"), ("out", "output")] {
            names.linear_with_bias(
                &format!("{published}.self_attn.{map}_proj"),
                &format!("{ours}.mixer.{part}"),
            );
        }
        for (map, part) in [("ff.0", "expand"), ("ff.3", "contract")] {
            let (published, ours) = (format!("{published}.{map}"), format!("{ours}.channel.{part}"));
            names.linear_maybe_bias(&published, &ours, options.bias);
        }
        for (norm, part) in [("norm_sublayer1", "mixer_norm"), ("norm_sublayer3", "channel_norm")] {
            let (published, ours) = (format!("{published}.{norm}"), format!("{ours}.{part}"));
            if options.norm_type == "batchnorm" {
                names.batch_norm(&format!("{published}.batchnorm"), &ours);
            } else {
                names.scale_and_shift(&published, &ours);
            }
        }
    }
    names.linear_with_bias("head.projection", "head.linear");
    names
}
