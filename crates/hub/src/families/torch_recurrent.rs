//! PyTorch's `RNN`, `LSTM` and `GRU`: layers on vectors, without an embedding or a head.

use std::collections::BTreeMap;

use ansatz_arch_recurrent::Network;
use ansatz_core::{Error, Registry, Result};
use ansatz_ops::Cell;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use crate::{Family, Folder, Names, Options, Subject, TensorFile, Values, fill, refuse};

pub(super) const RNN: Family = Family { name: "rnn", matches: |folder| is(folder, "RNN"), open };
pub(super) const LSTM: Family = Family { name: "lstm", matches: |folder| is(folder, "LSTM"), open };
pub(super) const GRU: Family = Family { name: "gru", matches: |folder| is(folder, "GRU"), open };

/// The arguments of the published modules, with their defaults. They have no `model_type`: which one it is
/// stands beside the config.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    input_size: usize,
    hidden_size: usize,
    #[serde(default = "one")]
    num_layers: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default)]
    bidirectional: bool,
    #[serde(default = "tanh")]
    nonlinearity: String,
    #[serde(default)]
    proj_size: usize,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn tanh() -> String {
    "tanh".to_owned()
}

fn is(folder: &Folder, name: &str) -> bool {
    folder.model_type().is_none()
        && folder.class().is_some_and(|class| class == format!("torch.nn.modules.rnn.{name}"))
}

fn open(folder: &Folder, _registry: &Registry, device: &Device) -> Result<Box<dyn Subject>> {
    // Which of its dimensions is the batch changes no number: the stored ones have it first.
    let arguments: Arguments = Options::read(folder, &["batch_first"])?;
    let cell = if is(folder, "LSTM") {
        Cell::Lstm
    } else if is(folder, "GRU") {
        Cell::Gru
    } else {
        match arguments.nonlinearity.as_str() {
            "tanh" => Cell::Tanh,
            "relu" => Cell::Relu,
            other => return refuse(folder, "nonlinearity", other, "tanh, relu"),
        }
    };
    if arguments.proj_size > 0 {
        return refuse(folder, "proj_size", arguments.proj_size, "0");
    }
    for (option, size) in [("num_layers", arguments.num_layers), ("hidden_size", arguments.hidden_size)] {
        if size == 0 {
            return refuse(folder, option, size, "at least 1");
        }
    }
    let sizes = [arguments.input_size, arguments.hidden_size, arguments.num_layers];
    let network = Network::new(cell, sizes, [arguments.bidirectional, arguments.bias], device);
    let network = fill(network, &names(&arguments), &folder.weights()?)?;
    Ok(Box::new(Layers { network, inputs: arguments.input_size, device: device.clone() }))
}

fn names(arguments: &Arguments) -> Names {
    let mut names = Names::new();
    let directions = [("ahead", ""), ("back", "_reverse")];
    for layer in 0..arguments.num_layers {
        for (ours, suffix) in &directions[..if arguments.bidirectional { 2 } else { 1 }] {
            for (map, published) in [("input", "ih"), ("hidden", "hh")] {
                let place = format!("{ours}.{layer}.{map}");
                names.transposed(format!("weight_{published}_l{layer}{suffix}"), format!("{place}.weight"));
                if arguments.bias {
                    names.same(format!("bias_{published}_l{layer}{suffix}"), format!("{place}.bias"));
                }
            }
        }
    }
    names
}

/// A recurrent network that can be asked what its reference was asked.
struct Layers {
    network: Network,
    inputs: usize,
    device: Device,
}

impl Subject for Layers {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let wanted = format!("`input.x` [batch, length, {}]", self.inputs);
        let problem = |problem: String| {
            Error::input(stored.path().display(), problem, wanted.as_str(), "restore the file")
        };
        let Some(tokens) = stored.values("input.x") else {
            return Err(problem("there is no `input.x`".to_owned()));
        };
        if !matches!(tokens.shape[..], [_, length, inputs] if length > 0 && inputs == self.inputs) {
            return Err(problem(format!("`input.x` has the shape {:?}", tokens.shape)));
        }
        let tokens = Tensor::<3>::from_data(tokens.into_data(), &self.device);
        let read = self.network.forward(tokens, None, None);
        let values = |tensor: Tensor<3>| Values::from_data(tensor.into_data());
        // Of each state the first is the hidden one, and the second, where there is one, the cell.
        let all = |index: usize| {
            let each = read.states.iter().map(|state| state.clone().narrow(0, index, 1));
            values(Tensor::cat(each.collect(), 0))
        };
        let mut outputs = BTreeMap::from([("output".to_owned(), values(read.tokens.clone()))]);
        for (index, name) in ["h", "c"].into_iter().enumerate().take(self.network.cell().states()) {
            outputs.insert(name.to_owned(), all(index));
        }
        Ok(outputs)
    }
}
