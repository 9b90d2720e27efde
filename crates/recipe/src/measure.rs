//! What a run gives and what it costs.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ansatz_compress::zeros;
use ansatz_core::{Error, OpenData, Part, Places, Registry, Result, Target};
use ansatz_infer::time_answers;
use ansatz_run::{Latency, Measurement, Trained, peak_memory_bytes};
use ansatz_train::evaluate;
use burn::tensor::Device;

/// Examples that are asked at once.
const BATCHES: [usize; 2] = [1, 64];

/// Judges the run at `path` on its whole test part, or on its validation part where there is none, and measures what it
/// costs.
///
/// # Errors
/// When there is no finished run, or its data cannot be read.
pub fn measure(path: &Path, registry: &Registry, places: &Places, device: &Device) -> Result<Measurement> {
    let trained = Trained::load(path, registry, device)?;
    let data: Arc<dyn OpenData> = trained.plan.data.open(places)?.into();
    let part = [Part::Test, Part::Validation].into_iter().find(|part| data.examples(*part) > 0);
    let part = part.ok_or_else(|| {
        Error::input(
            path.display(),
            "its data have neither a test part nor a validation part to judge by",
            "data that are split",
            "let the data model split some off",
        )
    })?;
    let latency = BATCHES.map(|batch| latency(&trained, &*data, part, batch, device));
    let latency = latency.into_iter().collect::<Result<Vec<_>>>()?;
    let clock = Instant::now();
    let together = NonZeroUsize::new(BATCHES[1]).unwrap_or(NonZeroUsize::MIN);
    let scores = evaluate(&trained, Arc::clone(&data), part, together, device)?.scores;
    let seconds = clock.elapsed().as_secs_f64();
    if !scores.primary_value().is_finite() {
        return Err(Error::Failed(format!(
            "{}: its {} is not a finite number",
            path.display(),
            scores.primary
        )));
    }
    let layers = trained.model.layers();
    let parameters = layers.iter().map(|layer| layer.parameters).sum::<usize>();
    let examples_per_second = scores.examples as f64 / seconds;
    let is_tokens = matches!(trained.encoder.target(), Target::Tokens { .. } | Target::MaskedTokens { .. });
    let length = trained.model.stem.output().length;
    let weights = trained.folder.weights();
    Ok(Measurement {
        part,
        figure: scores.primary.clone(),
        higher_is_better: scores.higher_is_better,
        quality: scores.primary_value(),
        interval: scores.interval.clone(),
        examples: scores.examples,
        values: scores.values,
        bytes: std::fs::metadata(&weights).map_err(Error::file(&weights, "read"))?.len(),
        parameters,
        non_zeros: parameters.saturating_sub(zeros(&trained.model)),
        flops: Some(layers.iter().map(|layer| layer.flops).sum()),
        latency,
        examples_per_second,
        tokens_per_second: is_tokens.then_some(length as f64 * examples_per_second),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// The times of answers to `batch` examples, the first of the part, again from the beginning where it has fewer.
fn latency(
    trained: &Trained,
    data: &dyn OpenData,
    part: Part,
    batch: usize,
    device: &Device,
) -> Result<Latency> {
    let indices: Vec<usize> = (0..data.examples(part)).cycle().take(batch).collect();
    time_answers(trained, &data.batch(part, &indices, None)?, device)
}
