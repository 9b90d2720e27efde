//! A whole network: stem, backbone and head.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::{
    BackboneConfig, Batch, BoxedBackbone, BoxedHead, BoxedStem, Build, Encoder, Error, FeatureSpec, Features,
    Inputs, Layer, Registry, Result, Shared, Targets, TaskConfig,
};

/// A whole network.
#[derive(Module, Debug)]
pub struct Model {
    /// Inputs → features.
    pub stem: BoxedStem,
    /// Features → features.
    pub backbone: BoxedBackbone,
    /// Features → outputs.
    pub head: BoxedHead,
}

impl Model {
    /// Builds a network for the data of `encoder`.
    ///
    /// The same seed gives the same parameters, on a device that draws the same random numbers.
    ///
    /// # Errors
    /// When stem, backbone and task do not fit together.
    pub fn init(plan: &ModelPlan, seed: u64, device: &Device) -> Result<Self> {
        device.seed(seed);
        let build = Build::new(plan.registry, device);
        let stem = plan.encoder.stem(plan.backbone.width(), &build).map_err(|error| error.under("data"))?;
        let input = stem.output();
        let backbone = plan.backbone.init(&input, &build).map_err(|error| error.under("backbone"))?;
        if let Some(source) = stem.source() {
            fits_source(&source, &backbone)?;
        }
        let head = plan
            .task
            .head(&backbone.output(&input), plan.encoder.target(), device)
            .map_err(|error| error.under("task"))?;
        let model = Self { stem, backbone, head };
        // Parameters are drawn on first use; drawing them now makes their order, and so their values,
        // independent of what is computed first.
        model.visit(&mut Draw);
        Ok(model)
    }

    /// Outputs `[batch, positions, values]`.
    ///
    /// # Errors
    /// When the inputs are not those of the stem.
    pub fn forward(&self, inputs: &Inputs) -> Result<Tensor<3>> {
        Ok(self.head.forward(self.backbone.forward(self.features(inputs)?)))
    }

    /// The outputs by which the network is judged and used: the mean over the examples of `batch` as they are and
    /// all other views that `encoder` takes of them.
    ///
    /// # Errors
    /// When the inputs are not those of the stem.
    pub fn judge(&self, batch: &Batch, encoder: &dyn Encoder, device: &Device) -> Result<Tensor<3>> {
        let views = encoder.views(batch)?;
        let count = views.len() + 1;
        let mut sum = self.forward(&batch.inputs(device))?;
        for view in views {
            sum = sum + self.forward(&view.inputs(device))?;
        }
        Ok(if count == 1 { sum } else { sum / count as f64 })
    }

    /// What the network is trained to make small, `[1]`: the mean loss of the task, and what the layers add.
    ///
    /// # Errors
    /// When the inputs are not those of the stem, or the targets not those of the head.
    pub fn loss(&self, inputs: &Inputs, targets: &Targets) -> Result<Tensor<1>> {
        let features = self.features(inputs)?;
        let shared = features.shared.clone();
        let loss = self.head.loss_of_features(self.backbone.forward(features), targets)?;
        Ok(with_added(loss, &shared))
    }

    /// The outputs `[batch, positions, values]`, and the loss `[1]` of [`Model::loss`] that they have.
    ///
    /// # Errors
    /// When the inputs are not those of the stem, or the targets not those of the head.
    pub fn answer(&self, inputs: &Inputs, targets: &Targets) -> Result<(Tensor<3>, Tensor<1>)> {
        let features = self.features(inputs)?;
        let shared = features.shared.clone();
        self.conclude(self.backbone.forward(features), &shared, targets)
    }

    /// The same from what left the backbone; `shared` is what the features that entered it share.
    ///
    /// # Errors
    /// When the targets are not those of the head.
    pub fn conclude(
        &self,
        features: Features,
        shared: &Shared,
        targets: &Targets,
    ) -> Result<(Tensor<3>, Tensor<1>)> {
        let outputs = self.head.forward(features);
        let loss = self.head.loss(outputs.clone(), targets)?;
        Ok((outputs, with_added(loss, shared)))
    }

    /// The features that the backbone reads.
    ///
    /// # Errors
    /// When the inputs are not those of the stem, or more tokens than the backbone can take.
    pub fn features(&self, inputs: &Inputs) -> Result<Features> {
        let features = self.stem.forward(inputs)?;
        let [_, length, _] = features.tokens.dims();
        match self.backbone.limit() {
            Some(limit) if length > limit => Err(Error::input(
                format!("{length} tokens"),
                format!("the network has positions for {limit}"),
                format!("at most {limit} tokens"),
                "shorten the input, or train a network with more positions",
            )),
            _ => Ok(features),
        }
    }

    /// The table of layers, for one example.
    pub fn layers(&self) -> Vec<Layer> {
        let features = self.stem.output();
        let rows = self.stem.rows();
        let stem = self.stem.layers().into_iter().map(|layer| layer.under("stem"));
        let backbone = self.backbone.layers(&features).into_iter().map(|layer| Layer {
            flops: layer.flops * rows as u64,
            activations: layer.activations * rows,
            ..layer.under("backbone")
        });
        let head = self.head.layers(&self.backbone.output(&features)).into_iter();
        stem.chain(backbone).chain(head.map(|layer| layer.under("head"))).collect()
    }
}

/// A loss, and what the layers add to it.
fn with_added(loss: Tensor<1>, shared: &Shared) -> Tensor<1> {
    match shared.loss() {
        Some(added) => loss + added,
        None => loss,
    }
}

/// Refuses a backbone that reads no source, or only a shorter one.
fn fits_source(source: &FeatureSpec, backbone: &BoxedBackbone) -> Result<()> {
    if !backbone.reads_source() {
        return Err(Error::input(
            "backbone.kind",
            "the examples have a source apart from their target, and this backbone reads none",
            "a backbone with an encoder",
            "choose backbone.kind = \"encoder-decoder\", or data.layout = \"row\"",
        ));
    }
    match backbone.limit() {
        Some(limit) if source.length > limit => Err(Error::input(
            "data.source_length",
            format!(
                "sources have up to {} tokens, and the backbone has positions for {limit}",
                source.length
            ),
            format!("at most {limit} tokens"),
            "shorten the sources, or give the backbone more positions",
        )),
        _ => Ok(()),
    }
}

/// Draws parameters that were not drawn yet.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

/// What a network is built from.
#[derive(Clone, Copy)]
pub struct ModelPlan<'a> {
    /// Components that may be named inside the backbone.
    pub registry: &'a Registry,
    /// The data the network will read.
    pub encoder: &'a dyn Encoder,
    /// The body.
    pub backbone: &'a dyn BackboneConfig,
    /// What it is asked.
    pub task: &'a dyn TaskConfig,
}
