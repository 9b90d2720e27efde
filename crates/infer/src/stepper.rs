//! The recurrent form of a language model, token by token.

use ansatz_core::{Codec, Error, Inputs, Model, Recurrent, Result, State};
use burn::tensor::{Device, Tensor, TensorData};

/// A network with its state.
pub(crate) struct Stepper<'a> {
    model: &'a Model,
    codec: &'a dyn Codec,
    form: &'a dyn Recurrent,
    state: State,
    device: &'a Device,
}

impl<'a> Stepper<'a> {
    pub(crate) fn new(model: &'a Model, codec: &'a dyn Codec, device: &'a Device) -> Result<Self> {
        let form = model.backbone.recurrent();
        let form = form.ok_or_else(|| Error::Failed("the backbone has no recurrent form".to_owned()))?;
        Ok(Self { model, codec, form, state: form.state(1, device), device })
    }

    /// Whether the network has no position for another token.
    pub(crate) fn is_full(&self) -> bool {
        self.model.backbone.limit().is_some_and(|limit| self.state.position >= limit)
    }

    /// Bytes that the state holds.
    pub(crate) fn state_bytes(&self) -> usize {
        self.state.elements() * size_of::<f32>()
    }

    /// The logits behind `tokens`.
    pub(crate) fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.take(self.codec.inputs(tokens))
    }

    /// The logits behind the tokens of `inputs`, which the stem reads by name.
    pub(crate) fn take(&mut self, inputs: Vec<(String, TensorData)>) -> Result<Vec<f32>> {
        let inputs = Inputs::new(inputs, self.device);
        let features = self.model.features(&inputs)?;
        let context = features.context();
        let moved = self.form.step(features.tokens.clone(), &mut self.state, &context);
        // The head reads the last token alone: the others were only to be taken in.
        let [_, length, _] = moved.dims();
        let last: Tensor<3> = moved.narrow(1, length - 1, 1);
        let logits = self.model.head.forward(features.with_tokens(last)).into_data();
        logits
            .convert::<f32>()
            .try_to_vec()
            .map_err(|error| Error::Failed(format!("reading logits: {error:?}")))
    }
}
