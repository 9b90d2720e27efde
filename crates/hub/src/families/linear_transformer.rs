//! The linear Transformer: Katharopoulos et al., Transformers are RNNs, 2020, arXiv:2006.16236, as its authors publish
//! it: the encoder of fast-transformers with causal linear attention.

use std::collections::BTreeMap;

use ansatz_arch_channel::{Activation, MlpConfig};
use ansatz_arch_linear::LinearAttentionConfig;
use ansatz_arch_stack::{Arrangement, PositionKind, Stack, StackConfig};
use ansatz_core::{Backbone, Build, Choice, Context, FeatureSpec, Features, Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use crate::{Family, Folder, LayerSubject, Names, Options, Subject, refuse};

pub(super) const FAMILY: Family = Family {
    name: "linear-transformer",
    matches: |folder| folder.class() == Some("fast_transformers.transformers.TransformerEncoder"),
    open,
};

/// The arguments of the published builder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinearTransformer {
    n_layers: usize,
    n_heads: usize,
    query_dimensions: usize,
    value_dimensions: usize,
    feed_forward_dimensions: usize,
    activation: String,
    #[serde(default = "published_final_normalization")]
    final_normalization: bool,
}

fn published_final_normalization() -> bool {
    true
}

/// What the published layer adds to the sum by which it divides, and its layer norms to the variance.
const AVERAGE_EPSILON: f64 = 1e-6;
const NORM_EPSILON: f64 = 1e-5;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: LinearTransformer = Options::read(folder, &[])?;
    let config = translate(folder, &options)?;
    // The stack has no limit of its own: the length is that of any example.
    let input = FeatureSpec::row(1, config.width);
    let stack = config.build(&input, &Build::new(registry, device))?;
    Ok(Box::new(LayerSubject::open(stack, &names(&options), folder, device, run)?))
}

fn translate(folder: &Folder, options: &LinearTransformer) -> Result<StackConfig> {
    let activation = match options.activation.as_str() {
        "relu" => Activation::Relu,
        "gelu" => Activation::Gelu,
        other => return refuse(folder, "activation", other, "relu or gelu"),
    };
    let mixer = LinearAttentionConfig {
        heads: options.n_heads,
        head_key_width: Some(options.query_dimensions),
        head_value_width: Some(options.value_dimensions),
        scaled: false,
        average: Some(AVERAGE_EPSILON),
        norm: false,
        bias: true,
        ..LinearAttentionConfig::default()
    };
    let channel =
        MlpConfig { hidden: Some(options.feed_forward_dimensions), activation, ..MlpConfig::default() };
    Ok(StackConfig {
        width: options.n_heads * options.value_dimensions,
        depth: options.n_layers,
        pattern: vec![Choice::typed(&mixer)?],
        channels: vec![Choice::typed(&channel)?],
        norm: NormConfig::layer(NORM_EPSILON),
        arrangement: Arrangement::Post,
        last_norm: options.final_normalization,
        positions: PositionKind::None,
        ..StackConfig::default()
    })
}

/// The outputs of all tokens at once, and of one after the other.
fn run(stack: &Stack, x: Tensor<3>) -> BTreeMap<String, Tensor<3>> {
    let [batch, length, _] = x.dims();
    let output = stack.forward(Features::row(x.clone())).tokens;
    let mut outputs = BTreeMap::from([("output".to_owned(), output)]);
    if let Some(form) = stack.recurrent() {
        let mut state = form.state(batch, &x.device());
        let mut step = |token| form.step(x.clone().narrow(1, token, 1), &mut state, &Context::default());
        let steps = (0..length).map(&mut step).collect();
        outputs.insert("output_recurrent".to_owned(), Tensor::cat(steps, 1));
    }
    outputs
}

fn names(options: &LinearTransformer) -> Names {
    let mut names = Names::new();
    for layer in 0..options.n_layers {
        let (published, ours) = (format!("layers.{layer}"), format!("blocks.{layer}"));
        for part in ["query", "key", "value"] {
            let projection = format!("{published}.attention.{part}_projection");
            names.linear_with_bias(&projection, &format!("{ours}.mixer.{part}.linear"));
        }
        names.linear_with_bias(
            &format!("{published}.attention.out_projection"),
            &format!("{ours}.mixer.output"),
        );
        names.scale_and_shift(&format!("{published}.norm1"), &format!("{ours}.mixer_norm"));
        names.linear_with_bias(&format!("{published}.linear1"), &format!("{ours}.channel.expand"));
        names.linear_with_bias(&format!("{published}.linear2"), &format!("{ours}.channel.contract"));
        names.scale_and_shift(&format!("{published}.norm2"), &format!("{ours}.channel_norm"));
    }
    if options.final_normalization {
        names.scale_and_shift("norm", "norm");
    }
    names
}
