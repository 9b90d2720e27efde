//! Judging a network on a part of the data, all examples counted.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ansatz_core::{Error, HostOutputs, Model, OpenData, Outcome, Part, Result, Scores, TaskConfig};
use ansatz_data::{Loader, LoaderConfig, Order};
use ansatz_run::Trained;
use burn::tensor::Device;

use crate::interval::interval;

/// How good a network is on a part of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Figures over all examples.
    pub scores: Scores,
    /// What became of each example, in the order of the data set.
    pub outcomes: Vec<Outcome>,
}

/// Judges a trained network on `part` of `data`, in batches of `batch_size` examples, on the device that its
/// weights are on.
///
/// # Errors
/// When the part is empty, an example cannot be read, or the data are labelled for
/// another task.
pub fn evaluate(
    trained: &Trained,
    data: Arc<dyn OpenData>,
    part: Part,
    batch_size: NonZeroUsize,
    device: &Device,
) -> Result<Evaluation> {
    let mut outcomes = Vec::new();
    let loading = LoaderConfig { batch_size, ..LoaderConfig::default() };
    let judge = Judge { data, task: &*trained.plan.task, loading, device };
    let scores = judge.run(&trained.model, part, &|| false, |_, batch| outcomes.extend(batch))?;
    let scores = scores.ok_or_else(|| Error::Failed("evaluating: it was called off".to_owned()))?;
    Ok(Evaluation { scores, outcomes })
}

/// What every evaluation of a run has in common.
pub(crate) struct Judge<'a> {
    pub data: Arc<dyn OpenData>,
    pub task: &'a dyn TaskConfig,
    pub loading: LoaderConfig,
    /// Where the inputs go: that of the weights, without autodiff.
    pub device: &'a Device,
}

impl Judge<'_> {
    /// Judges `model`, which must be without autodiff. `hear` is told, batch by batch, the first index and
    /// what became of the examples. `None`: it was called off by `stop`.
    pub(crate) fn run(
        &self,
        model: &Model,
        part: Part,
        stop: &dyn Fn() -> bool,
        mut hear: impl FnMut(usize, Vec<Outcome>),
    ) -> Result<Option<Scores>> {
        if self.data.examples(part) == 0 {
            return Err(Error::input(
                format!("the {part} part"),
                "it has no examples",
                "a data set with such a part",
                "choose another part, or let the data model split one off",
            ));
        }
        let mut scorer = self.task.scorer(self.data.encoder().target())?;
        let loader = Loader::new(Arc::clone(&self.data), part, Order::AsGiven, &self.loading);
        let mut first = 0;
        for batch in loader.epoch(0, 0)? {
            if stop() {
                return Ok(None);
            }
            let batch = batch?;
            let outputs = HostOutputs::read(model.judge(&batch, self.data.encoder(), self.device)?)?;
            hear(first, scorer.add(&outputs, &batch.targets)?);
            first += batch.examples;
        }
        let mut scores = scorer.scores();
        scores.interval = interval(&scores.primary, scorer.contributions());
        // JSON has no word for what is not finite: such a figure is left out rather than written.
        scores.values.retain(|_, value| value.is_finite());
        Ok(Some(scores))
    }
}
