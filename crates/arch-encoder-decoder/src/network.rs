//! The two stages together, as a backbone.

use ansatz_core::{Backbone, Context, FeatureSpec, Features, Layer, Recurrent, Shared, State};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::Stage;
use crate::stage::Memory;

/// An encoder and a decoder (Vaswani et al. 2017, arXiv:1706.03762, section 3.1).
///
/// The features are the target, as far as it is known. The source is found in what they share, where
/// [`Shared::leave_source`] puts it; without a source the decoder works by itself, and no token looks at a
/// memory. In the recurrent form the source is read at the first step alone: the state keeps the keys and values
/// that every block makes of it.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct EncoderDecoder {
    /// Reads the source.
    pub encoder: Stage,
    /// Makes the target.
    pub decoder: Stage,
}

impl EncoderDecoder {
    /// The memory: what the encoder makes of `source`. Its mask is the source's.
    pub fn encode(&self, source: Features) -> Features {
        let tokens = self.encoder.pass(source.tokens.clone(), None, None, &source.context(), |_| {});
        source.with_tokens(tokens)
    }

    /// The encoder's tokens along the depth, `[batch, source, width]` each: before the first block, behind every
    /// block, and the memory, which may have passed a last norm.
    pub fn encoder_hidden(&self, source: Features) -> Vec<Tensor<3>> {
        let context = source.context();
        let mut hidden = Vec::new();
        let last =
            self.encoder.pass(source.tokens, None, None, &context, |tokens| hidden.push(tokens.clone()));
        hidden.into_iter().chain([last]).collect()
    }

    /// The memory of the source that was left in `shared`.
    fn memory(&self, shared: &Shared) -> Option<Memory> {
        let Features { tokens, mask, .. } = self.encode(shared.source()?);
        Some(Memory { tokens, real: mask })
    }
}

impl Backbone for EncoderDecoder {
    fn forward(&self, features: Features) -> Features {
        let context = features.context();
        let memory = self.memory(&context.shared);
        let tokens = self.decoder.pass(features.tokens.clone(), memory, None, &context, |_| {});
        features.with_tokens(tokens)
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        *input
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        // The source is counted as long as the target.
        let rows = |name: &'static str, stage: &Stage| {
            let rows = stage.layers(input.length, input.width).into_iter();
            rows.map(move |layer| layer.under(name))
        };
        rows("encoder", &self.encoder).chain(rows("decoder", &self.decoder)).collect()
    }

    fn reads_source(&self) -> bool {
        true
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn limit(&self) -> Option<usize> {
        self.decoder.limit()
    }

    fn hidden(&self, features: Features) -> Vec<Tensor<3>> {
        let context = features.context();
        let memory = self.memory(&context.shared);
        let mut hidden = Vec::new();
        let last =
            self.decoder.pass(features.tokens, memory, None, &context, |tokens| hidden.push(tokens.clone()));
        hidden.into_iter().chain([last]).collect()
    }
}

impl Recurrent for EncoderDecoder {
    fn state(&self, batch: usize, device: &Device) -> State {
        self.decoder.state(batch, device)
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, context: &Context) -> Tensor<3> {
        let memory = if state.position == 0 { self.memory(&context.shared) } else { None };
        self.decoder.pass(tokens, memory, Some(state), context, |_| {})
    }

    fn constant_state(&self) -> bool {
        false
    }
}
