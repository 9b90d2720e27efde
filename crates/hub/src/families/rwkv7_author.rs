//! RWKV-7 as its author publishes it (the `rwkv` package, BlinkDL/ChatRWKV): other names, and one epsilon for any
//! size of head.

use std::collections::BTreeMap;

use ansatz_arch_rwkv::{Rwkv7, Rwkv7ChannelConfig, Rwkv7Config};
use ansatz_arch_stack::{PositionKind, StackConfig};
use ansatz_core::{Choice, Error, Registry, Result, State};
use ansatz_data_text::{EmbeddingConfig, TOKENS};
use ansatz_ops::NormConfig;
use ansatz_tasks::LanguageModelConfig;
use burn::tensor::Device;
use serde::Deserialize;

use crate::language_model::EMBEDDING;
use crate::{
    Family, Folder, LanguageModel, LoadedLanguageModel, Names, Options, Reading, RunParts, Subject,
    TensorFile, Values,
};

pub(super) const FAMILY: Family = Family {
    name: "rwkv7-author",
    matches: |folder| folder.model_type().is_none() && folder.config.contains_key("dim_ffn"),
    open,
};

/// Its checkpoints have no config of their own; these are the arguments of the package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    n_embd: usize,
    n_head: usize,
    n_layer: usize,
    vocab_size: usize,
    dim_ffn: usize,
}

/// Of the norm of every head's output.
const EPSILON: f64 = 64e-5;

/// The checkpoints do not say for how long a text they were trained; the recurrence has no limit.
const LENGTH: usize = 4096;

fn open(folder: &Folder, registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    Ok(Box::new(Loaded(translate(folder)?.open(folder, registry, device)?)))
}

fn translate(folder: &Folder) -> Result<LanguageModel> {
    let arguments: Arguments = Options::read(folder, &[])?;
    let weights = folder.weights()?;
    // The ranks stand in the weights alone.
    let rank = |letter: char| match weights.get(&format!("blocks.0.att.{letter}1")) {
        Some(data) if data.rank() == 2 => Ok(data.shape().to_vec()[1]),
        _ => Err(Error::input(
            weights.path().display(),
            format!("`blocks.0.att.{letter}1` is missing or no matrix"),
            "the weights of RWKV-7",
            "convert the checkpoint again",
        )),
    };
    let mixer = Rwkv7Config {
        heads: arguments.n_head,
        head_value_width: None,
        decay_rank: rank('w')?,
        rate_rank: rank('a')?,
        value_rank: rank('v')?,
        gate_rank: rank('g')?,
        epsilon: Some(EPSILON),
    };
    let channel = Rwkv7ChannelConfig { hidden: Some(arguments.dim_ffn) };
    Ok(LanguageModel {
        vocabulary: arguments.vocab_size,
        length: LENGTH,
        embedding: EmbeddingConfig::default(),
        stack: StackConfig {
            width: arguments.n_embd,
            depth: arguments.n_layer,
            pattern: vec![Choice::typed(&mixer)?],
            channels: vec![Choice::typed(&channel)?],
            norm: NormConfig::layer(1e-5),
            first_norm: true,
            positions: PositionKind::None,
            ..StackConfig::default()
        },
        head: LanguageModelConfig { tied: false, ..LanguageModelConfig::default() },
        blocks_per_layer: 1,
        names: names(&arguments),
    })
}

