//! The original Transformer as PyTorch publishes it, `torch.nn.Transformer`: Vaswani et al., Attention Is All You
//! Need, 2017, arXiv:1706.03762. Its source and target are vectors.

use std::collections::BTreeMap;

use ansatz_arch_channel::{Activation, MlpConfig};
use ansatz_arch_encoder_decoder::{EncoderDecoder, EncoderDecoderConfig, Positions, StageConfig};
use ansatz_core::{Backbone, Build, Choice, Error, FeatureSpec, Features, Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::{Bool, Device, Int, Tensor};
use serde::Deserialize;

use crate::{Family, Folder, Names, Options, Subject, TensorFile, Values, fill, refuse};

pub(super) const FAMILY: Family = Family { name: "transformer", matches, open };

/// The config holds the arguments of the class and no `model_type`.
fn matches(folder: &Folder) -> bool {
    let has = |key: &str| folder.config.contains_key(key);
    folder.model_type().is_none() && has("nhead") && has("num_encoder_layers") && has("num_decoder_layers")
}

/// The arguments that matter, with the defaults of the class.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Transformer {
    d_model: usize,
    nhead: usize,
    num_encoder_layers: usize,
    num_decoder_layers: usize,
    dim_feedforward: usize,
    activation: String,
    layer_norm_eps: f64,
    norm_first: bool,
    bias: bool,
}

impl Default for Transformer {
    fn default() -> Self {
        Self {
            d_model: 512,
            nhead: 8,
            num_encoder_layers: 6,
            num_decoder_layers: 6,
            dim_feedforward: 2048,
            activation: "relu".to_owned(),
            layer_norm_eps: 1e-5,
            norm_first: false,
            bias: true,
        }
    }
}

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    let options: Transformer = Options::read(folder, &[])?;
    let spec = FeatureSpec::row(1, options.d_model);
    let network = config(folder, &options)?.build(&spec, &Build::new(registry, device))?;
    let network = fill(network, &names(&options), &folder.weights()?)?;
    Ok(Box::new(Loaded { network, device: device.clone() }))
}

fn config(folder: &Folder, options: &Transformer) -> Result<EncoderDecoderConfig> {
    let Some(activation) = Activation::published(&options.activation) else {
        return refuse(folder, "activation", &options.activation, Activation::PUBLISHED);
    };
    let bias = options.bias;
    let channel =
        MlpConfig { hidden: Some(options.dim_feedforward), activation, bias, ..MlpConfig::default() };
    let channel = Choice::typed(&channel)?;
    let stage =
        |depth| StageConfig { depth, heads: options.nhead, head_width: None, channel: channel.clone() };
    Ok(EncoderDecoderConfig {
        width: options.d_model,
        encoder: stage(options.num_encoder_layers),
        decoder: stage(options.num_decoder_layers),
        positions: Positions::None {},
        norm: NormConfig { bias, ..NormConfig::layer(options.layer_norm_eps) },
        norm_first: options.norm_first,
        first_norm: false,
        last_norm: true,
        scaled: true,
        bias,
        dropout: 0.0,
    })
}

fn names(options: &Transformer) -> Names {
    let mut names = Names::new();
    let bias = options.bias;
    let norm = |names: &mut Names, published: String, ours: String| {
        if bias { names.scale_and_shift(&published, &ours) } else { names.scale(&published, &ours) }
    };
    for (stage, depth) in [("encoder", options.num_encoder_layers), ("decoder", options.num_decoder_layers)] {
        norm(&mut names, format!("{stage}.norm"), format!("{stage}.norm"));
        for layer in 0..depth {
            let (published, ours) = (format!("{stage}.layers.{layer}"), format!("{stage}.blocks.{layer}"));
            let mut attentions = vec![("self_attn", "attention")];
            if stage == "decoder" {
                attentions.push(("multihead_attn", "cross"));
            }
            let last = attentions.len() + 1;
            for (index, (name, part)) in attentions.into_iter().enumerate() {
                let maps =
                    |kind: &str| ["query", "key", "value"].map(|map| format!("{ours}.{part}.{map}.{kind}"));
                names.joined_linear(format!("{published}.{name}.in_proj_weight"), &maps("weight"));
                if bias {
                    names.joined(format!("{published}.{name}.in_proj_bias"), &maps("bias"), 0);
                }
                let output = format!("{ours}.{part}.output");
                names.linear_maybe_bias(&format!("{published}.{name}.out_proj"), &output, bias);
                norm(&mut names, format!("{published}.norm{}", index + 1), format!("{ours}.{part}_norm"));
            }
            norm(&mut names, format!("{published}.norm{last}"), format!("{ours}.channel_norm"));
            names.linear_maybe_bias(&format!("{published}.linear1"), &format!("{ours}.channel.expand"), bias);
            names.linear_maybe_bias(
                &format!("{published}.linear2"),
                &format!("{ours}.channel.contract"),
                bias,
            );
        }
    }
    names
}

/// The network, filled with its weights.
struct Loaded {
    network: EncoderDecoder,
    device: Device,
}

impl Loaded {
    /// Stored vectors with their mask, whose ones are padding.
    fn features(&self, stored: &TensorFile, vectors: &str, padding: &str) -> Result<Features> {
        let Some(data) = stored.get(vectors) else {
            let problem = format!("there is no `{vectors}`");
            let expected = "source and target as vectors";
            return Err(Error::input(stored.path().display(), problem, expected, "restore the file"));
        };
        let mask: Option<Tensor<2, Bool>> = stored
            .get(padding)
            .map(|padding| Tensor::<2, Int>::from_data(padding.clone(), &self.device).equal_elem(0));
        Ok(Features { mask, ..Features::row(Tensor::from_data(data.clone(), &self.device)) })
    }
}

impl Subject for Loaded {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let source = self.features(stored, "input.source", "input.source_padding")?;
        let target = self.features(stored, "input.target", "input.target_padding")?;
        target.shared.leave_source(&source);
        let Features { tokens: memory, mask, .. } = self.network.encode(source);
        let memory = match mask {
            // Memory that nobody reads is published as zeros.
            Some(mask) => {
                let shape = memory.dims();
                memory.mask_fill(mask.bool_not().unsqueeze_dim::<3>(2).expand(shape), 0.0)
            }
            None => memory,
        };
        let output = self.network.forward(target).tokens;
        let outputs = [("memory", memory), ("output", output)];
        Ok(outputs.map(|(name, tensor)| (name.to_owned(), Values::from_data(tensor.into_data()))).into())
    }
}
