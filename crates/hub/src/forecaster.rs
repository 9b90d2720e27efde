//! Published networks that forecast: windows of a series in, its next steps out.

use std::collections::BTreeMap;

use ansatz_core::{BoxedBackbone, BoxedHead, BoxedStem, Error, Inputs, Model, Result, Shared};
use burn::tensor::{Device, Tensor};

use crate::{Folder, Names, Subject, TensorFile, Values, fill};

/// What a published forecaster is made of, and what its publisher calls it.
pub struct ForecasterParts {
    /// From a window to tokens.
    pub stem: BoxedStem,
    /// The body.
    pub backbone: BoxedBackbone,
    /// From tokens to a forecast.
    pub head: BoxedHead,
    /// Under which names the weights are published.
    pub names: Names,
    /// Each input that is read, by its published name without `input.` and that of the stem; the first is the
    /// window.
    pub inputs: Vec<(&'static str, &'static str)>,
    /// Inputs that change no number.
    pub ignored: &'static [&'static str],
    /// The published name of the forecast.
    pub forecast: &'static str,
    /// Where in [`Backbone::hidden`](ansatz_core::Backbone::hidden) the published `hidden_states.0` stands.
    pub first_hidden: usize,
}

/// A published network that forecasts, filled with its weights.
pub struct Forecaster {
    model: Model,
    device: Device,
    inputs: Vec<(&'static str, &'static str)>,
    ignored: &'static [&'static str],
    forecast: &'static str,
    first_hidden: usize,
}

impl Forecaster {
    /// Fills the network with the weights of `folder`.
    ///
    /// # Errors
    /// When the weights do not fit the network.
    pub fn open(parts: ForecasterParts, folder: &Folder, device: &Device) -> Result<Self> {
        let ForecasterParts { stem, backbone, head, names, inputs, ignored, forecast, first_hidden } = parts;
        let model = fill(Model { stem, backbone, head }, &names, &folder.weights()?)?;
        Ok(Self { model, device: device.clone(), inputs, ignored, forecast, first_hidden })
    }

    /// The stored inputs under the names of the stem.
    ///
    /// # Errors
    /// When one is missing, or one is stored that is not read.
    fn read(&self, stored: &TensorFile) -> Result<Inputs> {
        let wrong = |problem: String, expected: &str| {
            Error::input(stored.path().display(), problem, expected, "use the file of this checkpoint")
        };
        let known =
            |name: &str| self.inputs.iter().any(|(known, _)| *known == name) || self.ignored.contains(&name);
        if let Some(name) =
            stored.names().filter_map(|name| name.strip_prefix("input.")).find(|name| !known(name))
        {
            return Err(wrong(format!("the input `{name}` is not implemented"), "inputs that are read"));
        }
        let tensors = self.inputs.iter().map(|(published, ours)| {
            let found = stored.get(&format!("input.{published}")).filter(|found| found.rank() == 3);
            let found = found
                .ok_or_else(|| wrong(format!("there is no `input.{published}` of rank 3"), "windows"))?;
            Ok(((*ours).to_owned(), found.clone()))
        });
        Ok(Inputs::new(tensors.collect::<Result<_>>()?, &self.device))
    }
}

impl Subject for Forecaster {
    fn outputs(&self, stored: &TensorFile) -> Result<BTreeMap<String, Values>> {
        let inputs = self.read(stored)?;
        let window = inputs.float::<3>(self.inputs[0].1)?;
        let [batch, _, channels] = window.dims();
        let features = self.model.features(&inputs)?;
        let shared = features.shared.clone();
        let hidden = self.model.backbone.hidden(features.clone());
        let forecast = self.model.head.forward(self.model.backbone.forward(features));
        let mut outputs =
            BTreeMap::from([(self.forecast.to_owned(), Values::from_data(forecast.into_data()))]);
        let figure = |name: &str, none: f64| match shared.find::<3>(name) {
            Some(found) => found,
            None => Tensor::full([batch, 1, channels], none, &self.device),
        };
        for (name, tensor) in
            [("loc", figure(Shared::SERIES_LOCATION, 0.0)), ("scale", figure(Shared::SERIES_SCALE, 1.0))]
        {
            outputs.insert(name.to_owned(), Values::from_data(tensor.into_data()));
        }
        // Published states have a dimension of channels: [batch, channels, tokens, width].
        let apart = |tokens: &Tensor<3>| {
            let [rows, length, width] = tokens.dims();
            let each = rows * length / (batch * channels);
            Values::from_data(tokens.clone().reshape([batch, channels, each, width]).into_data())
        };
        let whole = |tokens: &Tensor<3>| {
            let [rows, length, _] = tokens.dims();
            (rows * length).is_multiple_of(batch * channels)
        };
        for (index, tokens) in
            hidden.iter().skip(self.first_hidden).filter(|tokens| whole(tokens)).enumerate()
        {
            outputs.insert(format!("hidden_states.{index}"), apart(tokens));
        }
        if let Some(last) = hidden.last().filter(|tokens| whole(tokens)) {
            outputs.insert("last_hidden_state".to_owned(), apart(last));
        }
        Ok(outputs)
    }
}