fn names(arguments: &Arguments) -> Names {
    let mut names = Names::new();
    let width = arguments.n_embd;
    names.same("emb.weight", EMBEDDING);
    names.scale_and_shift("blocks.0.ln0", "backbone.first_norm");
    for layer in 0..arguments.n_layer {
        let (published, ours) = (format!("blocks.{layer}"), format!("backbone.blocks.{layer}"));
        names.scale_and_shift(&format!("{published}.ln1"), &format!("{ours}.mixer_norm"));
        names.scale_and_shift(&format!("{published}.ln2"), &format!("{ours}.channel_norm"));
        names.reshaped(format!("{published}.ffn.x_k"), &[1, 1, width], format!("{ours}.channel.mix_key"));
        for map in ["key", "value"] {
            names.linear(&format!("{published}.ffn.{map}"), &format!("{ours}.channel.{map}"));
        }
        let (published, ours) = (format!("{published}.att"), format!("{ours}.mixer"));
        let parts =
            [('r', "receptance"), ('w', "decay"), ('k', "key"), ('v', "value"), ('a', "rate"), ('g', "gate")];
        for (letter, part) in parts {
            names.reshaped(
                format!("{published}.x_{letter}"),
                &[1, 1, width],
                format!("{ours}.mixtures.{part}"),
            );
        }
        for map in ["receptance", "key", "value", "output"] {
            names.linear(&format!("{published}.{map}"), &format!("{ours}.{map}"));
        }
        for (letter, part) in [('w', "decay"), ('a', "rate"), ('v', "first_value"), ('g', "gate")] {
            // The first layer holds values here that it does not use.
            if letter == 'v' && layer == 0 {
                (0..3).for_each(|index| names.ignored(format!("{published}.v{index}")));
                continue;
            }
            if letter != 'g' {
                let bias = format!("{ours}.{part}.expand.bias");
                names.reshaped(format!("{published}.{letter}0"), &[1, 1, width], bias);
            }
            names.same(format!("{published}.{letter}1"), format!("{ours}.{part}.contract.weight"));
            names.same(format!("{published}.{letter}2"), format!("{ours}.{part}.expand.weight"));
        }
        for (letters, part) in [("k_k", "removal"), ("k_a", "replacement")] {
            names.reshaped(format!("{published}.{letters}"), &[1, 1, width], format!("{ours}.{part}"));
        }
        names.same(format!("{published}.r_k"), format!("{ours}.bonus"));
        names.scale_and_shift(&format!("{published}.ln_x"), &format!("{ours}.norm"));
    }
    names.scale_and_shift("ln_out", "backbone.norm");
    names.linear("head", "head.output");
    names
}

/// Published beside the logits are those of the last token of the first row, reached step by step, and the states
/// behind all rows, `[batch, layers, heads, value, key]`.
#[derive(Debug)]
struct Loaded(LoadedLanguageModel);

impl Subject for Loaded {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let mut outputs = self.0.outputs(stored)?;
        outputs.retain(|name, _| name == "logits");
        let Some(form) = self.0.model.backbone.recurrent() else { return Ok(outputs) };
        let tokens = self.0.inputs(stored, false)?.int::<2>(TOKENS)?;
        let [batch, length] = tokens.dims();
        let device = tokens.device();

        let mut state = form.state(1, &device);
        let mut last = None;
        for at in 0..length {
            let token = tokens.clone().narrow(0, 0, 1).narrow(1, at, 1).into_data();
            last = Some(Values::from_data(self.0.step(token, form, &mut state)?.into_data()));
        }
        let last = last.and_then(|logits| logits.reshaped(vec![self.0.plan.vocabulary]));
        outputs.extend(last.map(|last| ("last_step".to_owned(), last)));

        let mut state = form.state(batch, &device);
        self.0.step(tokens.into_data(), form, &mut state)?;
        outputs.extend(matrices(&state).map(|matrices| ("wkv_state".to_owned(), matrices)));
        Ok(outputs)
    }

    fn run_parts(&self, reading: Reading) -> Option<Result<RunParts>> {
        self.0.run_parts(reading)
    }
}

/// The matrices of all layers, in the order of the layers.
fn matrices(state: &State) -> Option<Values> {
    let tensors: BTreeMap<_, _> = state.tensors().into_iter().collect();
    let name = |layer: usize| format!("blocks.{layer}.mixer.{}", Rwkv7::MATRIX);
    let found = (0..).map_while(|layer| tensors.get(&name(layer)));
    let layers = found.map(|matrix| Values::from_data(matrix.to_data()).transposed()?.unsqueezed(1));
    Values::joined(&layers.collect::<Option<Vec<_>>>()?, 1)
}
