//! A vector for a text.

use std::path::Path;

use ansatz_core::{Error, Inputs, Registry, Result, Sentence};
use ansatz_run::Trained;
use burn::tensor::Device;
use serde::Serialize;

/// The vector of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Embedding {
    /// Of length 1.
    pub vector: Vec<f32>,
    /// How many tokens of the text were read.
    pub tokens: usize,
    /// How many were cut off.
    pub cut: usize,
}

/// A trained network that turns texts into vectors.
///
/// ```text
/// v = mean_t x_t        embedding = v / |v|
/// ```
///
/// with x the tokens that leave the backbone: mean pooling as in Reimers and Gurevych, Sentence-BERT, 2019,
/// arXiv:1908.10084, section 3. The product of two embeddings is their cosine.
pub struct Embedder {
    trained: Trained,
    device: Device,
}

impl Embedder {
    /// Loads the network of the run folder `run` onto `device`.
    ///
    /// # Errors
    /// When there is no finished run at `run`, or it reads no text.
    pub fn load(run: &Path, registry: &Registry, device: &Device) -> Result<Self> {
        let trained = Trained::load(run, registry, device)?;
        if trained.encoder.codec().is_none() {
            return Err(Error::input(
                run.display(),
                "the run reads no text",
                "a run of text",
                "predict with it: ansatz predict RUN FILES",
            ));
        }
        Ok(Self { trained, device: device.clone() })
    }

    /// The vector of `text`, of length 1. A text longer than the network takes is cut at its end.
    ///
    /// # Errors
    /// When the text holds no token, or what the tokenizer does not know.
    pub fn embed(&self, text: &str) -> Result<Embedding> {
        let codec = self.trained.encoder.codec();
        let codec = codec.ok_or_else(|| Error::Failed("the run reads no text".to_owned()))?;
        let Sentence { tokens, cut } = codec.encode_sentence(text)?;
        if tokens.is_empty() {
            return Err(Error::input(
                "the text",
                "it holds no token",
                "at least one token",
                "give some text",
            ));
        }
        let inputs = Inputs::new(codec.inputs(&tokens), &self.device);
        let model = &self.trained.model;
        let features = model.backbone.forward(model.features(&inputs)?);
        let mean = features.tokens.mean_dim(1).into_data().convert::<f32>();
        let mean: Vec<f32> =
            mean.try_to_vec().map_err(|error| Error::Failed(format!("reading an embedding: {error:?}")))?;
        let norm = mean.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt().max(1e-12);
        let vector = mean.into_iter().map(|value| (f64::from(value) / norm) as f32).collect();
        Ok(Embedding { vector, tokens: tokens.len(), cut })
    }
}
