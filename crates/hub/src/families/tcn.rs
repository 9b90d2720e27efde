//! The temporal convolutional network of the package `pytorch-tcn`: Bai et al. 2018, arXiv:1803.01271.

use std::collections::BTreeMap;

use ansatz_arch_series::{ConvolutionNorm, Tcn, TcnConfig};
use ansatz_core::{Backbone, Features, Registry, Result};
use ansatz_ops::Activation;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use serde_json::Value;

use crate::{Family, Folder, LayerSubject, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family =
    Family { name: "tcn", matches: |folder| folder.class() == Some("pytorch_tcn.tcn.TCN"), open };

/// The arguments of the published class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TcnOptions {
    num_inputs: usize,
    num_channels: Vec<usize>,
    kernel_size: usize,
    dilations: Option<Vec<usize>>,
    dilation_reset: Option<usize>,
    causal: bool,
    use_norm: Option<String>,
    activation: String,
    use_skip_connections: bool,
    input_shape: String,
    embedding_shapes: Value,
    use_gate: bool,
    lookahead: usize,
    output_projection: Option<usize>,
    output_activation: Option<String>,
}

impl Default for TcnOptions {
    fn default() -> Self {
        Self {
            num_inputs: 0,
            num_channels: Vec::new(),
            kernel_size: 4,
            dilations: None,
            dilation_reset: None,
            causal: true,
            use_norm: Some("weight_norm".to_owned()),
            activation: "relu".to_owned(),
            use_skip_connections: false,
            input_shape: "NCL".to_owned(),
            embedding_shapes: Value::Null,
            use_gate: false,
            lookahead: 0,
            output_projection: None,
            output_activation: None,
        }
    }
}

fn open(folder: &Folder, _registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: TcnOptions = Options::read(folder, &["kernel_initializer", "embedding_mode"])?;
    if !options.embedding_shapes.is_null() {
        return refuse(folder, "embedding_shapes", &options.embedding_shapes, "null, no embeddings");
    }
    if options.num_inputs == 0 {
        return refuse(folder, "num_inputs", 0, "at least 1");
    }
    if options.lookahead != 0 {
        return refuse(folder, "lookahead", options.lookahead, "0");
    }
    let turned = match options.input_shape.as_str() {
        "NLC" => false,
        "NCL" => true,
        other => return refuse(folder, "input_shape", other, "NLC or NCL"),
    };
    let network = config(folder, &options)?.build(options.num_inputs, device)?;
    let run = move |network: &Tcn, x: Tensor<3>| {
        let turn = |x: Tensor<3>| if turned { x.swap_dims(1, 2) } else { x };
        let output = turn(network.forward(Features::row(turn(x))).tokens);
        BTreeMap::from([("output".to_owned(), output)])
    };
    Ok(Box::new(LayerSubject::open(network, &names(&options), folder, device, run)?))
}

fn config(folder: &Folder, options: &TcnOptions) -> Result<TcnConfig> {
    let norm = match options.use_norm.as_deref() {
        Some("weight_norm") => ConvolutionNorm::Weight,
        Some("batch_norm") => ConvolutionNorm::Batch,
        Some("layer_norm") => ConvolutionNorm::Layer,
        None => ConvolutionNorm::None,
        Some(other) => {
            return refuse(folder, "use_norm", other, "weight_norm, batch_norm, layer_norm or null");
        }
    };
    let output_activation = options.output_activation.as_deref();
    Ok(TcnConfig {
        widths: options.num_channels.clone(),
        kernel: options.kernel_size,
        dilations: dilations(folder, options)?,
        causal: options.causal,
        norm,
        activation: activation(folder, "activation", &options.activation)?,
        gated: options.use_gate,
        skips: options.use_skip_connections,
        output: options.output_projection,
        output_activation: output_activation
            .map(|name| activation(folder, "output_activation", name))
            .transpose()?,
        dropout: 0.0,
    })
}

/// The function that the package calls `name`; its softmax is over a batch, and no function of a value.
fn activation(folder: &Folder, option: &str, name: &str) -> Result<Activation> {
    const KNOWN: [&str; 7] = ["relu", "tanh", "leaky_relu", "sigmoid", "elu", "gelu", "selu"];
    match Activation::published(name).filter(|_| KNOWN.contains(&name)) {
        Some(activation) => Ok(activation),
        None => refuse(folder, option, name, &KNOWN.join(", ")),
    }
}

/// 1, 2, 4, … from the first block on, begun again behind the dilation `dilation_reset`.
fn dilations(folder: &Folder, options: &TcnOptions) -> Result<Vec<usize>> {
    if let Some(dilations) = &options.dilations {
        return Ok(dilations.clone());
    }
    let blocks = options.num_channels.len();
    let round = match options.dilation_reset {
        None => blocks.max(1),
        Some(0) => return refuse(folder, "dilation_reset", 0, "at least 1"),
        Some(reset) => (2 * reset).ilog2() as usize,
    };
    if round > 32 {
        return refuse(
            folder,
            "num_channels",
            blocks,
            "at most 32 blocks, each of which reaches twice as far",
        );
    }
    Ok((0..blocks).map(|block| 1 << (block % round)).collect())
}

fn names(options: &TcnOptions) -> Names {
    let mut names = Names::new();
    let last = options.num_channels.last().copied().unwrap_or(0);
    let inputs = std::iter::once(&options.num_inputs).chain(&options.num_channels);
    for (block, (input, output)) in inputs.zip(&options.num_channels).enumerate() {
        let (published, ours) = (format!("network.{block}"), format!("blocks.{block}"));
        let first = if options.use_gate { 2 * output } else { *output };
        for (index, outputs) in [first, *output].into_iter().enumerate() {
            let published = |part: &str| format!("{published}.{part}{}", index + 1);
            let (convolution, part) = (published("conv"), format!("{ours}.convolutions.{index}"));
            names.same(format!("{convolution}.bias"), format!("{part}.bias"));
            names.ignored(format!("{convolution}.padder.buffer"));
            if options.use_norm.as_deref() == Some("weight_norm") {
                let stored = format!("{convolution}.parametrizations.weight");
                names.reshaped(format!("{stored}.original0"), &[outputs, 1, 1], format!("{part}.gain"));
                names.same(format!("{stored}.original1"), format!("{part}.weight"));
            } else {
                names.same(format!("{convolution}.weight"), format!("{part}.weight"));
            }
            let (norm, part) = (published("norm"), format!("{ours}.norms.{index}"));
            match options.use_norm.as_deref() {
                Some("batch_norm") => names.batch_norm(&norm, &part),
                Some("layer_norm") => names.scale_and_shift(&norm, &part),
                _ => {}
            }
        }
        let mut pointwise = |published: String, ours: String| {
            names.pointwise(format!("{published}.weight"), format!("{ours}.weight"));
            names.same(format!("{published}.bias"), format!("{ours}.bias"));
        };
        if input != output {
            pointwise(format!("{published}.downsample"), format!("{ours}.shortcut"));
        }
        if options.use_skip_connections && *output != last {
            pointwise(format!("downsample_skip_connection.{block}"), format!("skips.{block}"));
        }
    }
    if options.output_projection.is_some() {
        names.pointwise("projection_out.weight", "output.weight");
        names.same("projection_out.bias", "output.bias");
    }
    names
}
